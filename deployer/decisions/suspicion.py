"""The early warning: the log may have a rollout suspended, metrics alone fail or acquit it.

A failed call is in the function's log after seconds, in CloudWatch's metrics after minutes. What is
not published yet is projected from the log, and the same judge is asked: would the new version have
failed, had CloudWatch published this? Then the rollout is suspended, until CloudWatch has published
the minutes in question. No I/O, no clock.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from deployer.decisions.evidence import METRICS, MINUTE, WHO, Counts, Evidence, Look, Minutes
from deployer.decisions.failures import Failure

#: How often a rollout may be suspended.
MOST = 3

#: The log is read again so many seconds later; in the state machine with every look, while looks
#: come no farther apart than that.
EVERY = 5.0
FARTHEST = 30.0

#: How many seconds a reading looks back.
WINDOW = 180.0

#: Seconds that must be left for a suspension before the remaining steps, else there is none.
ROOM = 150.0

#: For so many seconds it is waited for anything of the alias to be published; and for so many for
#: the minutes in question, which by then are as complete as they will be.
PATIENCE = 300.0
LONGEST = 480.0


@dataclass(frozen=True)
class Suspension:
    """What the log had when the rollout was suspended. `first` and `last` are the minutes in
    question; `known` errors of theirs were published already, and `counted` is what was published
    of them at the last look."""

    since: float
    calls: int
    first: int
    last: int
    known: int = 0
    counted: list[int] = field(default_factory=list)


@dataclass
class Listening:
    """What the early warning works with, of a rollout. The new version's log `group`, and the
    longest that a call of it takes, in seconds; `rate` is the alias's calls a second in the hour
    before; `off` says why the log is listened to no more."""

    group: str = ""
    timeout: float = 3.0
    rate: float = 0.0
    off: str = ""
    suspensions: int = 0
    suspension: Suspension | None = None

    def suspend(self, now: float) -> None:
        """It has just taken effect."""
        assert self.suspension is not None, "there is a reason"
        self.suspension = replace(self.suspension, since=now, last=minute_of(now))
        self.suspensions += 1


class Outcome(StrEnum):
    #: The minutes in question are not published yet.
    WAITING = "WAITING"
    #: They have as many errors as the log, which are too few to fail it.
    TOO_FEW = "TOO_FEW"
    #: They have fewer: the log was no witness.
    ACQUITTED = "ACQUITTED"
    #: They do not come.
    INCONCLUSIVE = "INCONCLUSIVE"


class Looked(NamedTuple):
    """A suspension after a look, and what has become of it; `counted` is the new version's, of the
    minutes in question."""

    suspension: Suspension
    outcome: Outcome
    counted: Counts = Counts()


class Call(NamedTuple):
    """A call that the log says has failed, and CloudWatch has not published. It is projected into
    the `minute`, in which it began as far as is known; it began in the minute `first` at the
    earliest."""

    minute: int
    first: int


def unpublished(
    failures: Iterable[Failure], look: Look, who: str, started: float, timeout: float, now: float
) -> list[Call]:
    """Those failed calls that no look can have counted; `who` is "original" or "new"."""
    calls = []
    for failure in failures:
        # A call is published when it ends, in the minute in which it began.
        if _published(look, who, minute_of(failure.time), now):
            continue
        began = failure.began
        earliest = failure.began
        if began is None or earliest is None:
            began = failure.time
            earliest = failure.time - timeout
        minute = minute_of(max(began, started))
        first = minute_of(max(earliest, started))
        calls.append(Call(minute, first))
    return calls


def projected(
    look: Look, seen: Evidence, failed: Mapping[str, list[Call]], rate: float, now: float
) -> Look:
    """The look as if the rollout were suspended now, and CloudWatch had published everything:
    `failed` calls of both versions from the log, calls from the alias's `rate` and the weights in
    force. `seen` is suspended already.

    To the end of the minute all calls go to the original version, which goes on as before: what it
    fails in them will be published with the rest.
    """
    end = minute_of(now) + MINUTE
    to_come = {"original": _usual(seen) * rate * (end - now), "new": 0.0}
    started = max(seen.weights[0][0], seen.since)
    minutes = range(minute_of(started), end, MINUTE)
    counts = {who: _since(look.of(who), minutes[0]) for who in failed}
    for who, calls in failed.items():
        errors = Counter(call.minute for call in calls)
        errors[minutes[-1]] += round(to_come[who])
        for minute in minutes:
            published = counts[who].get(minute, Counts())
            expected = round(rate * seen.seconds_in(minute, end)[who])
            whole = _complete(look, who, minute, now)
            counts[who][minute] = _with(published, errors[minute], expected, whole)
    newest = dict.fromkeys(METRICS, minutes[-1])
    return look._replace(original=counts["original"], new=counts["new"], newest=newest)


def _since(counted: Minutes, begin: int) -> dict[int, Counts]:
    """What earlier minutes said is carried along already."""
    return {minute: counts for minute, counts in counted.items() if minute >= begin}


def _usual(seen: Evidence) -> float:
    """Which share of its calls the original version has failed so far."""
    reference = seen.of("reference")
    if not reference.invocations:
        return 0.0
    return reference.errors / reference.invocations


def _with(published: Counts, errors: int, expected: int, whole: bool) -> Counts:
    """A minute's counts with errors that are not published; calls are as many as are `expected`,
    and never fewer than the failed ones. To a `whole` minute only those calls are added that have
    ended since."""
    if whole:
        errors += published.errors
        return Counts(max(published.invocations, errors), errors)
    errors = max(published.errors, errors)
    return Counts(max(published.invocations, errors, expected), errors)


def rate_of(look: Look, started: float, before: float, now: float) -> float:
    """The alias's calls a second: of the rollout's published minutes, or those `before`."""
    calls = []
    for minute in {*look.original, *look.new}:
        if started <= minute and all(_complete(look, who, minute, now) for who in WHO):
            both = [look.of(who).get(minute, Counts()) for who in WHO]
            calls.append(sum(counts.invocations for counts in both))
    if not calls:
        return before
    return sum(calls) / len(calls) / MINUTE


def suspension(calls: list[Call], look: Look, now: float) -> Suspension:
    """Suspended because of these calls. When the minutes up to now are published, no line of
    before can accuse again."""
    first = min(call.first for call in calls)
    last = minute_of(now)
    known = _sum(look, "new", range(first, last + 1, MINUTE)).errors
    return Suspension(now, len(calls), first, last, known)


def looked(suspended: Suspension, look: Look | None, now: float) -> Looked:
    """After a look that failed nobody; None where it could not be made."""
    lasted = now - suspended.since
    silent = not suspended.counted
    counted = Counts()
    if look is not None:
        minutes = range(suspended.first, suspended.last + 1, MINUTE)
        before = suspended.counted
        counted = _sum(look, "new", minutes)
        together = [*counted, *_sum(look, "original", minutes)]
        suspended = replace(suspended, counted=together)
        silent = max(look.newest.values(), default=0) < suspended.first
        published = all(_published(look, who, minute, now) for minute in minutes for who in WHO)
        if published and not silent and together == before:
            few = counted.errors - suspended.known >= suspended.calls
            outcome = Outcome.TOO_FEW if few else Outcome.ACQUITTED
            return Looked(suspended, outcome, counted)
    if lasted >= LONGEST or (silent and lasted >= PATIENCE):
        return Looked(suspended, Outcome.INCONCLUSIVE, counted)
    return Looked(suspended, Outcome.WAITING, counted)


def _sum(look: Look, who: str, minutes: Iterable[int]) -> Counts:
    each = [look.of(who).get(minute, Counts()) for minute in minutes]
    invocations = sum(counts.invocations for counts in each)
    errors = sum(counts.errors for counts in each)
    return Counts(invocations, errors)


def _published(look: Look, who: str, minute: int, now: float) -> bool:
    """Whether that version's minute is complete; for a new version without a call in it, whether
    later minutes of the alias are."""
    if _complete(look, who, minute, now):
        return True
    later = min(look.newest.get(f"{name}_original", -1) for name in Counts._fields) > minute
    return later and who == "new" and minute not in look.new


def _complete(look: Look, who: str, minute: int, now: float) -> bool:
    return minute + MINUTE <= now and look.complete(who, minute, now)


def minute_of(time: float) -> int:
    """When its minute began."""
    return int(time // MINUTE) * MINUTE
