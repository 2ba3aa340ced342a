"""`smoke-test`: one invocation of the new version, before any user is moved to it. What invokes it
is the preflight."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from deployer.decisions.checks.check import Check, Subject, Versions
from deployer.decisions.errors import InvalidRollout
from deployer.decisions.stamp import shortened

#: How long it may take, in seconds.
SECONDS = 30.0

_RULE = "an object, the payload of one invocation"


def _object(value: Any) -> Any:
    if not isinstance(value, Mapping):  # the value may be secret, and is not shown
        raise InvalidRollout(f"'health-check.smoke-test' must be {_RULE}, but it is not.")
    return value


@dataclass(frozen=True)
class SmokeTest(Check):
    KEYS = {"smoke-test": (_RULE, _object, "{}")}
    SCHEMA = """{"smoke-test": {
        "type": "object",
        "description": "The payload of one invocation of the new version, before the first shift"
    }}"""

    payload: Any
    before: float = SECONDS

    @classmethod
    def read(cls, given: Mapping[str, Any], subject: Subject) -> "SmokeTest | None":
        return cls(given["smoke-test"]) if "smoke-test" in given else None

    def fails_on(self, versions: Versions) -> Iterator[str]:
        yield f"the smoke test of version {versions.new} (not run in a dry run)"


def error_in(answer: str) -> str:
    """The error that a function answered with, short and without a full stop."""
    told = answer
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        own = json.loads(answer)
        told = f"{own.get('errorType', 'error')}: {own['errorMessage']}"
    return shortened(told, 500).rstrip(".")
