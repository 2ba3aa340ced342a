"""PURE. From counts to a verdict. Does no I/O, reads no clock.

A look is one reading of CloudWatch: the calls and errors of both versions, minute by minute, since
the first shift. A new check goes into `judge`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class HealthCheck:
    """How the new version is judged. After the last step it settles for up to `settle` seconds."""

    settle: float = 120.0


def looks_every(interval: float) -> float:
    """Seconds between looks: 15, less in shorter steps; every step ends with one in any case."""
    return min(15.0, max(interval, 5.0))


@dataclass(frozen=True)
class Counts:
    """What CloudWatch published of one version, in a minute or in several."""

    invocations: int = 0
    errors: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.invocations + other.invocations, self.errors + other.errors)

    def __str__(self) -> str:
        if not self.errors and not self.invocations:
            return "no published calls"
        if self.errors > self.invocations:  # the minute is half-published: no rate can be told
            return f"{_count(self.errors, 'error')} ({self.invocations} invocations published so far)"
        rate = f" ({self.errors / self.invocations:.2%})" if self.errors else ""
        return f"{_count(self.errors, 'error')} in {_count(self.invocations, 'invocation')}{rate}"


#: Counts by the minute's start, in UTC.
Minutes = Mapping[datetime, Counts]


@dataclass(frozen=True)
class Look:
    """What both versions did under the alias, as far as it is published."""

    original: Minutes
    new: Minutes


class Status(StrEnum):
    #: Nothing wrong so far, and the step lasts on.
    PENDING = "PENDING"
    #: Nothing wrong at the end of a step.
    SUCCEEDED = "SUCCEEDED"
    #: The new version misbehaves.
    FAILED = "FAILED"


@dataclass(frozen=True)
class Verdict:
    status: Status
    reason: str


def total(minutes: Minutes) -> Counts:
    return sum(minutes.values(), Counts())


def judge(look: Look, original_version: str, new_version: str, ended: bool) -> Verdict:
    """FAILED when the new version had any error (the sample's rule). No data is healthy, as in the sample.

    `ended` tells whether this is the last look of a step.
    """
    new, original = total(look.new), total(look.original)
    reason = f"Version {new_version} had {new}; version {original_version} had {original} in the same time."
    if new.errors:
        return Verdict(Status.FAILED, reason)
    return Verdict(Status.SUCCEEDED if ended else Status.PENDING, reason)


def covers(look: Look, moment: datetime, now: datetime) -> bool:
    """Whether calls of a minute are published that is over and did not end before `moment`.

    It tells whether the last weight was seen at work: an unfinished minute may hold earlier calls only.
    """
    return any(moment < minute + MINUTE <= now for minute, counts in look.new.items() if counts.invocations)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
