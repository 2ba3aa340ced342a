"""What a rollout is: from the payload to the weights and their times. Does no I/O, reads no clock.

`Rollout.from_event` is where the payload's kebab-case turns into snake_case.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from deployer.decisions import target
from deployer.decisions.checks.check import Subject
from deployer.decisions.errors import InvalidRollout, RolloutTooLong
from deployer.decisions.health import OFF, HealthCheck
from deployer.decisions.payload import (
    Keys,
    flag,
    flag_or_object,
    number,
    read,
    require,
    text,
    time,
)
from deployer.decisions.target import Target
from deployer.decisions.weights import MOST_STEPS, TYPES, WEIGHTS, progression, rising

#: The longest interval, and the longest rollout, in seconds: 364 days, for an execution of Step
#: Functions lasts a year at most.
LONGEST_INTERVAL = 364 * 86_400

#: So many seconds after the first shift the first figures come, as a rule: CloudWatch publishes
#: whole minutes, a minute late.
FIRST_FIGURES = 90.0

#: Seconds before a deadline by which all must have gone well: the calls of AWS may take so many.
MARGIN = 15.0

#: The most characters of `started-by`.
LONGEST_STARTER = 128

_VERSION = r"[1-9][0-9]{0,9}"

#: Every key of the payload: what its value must be, what reads it, and an example.
KEYS: Keys = {
    **target.KEYS,
    "new-version": (
        "the number of a published version (not $LATEST)",
        text(_VERSION, str | int),
        '"8"',
    ),
    "steps": (f"a whole number from 1 to {MOST_STEPS}", number(1, MOST_STEPS, int), "10"),
    "interval": (
        f"a number of seconds from 0 to {LONGEST_INTERVAL}",
        number(0, LONGEST_INTERVAL, float),
        "60",
    ),
    "type": (TYPES, text(r"(?s).*"), '"linear"'),
    "health-check": ("true, false, or an object", flag_or_object, "true"),
    "weights": (WEIGHTS, rising, "[0.05, 0.25, 1]"),
    "hand-over": ("true or false, without quotes", flag, "true"),
    "dry-run": ("true or false, without quotes", flag, "false"),
    "finalize": ("true or false, without quotes", flag, "true"),
    "deadline": (
        "a time with its zone, as ISO 8601 has it",
        time,
        '"2026-11-25T18:00:00Z"',
    ),
    "started-by": (
        f"text of 1 to {LONGEST_STARTER} characters",
        text(rf"[^\ud800-\udfff]{{1,{LONGEST_STARTER}}}"),
        '"release pipeline 7"',
    ),
}


@dataclass(frozen=True)
class Rollout:
    """A valid request. Times are in seconds."""

    target: Target
    new_version: str
    weights: tuple[float, ...]
    interval: float = 0.0
    health_check: HealthCheck = OFF
    hand_over: bool = True
    dry_run: bool = False
    started_by: str = ""  # who asked for it
    finalize: bool = True  # otherwise a rehearsal: at its end the alias is given back
    deadline: datetime | None = None  # when it must have ended
    event: Mapping[str, Any] = field(compare=False, default_factory=dict)  # the payload itself

    @classmethod
    def from_event(cls, event: Any, here: str) -> "Rollout":
        """The payload, validated; `here` is the ARN of the function that reads it.

        Raises `InvalidRollout`, naming the key and the remedy, for whatever is not in the contract.
        """
        given = read(event, KEYS, *target.KEYS, "new-version")
        weights, interval = _weights_and_interval(given)
        subject = Subject(Target.read(given, here), given["new-version"][0], weights)
        return cls(
            *subject,
            interval,
            HealthCheck.read(given.get("health-check", True), subject),
            given.get("hand-over", True),
            given.get("dry-run", False),
            given["started-by"][0] if "started-by" in given else "",
            given.get("finalize", True),
            given.get("deadline"),
            event,
        )

    def to_event(self) -> dict[str, Any]:
        """The payload that says the same again, with the weights and the interval spelt out."""
        event = {key: value for key, value in self.event.items() if key not in ("type", "steps")}
        return event | {
            "function-name": self.target.function,
            "new-version": self.new_version,
            "weights": list(self.weights),
            "interval": self.interval,
        }

    @property
    def seconds(self) -> float:
        """How long it may take at most, if no step is held: smoke test, every weight's interval,
        and the settling."""
        check = self.health_check
        return check.before + len(self.weights) * self.interval + check.settle

    @property
    def longest(self) -> float:
        """The same, if every step is held for as long as it may be."""
        return self.seconds + len(self.weights) * self.health_check.hold

    @property
    def too_quick(self) -> str:
        """A warning, where full weight is reached before anything can have been published."""
        full = (len(self.weights) - 1) * self.interval
        check = self.health_check
        if full >= FIRST_FIGURES or not check.checks or check.may_hold:
            return ""
        remedy = ""
        if len(self.weights) > 1:
            remedy = (
                " With 'min-invocations': 1 in 'health-check' no weight is raised before calls at "
                "the last one have been published."
            )
        figures = f"the first figures come after about {FIRST_FIGURES:g} s"
        return f"This rollout reaches 100 % after {full:g} s; {figures}.{remedy}"

    @property
    def fits_a_year(self) -> bool:
        """Whether the state machine has the time for it."""
        return len(self.weights) * (self.interval + self.health_check.hold) <= LONGEST_INTERVAL

    def must_fit_a_year(self) -> None:
        """Raises `RolloutTooLong` unless the state machine can do it."""
        if self.fits_a_year:
            return
        hold = self.health_check.hold
        held = f" and as often {hold:g} s to hold" if hold else ""
        room = LONGEST_INTERVAL - len(self.weights) * hold
        raise self._too_long(room, f"{held} are more than 364 days")

    def must_fit(self, spare: float, reserve: float, elsewhere: bool = False) -> None:
        """Raises `RolloutTooLong` unless it fits into `spare` seconds; `reserve` is only told.

        `elsewhere` says that there is a state machine: where only the payload keeps the rollout
        from being handed over to it, that is told as a remedy.
        """
        if self.seconds <= spare:
            return
        check = self.health_check
        smoke = f" and up to {check.before:g} s for the smoke test" if check.before else ""
        why = (
            f" and up to {check.settle:g} s to settle{smoke} are {self.seconds:g} s, "
            f"but in this invocation {max(0, int(spare))} s are left "
            f"without {reserve:g} s in reserve for a rollback"
        )
        room = spare - check.settle - check.before
        remedy = ""
        if elsewhere and not self.hand_over and self.fits_a_year:
            remedy = ", or leave out 'hand-over': false"
        raise self._too_long(room, why, remedy)

    def must_end_in_time(self, now: float) -> None:
        """Raises `RolloutTooLong` where it surely ends after its deadline; `now` in seconds since
        1970."""
        if self.deadline is None:
            return
        left = self.deadline.timestamp() - MARGIN - now
        if self.seconds <= left:
            return
        others = self.seconds - len(self.weights) * self.interval
        why = (
            f" and up to {others:g} s besides are {self.seconds:g} s, but until 'deadline' "
            f"{max(0, int(left))} s are left without {MARGIN:g} s in reserve"
        )
        raise self._too_long(left - others, why, ", or 'deadline' later")

    def _too_long(self, room: float, why: str, remedy: str = "") -> RolloutTooLong:
        """With what would fit into `room` seconds, and a remedy besides."""
        room = max(0.0, room)
        steps = len(self.weights)
        fits = "no interval of a second or more"
        if room >= steps:
            fits = f"an interval of {int(room / steps)} s"
        if self.interval:
            fits += f"; {self.interval:g} s would fit {int(room / self.interval)} times"
        return RolloutTooLong(
            f"The rollout is too long: {steps} × {self.interval:g} s{why}. "
            f"With {steps} weights there is room for {fits}. "
            f"Make 'interval' or 'steps' smaller{remedy}."
        )


def _weights_and_interval(given: Any) -> tuple[tuple[float, ...], float]:
    """From `weights`, or from `type` and `steps`."""
    steps = given.get("steps")
    weights = given.get("weights")
    named_interval = None
    if weights is None:
        kind = given["type"][0] if "type" in given else "linear"
        weights, named_interval = progression(kind, steps)
    elif "type" in given:
        raise InvalidRollout("'weights' and 'type' contradict each other: leave one of them out.")
    if steps not in (None, len(weights)):
        raise InvalidRollout(
            f"'steps' is {steps}, but there are {len(weights)} weights: leave 'steps' out."
        )
    if named_interval is None:
        require(given, KEYS, "interval")
    interval = given.get("interval", named_interval)
    if named_interval not in (None, interval):
        raise InvalidRollout(
            f"'interval' is {interval:g}, but 'type' says {named_interval:g} s: "
            "leave 'interval' out."
        )
    return weights, interval
