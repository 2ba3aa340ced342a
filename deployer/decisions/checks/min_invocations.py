"""`min-invocations`: a step is held until so many calls of the new version were reported of it.
It never fails: where they do not come, the new version could not be judged."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.decisions.checks.check import Check, Subject, Versions
from deployer.decisions.errors import InvalidRollout
from deployer.decisions.evidence import Evidence
from deployer.decisions.payload import number


@dataclass(frozen=True)
class MinInvocations(Check):
    """`hold` is in seconds."""

    KEYS = {
        "min-invocations": (
            "a whole number from 1 to 1000000",
            number(1, 1_000_000, int),
            "100",
        ),
        "hold": ("a number of seconds from 0 to 86400", number(0, 86_400, float), "300"),
    }
    SCHEMA = """{
        "min-invocations": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1000000,
            "description": "So many calls of the new version must be reported before a step ends"
        },
        "hold": {
            "type": "number",
            "minimum": 0,
            "maximum": 86400,
            "default": 300,
            "description": "For how many seconds a step may wait for them beyond its interval"
        }
    }"""

    wanted: int
    hold: float = 300.0

    @classmethod
    def read(cls, given: Mapping[str, Any], subject: Subject) -> "MinInvocations | None":
        if "min-invocations" in given:
            return cls(given["min-invocations"], given.get("hold", cls.hold))
        if "hold" in given:
            raise InvalidRollout(
                "'health-check.hold' waits for 'health-check.min-invocations': "
                "add that, or leave 'hold' out."
            )
        return None

    def lacks(self, seen: Evidence) -> str:
        if seen.of_step >= self.wanted:
            return ""
        asked = f"the {self.wanted} calls that 'min-invocations' asks for"
        return f"Only {seen.of_step} of {asked} were reported"

    def fails_on(self, versions: Versions) -> Iterator[str]:
        yield f"fewer than {self.wanted} calls in a step, {self.hold:g} s beyond its interval"
