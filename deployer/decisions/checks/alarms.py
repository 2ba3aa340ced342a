"""`alarms`: CloudWatch alarms, metric or composite, none of which may go into ALARM."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.decisions.checks.check import Check, Said, Subject, Versions
from deployer.decisions.evidence import Evidence


def _names(value: Any) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not 0 < len(value) <= 100:
        return None
    sound = all(isinstance(name, str) and 0 < len(name) <= 255 for name in value)
    return tuple(dict.fromkeys(value)) if sound else None


@dataclass(frozen=True)
class Alarms(Check):
    """One that was in ALARM before the first shift is muted until it has left ALARM."""

    KEYS = {
        "alarms": ("a list of 1 to 100 names of CloudWatch alarms", _names, '["checkout-errors"]')
    }
    SCHEMA = """{"alarms": {
        "type": "array",
        "minItems": 1,
        "maxItems": 100,
        "description": "CloudWatch alarms, metric or composite, none of which may go into ALARM",
        "items": {"type": "string", "minLength": 1, "maxLength": 255}
    }}"""

    alarms: tuple[str, ...]

    @classmethod
    def read(cls, given: Mapping[str, Any], subject: Subject) -> "Alarms | None":
        return cls(given["alarms"]) if "alarms" in given else None

    def judge(self, seen: Evidence, versions: Versions) -> Iterator[Said]:
        for name, state in seen.alarms.items():
            if name in seen.muted:
                yield (
                    False,
                    f"Alarm {name} has been in ALARM since before the start, so it does not count.",
                )
            elif state == "ALARM":
                yield True, f"Alarm {name} went into ALARM."

    def numbers(self, seen: Evidence) -> dict[str, Any]:
        return {"alarms": seen.alarms}

    def fails_on(self, versions: Versions) -> Iterator[str]:
        for name in self.alarms:
            yield f"alarm {name} going into ALARM"

    def warns(self, seen: Evidence) -> Iterator[str]:
        for name in seen.muted:
            yield (
                f"Alarm {name} was in ALARM before the start: "
                "it cannot judge the new version until it has left ALARM."
            )
