"""The payload's `health-check`: the checks of the new version, and their verdict together."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from deployer.decisions import payload
from deployer.decisions.checks import CHECKS
from deployer.decisions.checks.check import Check, Query, Subject, Versions
from deployer.decisions.checks.errors import Errors
from deployer.decisions.errors import InvalidRollout
from deployer.decisions.evidence import Evidence
from deployer.decisions.stamp import shortened

#: The most bytes of the object, as JSON: the state machine's state must hold it.
LARGEST = 32 * 1024

#: The most characters of a reason.
LONGEST_REASON = 4000

#: Every key of the object: what its value must be, what reads it, and an example.
KEYS: payload.Keys = {
    **{key: meaning for check in CHECKS for key, meaning in check.KEYS.items()},
    "settle": ("a number of seconds from 0 to 3600", payload.number(0, 3600, float), "120"),
    "every": ("a number of seconds from 1 to 3600", payload.number(1, 3600, float), "15"),
    "logs": ("true or false, without quotes", payload.flag, "true"),
}

Kind = TypeVar("Kind", bound=Check)


class Status(StrEnum):
    #: The look could not be made: that is neither healthy nor failed.
    UNSEEN = "UNSEEN"
    #: Nothing wrong so far; the step lasts on.
    PENDING = "PENDING"
    #: Nothing wrong at the end of a step.
    SUCCEEDED = "SUCCEEDED"
    #: The new version misbehaves.
    FAILED = "FAILED"
    #: The log accuses the new version: the rollout is to be suspended until metrics have judged it.
    SUSPECTED = "SUSPECTED"
    #: Metrics have not failed it: it is to be resumed.
    CLEARED = "CLEARED"


class Verdict(NamedTuple):
    """`reason` is for people, `numbers` are what is behind it, for the log."""

    status: Status
    reason: str
    numbers: Mapping[str, Any] = {}


@dataclass(frozen=True)
class HealthCheck:
    """How the new version is judged; by no checks where it is switched off.

    Times are in seconds: between two looks, and for how long at most to look on after the last
    weight.
    """

    checks: tuple[Check, ...] = ()
    every: float = 15.0
    settle: float = 120.0
    logs: bool = True  # whether the function's log may be read

    @classmethod
    def read(cls, value: Any, subject: Subject) -> "HealthCheck":
        """From `true`, `false` or the object. Raises `InvalidRollout`."""
        if value is False:
            return OFF
        given = payload.read({} if value is True else value, KEYS, at="health-check.")
        if len(payload.as_json(value)) > LARGEST:
            raise InvalidRollout(
                f"'health-check' is longer than {LARGEST // 1024} KiB as JSON: make it shorter."
            )
        asked = [kind.read(given, subject) for kind in CHECKS]
        checks = tuple(check for check in asked if check is not None)
        if checks == (Errors(False),):
            raise InvalidRollout(
                "'health-check' checks nothing: "
                "leave out '\"errors\": false', or set it to false itself."
            )
        others = {name: given[name] for name in ("every", "settle", "logs") if name in given}
        return cls(checks, **others)

    def of(self, kind: type[Kind]) -> Kind | None:
        """The check of that kind, where it is asked for."""
        for check in self.checks:
            if isinstance(check, kind):
                return check
        return None

    @property
    def queries(self) -> dict[str, Query]:
        return {name: query for check in self.checks for name, query in check.queries.items()}

    @property
    def alarms(self) -> list[str]:
        return [name for check in self.checks for name in check.alarms]

    @property
    def before(self) -> float:
        """The longest that it may take before the first shift, in seconds."""
        return sum(check.before for check in self.checks)

    @property
    def may_hold(self) -> bool:
        """Whether a step may have to wait beyond its interval."""
        return any(check.hold is not None for check in self.checks)

    @property
    def hold(self) -> float:
        """For how many seconds at most."""
        return max((check.hold or 0.0 for check in self.checks), default=0.0)

    @property
    def listens(self) -> bool:
        """Whether the log may have the rollout suspended."""
        return self.logs and any(check.listens for check in self.checks)

    @property
    def compares(self) -> bool:
        """Whether what the original version's log says matters, too."""
        return any(check.compares for check in self.checks)

    def suspects(self, projected: Evidence, versions: Versions) -> bool:
        """Whether the new version would have failed, had CloudWatch published what is
        `projected`."""
        return any(
            wrong
            for check in self.checks
            if check.listens
            for wrong, _ in check.judge(projected, versions)
        )

    def judge(self, seen: Evidence, versions: Versions) -> Verdict:
        """FAILED when any of the checks has failed, otherwise PENDING; no data is healthy, as in
        the sample."""
        failed: list[str] = []
        healthy: list[str] = []
        numbers: dict[str, Any] = {who: seen.of(who)._asdict() for who in versions._fields}
        for check in self.checks:
            for wrong, reason in check.judge(seen, versions):
                (failed if wrong else healthy).append(reason)
            numbers |= check.numbers(seen)
        status = Status.FAILED if failed else Status.PENDING
        # What failed comes first.
        return Verdict(status, shortened(" ".join(failed + healthy), LONGEST_REASON), numbers)

    def undecided(self, seen: Evidence) -> bool:
        """Whether published calls of the new version wait for the rest of their minute."""
        return any(check.undecided(seen) for check in self.checks)

    def lacks(self, seen: Evidence) -> str:
        """Why a step must be held; empty where it need not."""
        return next(filter(None, (check.lacks(seen) for check in self.checks)), "")


OFF = HealthCheck(settle=0.0)
