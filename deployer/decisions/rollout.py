"""What a rollout is: from the payload to the weights and their times. Does no I/O, reads no clock.

`Rollout.from_event` is the one place where the payload's kebab-case turns into snake_case.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deployer.decisions.checks import SMOKE_SECONDS, HealthCheck
from deployer.decisions.errors import InvalidRollout, RolloutTooLong
from deployer.decisions.payload import Keys, flag, flag_or_object, number, read, require, text
from deployer.decisions.weights import MOST_STEPS, TYPES, WEIGHTS, progression, rising

#: The longest interval, in seconds: 364 days, with a Step Functions execution of at most a year in
#: mind.
LONGEST_INTERVAL = 364 * 86_400

# API reference of UpdateAlias, "FunctionName" and "Name"; a Region is as in botocore's
# partitions.json.
_PARTITION = r"(?:arn:(?P<partition>aws[a-z-]*):lambda:)?"
_REGION = r"(?:(?P<region>(?:[a-z]{2}|eusc)(?:-[a-zA-Z0-9_]+)+-[0-9]+):)?"
_OWNER = r"(?:(?P<account>[0-9]{12}):)?"
_FUNCTION = (
    _PARTITION
    + _REGION
    + _OWNER
    + r"(?:function:)?(?P<name>[a-zA-Z0-9_-]{1,64})(?::(?P<qualifier>[^:]*))?"
)
_ALIAS = r"(?![0-9]+\Z)[a-zA-Z0-9_-]{1,128}"
_VERSION = r"[1-9][0-9]{0,9}"

#: Every key of the payload: what its value must be, what reads it, and an example.
KEYS: Keys = {
    "function-name": (
        "a function's name or ARN, without a version or an alias",
        text(_FUNCTION),
        '"my-function"',
    ),
    "alias-name": (
        "an alias's name: letters, digits, - and _, not only digits",
        text(_ALIAS),
        '"live"',
    ),
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
}


@dataclass(frozen=True)
class Rollout:
    """A valid request. Times are in seconds; `health_check` is None where it is switched off."""

    function_name: str
    alias_name: str
    new_version: str
    weights: tuple[float, ...]
    interval: float
    health_check: HealthCheck | None
    hand_over: bool
    dry_run: bool
    event: Mapping[str, Any] = field(compare=False)  # the payload itself

    @classmethod
    def from_event(cls, event: Any, here: str) -> "Rollout":
        """The payload, validated; `here` is the ARN of the function that reads it.

        Raises `InvalidRollout`, naming the key and the remedy, for whatever is not in the contract.
        """
        given = read(event, KEYS, "function-name", "alias-name", "new-version")
        weights, interval = _timeline(given)
        function_name, alias_name = (
            _function_name(given["function-name"], here),
            given["alias-name"][0],
        )
        new_version, hand_over = given["new-version"][0], given.get("hand-over", True)
        places = {"function": function_name, "alias": alias_name, "version": new_version}
        wanted = given.get("health-check", True)
        check = (
            None if wanted is False else HealthCheck.read({} if wanted is True else wanted, places)
        )
        if check and check.errors == "baseline" and len(weights) == 1:
            remedy = "with one weight there is nothing to compare with: use more weights, or a rate"
            raise InvalidRollout(f"'health-check.errors' cannot be \"baseline\" here: {remedy}.")
        dry_run = given.get("dry-run", False)
        return cls(
            function_name,
            alias_name,
            new_version,
            weights,
            interval,
            check,
            hand_over,
            dry_run,
            event,
        )

    def to_event(self) -> dict[str, Any]:
        """The payload that says the same again, with the weights and the interval spelt out."""
        event = {key: value for key, value in self.event.items() if key not in ("type", "steps")}
        target = {"function-name": self.function_name, "new-version": self.new_version}
        return {**event, **target, "weights": list(self.weights), "interval": self.interval}

    @property
    def settle(self) -> float:
        """The longest that it may settle."""
        return self.health_check.settle if self.health_check else 0.0

    @property
    def hold(self) -> float:
        """For how long a step may be held beyond its interval."""
        return (
            self.health_check.hold
            if self.health_check and self.health_check.min_invocations
            else 0.0
        )

    @property
    def smoke(self) -> float:
        """The longest that the smoke test may take."""
        return (
            SMOKE_SECONDS if self.health_check and self.health_check.smoke_test is not None else 0.0
        )

    @property
    def seconds(self) -> float:
        """How long it may take at most, if no step is held: smoke test, every weight's interval,
        and the settling."""
        return self.smoke + len(self.weights) * self.interval + self.settle

    @property
    def longest(self) -> float:
        """The same, if every step is held for as long as it may be."""
        return self.seconds + len(self.weights) * self.hold

    @property
    def fits_a_year(self) -> bool:
        """Whether the state machine has the time for it."""
        return len(self.weights) * (self.interval + self.hold) <= LONGEST_INTERVAL

    def must_fit_a_year(self) -> None:
        """Raises `RolloutTooLong` unless the state machine can do it."""
        if not self.fits_a_year:
            held = f" and as often {self.hold:g} s to hold" if self.hold else ""
            room = max(0.0, LONGEST_INTERVAL - len(self.weights) * self.hold)
            raise self._too_long(room, f"{held} are more than 364 days")

    def must_fit(self, spare: float, reserve: float, elsewhere: bool = False) -> None:
        """Raises `RolloutTooLong` unless it fits into `spare` seconds; `reserve` is only told.

        `elsewhere` says that there is a state machine: where only the payload keeps the rollout
        from being handed over to it, that is told as a remedy.
        """
        if self.seconds > spare:
            smoke = f" and up to {self.smoke:g} s for the smoke test" if self.smoke else ""
            needed = f"and up to {self.settle:g} s to settle{smoke} are {self.seconds:g} s"
            left = (
                f"{max(0, int(spare))} s are left without {reserve:g} s in reserve for a rollback"
            )
            room = max(0.0, spare - self.settle - self.smoke)
            elsewhere = elsewhere and not self.hand_over and self.fits_a_year
            raise self._too_long(room, f" {needed}, but in this invocation {left}", elsewhere)

    def _too_long(self, room: float, why: str, elsewhere: bool = False) -> RolloutTooLong:
        """With what would fit into `room` seconds; `elsewhere`: it could be handed over."""
        steps = len(self.weights)
        fits = (
            f"an interval of {int(room / steps)} s"
            if room >= steps
            else "no interval of a second or more"
        )
        if self.interval:
            fits += f"; {self.interval:g} s would fit {int(room / self.interval)} times"
        remedy = (
            f"With {steps} weights there is room for {fits}. Make 'interval' or 'steps' smaller"
        )
        remedy += ", or leave out 'hand-over': false." if elsewhere else "."
        return RolloutTooLong(
            f"The rollout is too long: {steps} × {self.interval:g} s{why}. {remedy}"
        )


def _function_name(name: re.Match[str], here: str) -> str:
    """The bare name; an ARN must be of the account and Region of `here`."""
    if name["qualifier"] is not None:
        places = "an alias goes into 'alias-name', a version into 'new-version'"
        remedy = f"leave out ':{name['qualifier'][:60]}'; {places}"
        raise InvalidRollout(f"'function-name' must be {KEYS['function-name'][0]}: {remedy}.")
    _, partition, _, region, account, *_ = here.split(":")
    for part, mine in (("partition", partition), ("region", region), ("account", account)):
        if name[part] not in (None, mine):
            foreign = (
                f"'function-name' is of the {part} {name[part]}, but this deployer works in {mine}"
            )
            raise InvalidRollout(f"{foreign}: invoke a deployer that is installed there.")
    return name["name"]


def _timeline(given: Any) -> tuple[tuple[float, ...], float]:
    """The weights and the interval, from `weights`, or from `type` and `steps`."""
    weights, named_interval, steps = given.get("weights"), None, given.get("steps")
    if weights is None:
        weights, named_interval = progression(
            given["type"][0] if "type" in given else "linear", steps
        )
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
