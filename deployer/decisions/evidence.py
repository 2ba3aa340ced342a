"""What the looks say together, minute by minute. Judges nothing.

CloudWatch publishes late, so a minute's counts may still grow: minutes are counted anew at every
look, and carried along as sums when they are too old to change. It promises no order either: a
version's metrics may come before those of the other one, and its calls before its errors. What is
not published yet must never be taken for no calls or for no errors, so a minute takes part in the
tests when it is complete, and waits until then.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from deployer.decisions import likelihood

MINUTE = 60

#: A call's metrics are published when it ends, stamped with its start: after Lambda's longest call,
#: 15 minutes, and a few for CloudWatch, a minute changes no more.
LATEST = 18 * MINUTE

#: How long after its end a minute waits for what is not published of it. What has not come by then
#: is taken for no calls or no errors: a version without calls has no values at all.
PATIENCE = 5 * MINUTE


class Counts(NamedTuple):
    """What CloudWatch published of one version, in a minute or in several."""

    invocations: int = 0
    errors: int = 0

    def __str__(self) -> str:
        if not self.errors and not self.invocations:
            return "no published calls"
        rate = ""
        if 0 < self.errors <= self.invocations:  # else the minute is half-published
            rate = f" ({self.errors / self.invocations:.2%})"
        return f"{_count(self.errors, 'error')} in {_count(self.invocations, 'invocation')}{rate}"


#: By the minute's start, in seconds since 1970.
Minutes = Mapping[int, Counts]


class Look(NamedTuple):
    """One reading of CloudWatch: both versions' calls under the alias, the highest value of each of
    the payload's metrics by the query's id, and the states of its alarms.

    `newest` has the newest minute with a value, a count of 0 included, of each of the four metrics
    behind the calls: `invocations_original`, `errors_original`, `invocations_new`, `errors_new`.
    One that has no value at all is left out.
    """

    original: Minutes
    new: Minutes
    metrics: Mapping[str, float] = {}
    alarms: Mapping[str, str] = {}
    newest: Mapping[str, int] = {}

    def complete(self, who: str, minute: int, now: float) -> bool:
        """Whether all that CloudWatch will say of that version's minute is published."""
        counts = (self.original if who == "original" else self.new).get(minute, Counts())
        if counts.errors > counts.invocations:
            return False
        if minute + MINUTE + PATIENCE <= now:
            return True
        return all(self.newest.get(f"{name}_{who}", -1) >= minute for name in Counts._fields)


#: Numbers that add up from minute to minute.
Sums = dict[str, float]


@dataclass
class Evidence:
    """What all looks say together; times are seconds since 1970.

    The next look reads from `since` on; what minutes before that said is carried in `older`.
    `muted` alarms were in ALARM before the first shift, and have not left it. `judged` says that
    calls since the last shift were published, of a minute that is over.
    """

    since: float = 0.0
    older: Sums = field(default_factory=dict)
    total: Sums = field(default_factory=dict)
    highest: dict[str, float] = field(default_factory=dict)
    alarms: dict[str, str] = field(default_factory=dict)
    muted: list[str] = field(default_factory=list)
    judged: bool = False

    def begin(self, look: Look) -> None:
        """The look before the first shift."""
        self.muted = [name for name, state in look.alarms.items() if state == "ALARM"]

    def add(self, look: Look, now: float, shifted: float, full: bool = False) -> None:
        """Take in a look. The last weight took effect at `shifted`; `full` says that it was 1.0."""
        final = max(self.since, now // MINUTE * MINUTE - LATEST)
        self.total = dict(self.older)
        for minute in sorted({*look.original, *look.new}):
            said = _said(look, minute, now, alone=full and shifted <= minute)
            if shifted <= minute and minute + MINUTE <= now:
                said["of_step"] = said["new_invocations"]
            for sums in (self.total, self.older) if minute < final else (self.total,):
                for name, number in said.items():
                    sums[name] = sums.get(name, 0) + number
        self.since = final
        self.alarms = dict(look.alarms)
        self.highest |= {
            name: max(value, self.highest.get(name, value)) for name, value in look.metrics.items()
        }
        self.muted = [name for name in self.muted if look.alarms.get(name) == "ALARM"]
        self.judged = self.judged or covers(look, shifted, now)

    def of(self, who: str) -> Counts:
        """Calls and errors of the versions, `original` and `new`, and of those that take part in
        the tests:

            tested      the new version's, for a rate
            weighed     the new version's, for `baseline`
            alone       those of them with no call of the original to compare with
            reference   the original's, for `baseline`
        """
        return Counts(*(round(self.total.get(f"{who}_{what}", 0)) for what in Counts._fields))

    @property
    def of_step(self) -> int:
        """The new version's calls in the published whole minutes since the last shift."""
        return round(self.total.get("of_step", 0))

    def next_step(self) -> None:
        self.judged = False
        for sums in (self.older, self.total):
            sums.pop("of_step", None)

    @property
    def compared(self) -> bool:
        """Whether there was a complete minute in which both versions had calls."""
        return any(name.startswith("ratio_") for name in self.total)

    @property
    def baseline(self) -> list[float]:
        """The sums for `likelihood.baseline`."""
        return [self.total.get(f"ratio_{ratio:g}", 0.0) for ratio in likelihood.RATIOS]


def _said(look: Look, minute: int, now: float, alone: bool) -> Sums:
    """One minute's numbers; `alone` says that the new version had the whole weight in all of it."""
    original = look.original.get(minute, Counts())
    new = look.new.get(minute, Counts())
    sums = _named("original", original) | _named("new", new)
    if not look.complete("new", minute, now):
        return sums
    sums |= _named("tested", new)
    # At full weight nothing is to come of the original, so nothing is waited for. In the first
    # seconds some calls may still go to it, and those are published later. They take no part,
    # whenever they come: otherwise this minute's evidence would be withdrawn when they are
    # published, and the new version's whole minute would be compared with the original's first
    # seconds of it.
    if alone:
        return sums | _named("weighed", new) | _named("alone", new)
    if not look.complete("original", minute, now):
        return sums
    sums |= _named("weighed", new) | _named("reference", original)
    if not original.invocations:
        return sums | _named("alone", new)
    share = new.invocations / (original.invocations + new.invocations)
    for ratio in likelihood.RATIOS if new.invocations else ():
        sums[f"ratio_{ratio:g}"] = likelihood.of_minute(ratio, share, new.errors, original.errors)
    return sums


def _named(who: str, counts: Counts) -> Sums:
    return {f"{who}_{what}": number for what, number in counts._asdict().items()}


def covers(look: Look, moment: float, now: float) -> bool:
    """Whether calls of a minute are published that is over and did not end before `moment`.

    It tells whether the last weight was seen at work: an unfinished minute may hold earlier calls
    only.
    """
    return any(
        moment < minute + MINUTE <= now for minute, counts in look.new.items() if counts.invocations
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
