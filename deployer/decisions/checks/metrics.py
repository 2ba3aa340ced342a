"""`metrics`: limits on CloudWatch metrics, such as latency, throttles, or one's own."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from deployer.decisions import payload
from deployer.decisions.checks.check import Check, Query, Said, Subject, Versions
from deployer.decisions.errors import InvalidRollout
from deployer.decisions.evidence import Evidence
from deployer.decisions.payload import Keys


def _objects(value: Any) -> list[Any] | None:
    return value if isinstance(value, list) and 0 < len(value) <= 20 else None


def _dimensions(value: Any) -> dict[str, str] | None:
    if not isinstance(value, Mapping) or len(value) > 30:
        return None
    texts = [*value.keys(), *value.values()]
    return dict(value) if all(isinstance(each, str) and each for each in texts) else None


_NAME = payload.text(r"[ -~]{1,255}")
_STAT = payload.text(r"[A-Za-z][A-Za-z0-9.:%()]{0,40}")

#: The keys of one of its objects, all of which are required.
LIMIT_KEYS: Keys = {
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


class Limit(NamedTuple):
    """A CloudWatch metric that must not rise above `above` in any minute."""

    query: Query
    above: float

    def __str__(self) -> str:
        metric = self.query
        return " ".join((metric.namespace, metric.name, metric.stat, *metric.dimensions.values()))


@dataclass(frozen=True)
class Limits(Check):
    """The limits, by their queries' names."""

    KEYS = {"metrics": ("a list of 1 to 20 objects", _objects, "[…]")}
    SCHEMA = r"""{"metrics": {
        "type": "array",
        "minItems": 1,
        "maxItems": 20,
        "description": "Limits on CloudWatch metrics",
        "items": {
            "type": "object",
            "additionalProperties": false,
            "required": ["namespace", "name", "dimensions", "stat", "above"],
            "properties": {
                "namespace": {
                    "type": "string",
                    "pattern": "^[ -~]{1,255}$",
                    "description": "Such as AWS/Lambda, or one's own"
                },
                "name": {
                    "type": "string",
                    "pattern": "^[ -~]{1,255}$",
                    "description": "The metric's name, such as Duration"
                },
                "dimensions": {
                    "type": "object",
                    "maxProperties": 30,
                    "description": "Exact; {function}, {alias} and {version} are filled in",
                    "additionalProperties": {
                        "type": "string",
                        "minLength": 1,
                        "not": {"pattern": "\\{(?!(function|alias|version)\\})\\w+\\}"}
                    }
                },
                "stat": {
                    "type": "string",
                    "pattern": "^[A-Za-z][A-Za-z0-9.:%()]{0,40}$",
                    "description": "Such as Sum, Average, Maximum or p99"
                },
                "above": {
                    "type": "number",
                    "minimum": -1e+300,
                    "maximum": 1e+300,
                    "description": "The new version fails when a minute's value is above it"
                }
            }
        }
    }}"""

    limits: Mapping[str, Limit]

    @classmethod
    def read(cls, given: Mapping[str, Any], subject: Subject) -> "Limits | None":
        if "metrics" not in given:
            return None
        limits = {}
        for number, value in enumerate(given["metrics"]):
            limits[f"limit_{number}"] = _limit(value, f"health-check.metrics[{number}].", subject)
        return cls(limits)

    @property
    def queries(self) -> Mapping[str, Query]:
        return {name: limit.query for name, limit in self.limits.items()}

    def judge(self, seen: Evidence, versions: Versions) -> Iterator[Said]:
        for name, limit in self.limits.items():
            highest = seen.highest.get(name)
            if highest is None:
                yield False, f"{limit} has no data yet."
            elif highest > limit.above:
                yield True, f"{limit} rose to {highest:g}, above its limit of {limit.above:g}."
            else:
                yield False, f"{limit} rose to {highest:g} at most; its limit is {limit.above:g}."

    def numbers(self, seen: Evidence) -> dict[str, Any]:
        return {"metrics": {str(each): seen.highest.get(at) for at, each in self.limits.items()}}

    def fails_on(self, versions: Versions) -> Iterator[str]:
        for limit in self.limits.values():
            yield f"{limit} above {limit.above:g}"

    def unjudged(self, seen: Evidence) -> Iterator[str]:
        for name, limit in self.limits.items():
            if name not in seen.highest:
                yield (
                    f"Not judged by {limit}: CloudWatch published no data of it. "
                    "Is it named correctly?"
                )


def _limit(value: Any, at: str, subject: Subject) -> Limit:
    given = payload.read(value, LIMIT_KEYS, *LIMIT_KEYS, at=at)
    dimensions = {}
    for name, text in given["dimensions"].items():
        dimensions[name] = _filled(text, f"{at}dimensions", subject)
    query = Query(given["namespace"][0], given["name"][0], dimensions, given["stat"][0])
    return Limit(query, given["above"])


def _filled(text: str, at: str, subject: Subject) -> str:
    """With `{function}`, `{alias}` and `{version}` filled in."""
    places = {**subject.target._asdict(), "version": subject.new_version}
    filled = re.sub(r"\{(\w+)\}", lambda place: places.get(place[1], place[0]), text)
    if re.search(r"\{\w+\}", filled):
        known = ", ".join(f"{{{name}}}" for name in places)
        raise InvalidRollout(
            f"'{at}' has {payload.shown(text)}, but what is filled in is only {known}."
        )
    return filled
