"""The payload's `health-check`: how the new version is judged. A new check begins here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deployer.decisions import payload
from deployer.decisions.errors import InvalidRollout

#: How long a smoke test may take, in seconds.
SMOKE_SECONDS = 30.0

#: The most bytes of the object, as JSON: the state machine's state must hold it.
LARGEST = 32 * 1024


def _errors(value: Any) -> Any:
    known = value in ("any", "baseline") if isinstance(value, str) else value is False
    return value if known or (payload.is_number(value) and 1e-6 <= value <= 0.999) else None


def _names(value: Any) -> tuple[str, ...] | None:
    sound = isinstance(value, list) and all(
        isinstance(name, str) and 0 < len(name) <= 255 for name in value
    )
    return tuple(dict.fromkeys(value)) if sound and 0 < len(value) <= 100 else None


def _objects(value: Any) -> list[Any] | None:
    return value if isinstance(value, list) and 0 < len(value) <= 20 else None


def _dimensions(value: Any) -> dict[str, str] | None:
    sound = isinstance(value, Mapping) and len(value) <= 30
    return (
        dict(value)
        if sound and all(isinstance(each, str) and each for pair in value.items() for each in pair)
        else None
    )


def _object(value: Any) -> Any:
    return value if isinstance(value, Mapping) else None


_NAME = payload.text(r"[ -~]{1,255}")
_STAT = payload.text(r"[A-Za-z][A-Za-z0-9.:%()]{0,40}")

#: The keys of the object `health-check`, of one of its `metrics`, and what each must be.
HEALTH_KEYS: payload.Keys = {
    "errors": (
        '"any", "baseline", false, or a rate from 0.000001 to 0.999, such as 0.01',
        _errors,
        '"any"',
    ),
    "metrics": ("a list of 1 to 20 objects", _objects, "[…]"),
    "alarms": ("a list of 1 to 100 names of CloudWatch alarms", _names, '["checkout-errors"]'),
    "smoke-test": ("an object, the payload of one invocation", _object, "{}"),
    "min-invocations": (
        "a whole number from 1 to 1000000",
        payload.number(1, 1_000_000, int),
        "100",
    ),
    "hold": ("a number of seconds from 0 to 86400", payload.number(0, 86_400, float), "300"),
    "settle": ("a number of seconds from 0 to 3600", payload.number(0, 3600, float), "120"),
    "every": ("a number of seconds from 1 to 3600", payload.number(1, 3600, float), "15"),
}
METRIC_KEYS: payload.Keys = {
    "namespace": ("the namespace of a CloudWatch metric", _NAME, '"AWS/Lambda"'),
    "name": ("the name of a CloudWatch metric", _NAME, '"Duration"'),
    "dimensions": (
        "an object of names and values, at most 30",
        _dimensions,
        '{"FunctionName": "{function}"}',
    ),
    "stat": ("a statistic of CloudWatch, such as Sum, Average, Maximum or p99", _STAT, '"p99"'),
    "above": ("a number", payload.number(-1e300, 1e300, float), "500"),
}


@dataclass(frozen=True)
class Limit:
    """A CloudWatch metric that must not rise above `above` in any minute."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    stat: str
    above: float

    def __str__(self) -> str:
        return " ".join((self.namespace, self.name, self.stat, *self.dimensions.values()))


@dataclass(frozen=True)
class HealthCheck:
    """How the new version is judged. Times are in seconds; `errors` is a rate, "any", "baseline"
    or False."""

    errors: Any = "any"
    metrics: Mapping[str, Limit] = field(default_factory=dict)  # by the query's id
    alarms: tuple[str, ...] = ()
    smoke_test: Any = None
    min_invocations: int = 0
    hold: float = 300.0
    settle: float = 120.0
    every: float = 15.0

    @classmethod
    def read(cls, value: Any, places: Mapping[str, str]) -> "HealthCheck":
        """From the object; `places` fills `{function}`, `{alias}` and `{version}`. Raises
        `InvalidRollout`."""
        given = payload.read(value, HEALTH_KEYS, at="health-check.", secret="smoke-test")
        if len(payload.as_json(value)) > LARGEST:
            raise InvalidRollout(
                f"'health-check' is longer than {LARGEST // 1024} KiB as JSON: make it shorter."
            )
        if "hold" in given and "min-invocations" not in given:
            remedy = "add that, or leave 'hold' out"
            raise InvalidRollout(
                f"'health-check.hold' waits for 'health-check.min-invocations': {remedy}."
            )
        checks = ("metrics", "alarms", "smoke-test", "min-invocations")
        if given.get("errors") is False and not any(name in given for name in checks):
            remedy = "leave out '\"errors\": false', or set it to false itself"
            raise InvalidRollout(f"'health-check' checks nothing: {remedy}.")
        limits = [
            _limit(each, f"health-check.metrics[{n}].", places)
            for n, each in enumerate(given.get("metrics", ()))
        ]
        given["metrics"] = {f"limit_{number}": limit for number, limit in enumerate(limits)}
        return cls(**{name.replace("-", "_"): each for name, each in given.items()})


def _limit(value: Any, at: str, places: Mapping[str, str]) -> Limit:
    given = payload.read(value, METRIC_KEYS, *METRIC_KEYS, at=at)
    filled = {
        name: _filled(text, f"{at}dimensions", places) for name, text in given["dimensions"].items()
    }
    return Limit(given["namespace"][0], given["name"][0], filled, given["stat"][0], given["above"])


def _filled(text: str, at: str, places: Mapping[str, str]) -> str:
    filled = re.sub(r"\{(\w+)\}", lambda place: places.get(place[1], place[0]), text)
    if re.search(r"\{\w+\}", filled):
        known = ", ".join(f"{{{name}}}" for name in places)
        raise InvalidRollout(
            f"'{at}' has {payload.shown(text)}, but what is filled in is only {known}."
        )
    return filled
