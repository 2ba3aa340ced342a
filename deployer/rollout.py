"""PURE. What a rollout is: from the payload to the weights and their times. Does no I/O, reads no clock.

`Rollout.from_event` is the one place where the payload's kebab-case turns into snake_case.
"""

import re
from dataclasses import dataclass
from typing import Any

from deployer import payload
from deployer.errors import InvalidRollout, RolloutTooLong
from deployer.health import HealthCheck
from deployer.weights import MOST_STEPS, progression

#: Every key of the payload, and an example of its value.
KEYS = {
    "function-name": '"my-function"',
    "alias-name": '"live"',
    "new-version": '"8"',
    "steps": "10",
    "interval": "60",
    "type": '"linear"',
    "health-check": "true",
    "weights": "[0.05, 0.25, 1]",
    "hand-over": "true",
    "dry-run": "false",
}

#: The longest interval, in seconds: 364 days, with a Step Functions execution of at most a year in mind.
LONGEST_INTERVAL = 364 * 86_400

# API reference of UpdateAlias, "FunctionName" and "Name".
_FUNCTION = re.compile(
    r"(?:arn:(?P<partition>aws[a-z-]*):lambda:)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-[0-9]):)?"
    r"(?:(?P<account>[0-9]{12}):)?(?:function:)?(?P<name>[a-zA-Z0-9_-]{1,64})(?::(?P<qualifier>[^:]*))?"
)
_ALIAS = re.compile(r"(?![0-9]+\Z)[a-zA-Z0-9_-]{1,128}")
_VERSION = re.compile(r"[1-9][0-9]{0,9}")
_ANY_TEXT = re.compile(r".+", re.DOTALL)


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

    @classmethod
    def from_event(cls, event: Any, here: str) -> "Rollout":
        """The payload, validated; `here` is the ARN of the function that reads it.

        Raises `InvalidRollout`, naming the key and the remedy, for whatever is not in the contract.
        """
        event = payload.as_object(event, KEYS)
        for key in ("function-name", "alias-name", "new-version"):
            payload.require(event, key, KEYS[key])
        alias = payload.text(event, "alias-name", _ALIAS, "an alias's name: letters, digits, - and _, not only digits")
        weights, interval = _timeline(event)
        if payload.flag(event, "dry-run", False):
            raise InvalidRollout("'dry-run': true is not supported yet, and nothing was done: leave the key out.")
        assert alias is not None  # required above
        return cls(
            function_name=_function_name(event, here),
            alias_name=alias[0],
            new_version=_new_version(event),
            weights=weights,
            interval=interval,
            health_check=_health_check(event),
            hand_over=payload.flag(event, "hand-over", True),
        )

    @property
    def settle(self) -> float:
        return self.health_check.settle if self.health_check else 0.0

    @property
    def seconds(self) -> float:
        """How long it may take at most: every weight's interval, and the settling."""
        return len(self.weights) * self.interval + self.settle

    def must_fit(self, spare: float, reserve: float) -> None:
        """Raises `RolloutTooLong` unless it fits into `spare` seconds; `reserve` is only told."""
        if self.seconds <= spare:
            return
        steps = len(self.weights)
        room = max(0.0, spare - self.settle)
        fits = f"an interval of {int(room / steps)} s" if room >= steps else "no interval of a second or more"
        if self.interval:
            fits += f"; {self.interval:g} s would fit {int(room / self.interval)} times"
        raise RolloutTooLong(
            f"The rollout is too long for this invocation: {steps} × {self.interval:g} s and up to {self.settle:g} s "
            f"to settle are {self.seconds:g} s, but {max(0, int(spare))} s are left without {reserve:g} s in reserve "
            f"for a rollback. With {steps} weights there is room for {fits}. Make 'interval' or 'steps' smaller."
        )


def _function_name(event: payload.Payload, here: str) -> str:
    """The bare name; an ARN must be of the account and Region of `here`."""
    rule = "a function's name or ARN, without a version or an alias"
    match = payload.text(event, "function-name", _FUNCTION, rule)
    assert match is not None  # required by from_event
    if match["qualifier"] is not None:
        raise InvalidRollout(
            f"'function-name' must be {rule}, but it is {payload.shown(event['function-name'])}: "
            f"leave out ':{match['qualifier'][:60]}'; an alias goes into 'alias-name', a version into 'new-version'."
        )
    _, partition, _, region, account, *_ = here.split(":")
    for part, mine in (("partition", partition), ("region", region), ("account", account)):
        if match[part] not in (None, mine):
            raise InvalidRollout(
                f"'function-name' is of the {part} {match[part]}, but this deployer works in {mine}: "
                f"invoke a deployer that is installed there."
            )
    return match["name"]


def _new_version(event: payload.Payload) -> str:
    value = event["new-version"]
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**10:
        return str(value)
    match = payload.text(event, "new-version", _VERSION, 'the number of a published version, such as "8" (not $LATEST)')
    assert match is not None  # required by from_event
    return match[0]


def _timeline(event: payload.Payload) -> tuple[tuple[float, ...], float]:
    """The weights and the interval, from `weights`, or from `type` and `steps`."""
    steps = payload.whole_number(event, "steps", 1, MOST_STEPS)
    interval = payload.number(event, "interval", 0, LONGEST_INTERVAL, "seconds")
    weights = payload.rising_weights(event, "weights", MOST_STEPS)
    named_interval = None
    if weights is None:
        kind = payload.text(event, "type", _ANY_TEXT, 'the name of a progression, such as "linear"')
        weights, named_interval = progression(kind[0] if kind else "linear", steps)
    elif "type" in event:
        raise InvalidRollout("'weights' and 'type' contradict each other: leave one of them out.")
    if steps not in (None, len(weights)):
        raise InvalidRollout(f"'steps' is {steps}, but there are {len(weights)} weights: leave 'steps' out.")
    if named_interval is None:
        payload.require(event, "interval", KEYS["interval"])
    elif interval not in (None, named_interval):
        raise InvalidRollout(f"'interval' is {interval:g}, but 'type' says {named_interval:g} s: leave 'interval' out.")
    seconds = interval if interval is not None else named_interval
    assert seconds is not None  # one of the two was required
    return weights, seconds


def _health_check(event: payload.Payload) -> HealthCheck | None:
    value = event.get("health-check", True)
    if not isinstance(value, bool):
        raise payload.wrong("health-check", "true or false (an object is not supported yet)", value)
    return HealthCheck() if value else None
