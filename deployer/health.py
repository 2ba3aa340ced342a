"""PURE. From counts to a verdict. Does no I/O, reads no clock.

A look is one reading of CloudWatch: the calls and errors of both versions, minute by minute, since
the first shift. A new check goes into `judge`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

MINUTE = timedelta(minutes=1)

#: A call's metrics are published when it ends, stamped with its start: after Lambda's longest call, 15 minutes,
#: and a few for CloudWatch, a minute changes no more.
LATEST = timedelta(minutes=18)


@dataclass(frozen=True)
class HealthCheck:
    """How the new version is judged. After the last step it settles for up to `settle` seconds."""

    settle: float = 120.0


@dataclass(frozen=True)
class Counts:
    """What CloudWatch published of one version, in a minute or in several."""

    invocations: int = 0
    errors: int = 0

    def plus(self, others: Iterable["Counts"]) -> "Counts":
        every = [self, *others]
        return Counts(sum(each.invocations for each in every), sum(each.errors for each in every))

    def __str__(self) -> str:
        if not self.errors and not self.invocations:
            return "no published calls"
        # No rate can be told of a minute that is half-published.
        rate = f" ({self.errors / self.invocations:.2%})" if 0 < self.errors <= self.invocations else ""
        return f"{_count(self.errors, 'error')} in {_count(self.invocations, 'invocation')}{rate}"


#: Counts by the minute's start, in UTC.
Minutes = Mapping[datetime, Counts]


class Look(NamedTuple):
    """What both versions did under the alias, as far as it is published."""

    original: Minutes
    new: Minutes


@dataclass
class Evidence:
    """What all looks say together, of the original and of the new version.

    The next look reads from `since` (seconds since 1970) on; what minutes before that said is carried in `older`.
    """

    since: float = 0.0
    older: list[Counts] = field(default_factory=lambda: [Counts(), Counts()])
    total: list[Counts] = field(default_factory=lambda: [Counts(), Counts()])

    @classmethod
    def load(cls, state: Any) -> "Evidence":
        """From what `asdict` made of it, through JSON."""
        return cls(state["since"], *([Counts(**each) for each in state[name]] for name in ("older", "total")))

    def add(self, look: Look, now: datetime) -> None:
        final = max(self.since, (now.replace(second=0, microsecond=0) - LATEST).timestamp())
        older = self.older
        self.total = [older[0].plus(look.original.values()), older[1].plus(look.new.values())]
        done = [[counts for minute, counts in minutes.items() if minute.timestamp() < final] for minutes in look]
        self.older, self.since = [older[0].plus(done[0]), older[1].plus(done[1])], final


class Status(StrEnum):
    #: The look could not be made: that is neither healthy nor failed.
    UNSEEN = "UNSEEN"
    #: Nothing wrong so far, and the step lasts on.
    PENDING = "PENDING"
    #: Nothing wrong at the end of a step.
    SUCCEEDED = "SUCCEEDED"
    #: The new version misbehaves.
    FAILED = "FAILED"


class Verdict(NamedTuple):
    status: Status
    reason: str


def judge(seen: Evidence, original_version: str, new_version: str, ended: bool) -> Verdict:
    """FAILED when the new version had any error (the sample's rule). No data is healthy, as in the sample.

    `ended` tells whether this is the last look of a step.
    """
    original, new = seen.total
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
