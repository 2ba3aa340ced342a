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


#: What is taken for an outage: a minute in which the original version failed so many times as often
#: as in another one, and so many times by chance.
OUTAGE = 2.0
BY_CHANCE = 5.0


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


#: The two versions, and the metrics of both.
WHO = ("original", "new")
METRICS = [f"{metric}_{who}" for metric in Counts._fields for who in WHO]

#: By the minute's start, in seconds since 1970.
Minutes = Mapping[int, Counts]


class Look(NamedTuple):
    """One reading of CloudWatch: both versions' calls under the alias, the highest value of each of
    the payload's metrics by the query's id, and the states of its alarms.

    `newest` has the newest minute with a value, a count of 0 included, of each of METRICS, which
    are behind the calls. One that has no value at all is left out.
    """

    original: Minutes
    new: Minutes
    metrics: Mapping[str, float] = {}
    alarms: Mapping[str, str] = {}
    newest: Mapping[str, int] = {}

    def of(self, who: str) -> Minutes:
        """Of the version `original` or `new`."""
        return self.original if who == "original" else self.new

    def complete(self, who: str, minute: int, now: float) -> bool:
        """Whether all that CloudWatch will say of that version's minute is published."""
        counts = self.of(who).get(minute, Counts())
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
    `weights` has when each weight of the new version took effect, as far as a minute from `since`
    on may have seen it; 0 stands for a suspension; the step's own did at `step_since`. `muted`
    alarms were in ALARM before the first shift, and have not left it. `judged` says that calls
    since the last shift were published, of a minute that is over.
    """

    since: float = 0.0
    weights: list[list[float]] = field(default_factory=list)
    step_since: float = 0.0
    older: Sums = field(default_factory=dict)
    total: Sums = field(default_factory=dict)
    highest: dict[str, float] = field(default_factory=dict)
    alarms: dict[str, str] = field(default_factory=dict)
    muted: list[str] = field(default_factory=list)
    judged: bool = False

    def begin(self, look: Look) -> None:
        """The look before the first shift."""
        self.muted = [name for name, state in look.alarms.items() if state == "ALARM"]

    def begin_step(self, now: float, weight: float) -> None:
        """That weight has just taken effect: what is asked of a step begins anew."""
        self.step_since = now
        for sums in (self.older, self.total):
            sums.pop("of_step", None)
        self.shift(now, weight)

    def shift(self, now: float, weight: float) -> None:
        """That weight has just taken effect; 0 suspends the step, and then its own resumes it."""
        self.weights.append([now, weight])
        self.judged = False

    def add(self, look: Look, now: float) -> None:
        """Take in a look."""
        final = max(self.since, now // MINUTE * MINUTE - LATEST)
        shifted = self.weights[-1][0]
        self.total = dict(self.older)
        for minute in sorted({*look.original, *look.new}):
            said = _said(look, minute, now, self.weights_in(minute))
            if self.step_since <= minute and minute + MINUTE <= now:
                said["of_step"] = said["new_invocations"]
            _add(said, self.total)
            if minute < final:
                _add(said, self.older)
        self.since = final
        self.weights = _since(self.weights, final)
        self.alarms = dict(look.alarms)
        self.highest |= {
            name: max(value, self.highest.get(name, value)) for name, value in look.metrics.items()
        }
        self.muted = [name for name in self.muted if look.alarms.get(name) == "ALARM"]
        self.judged = self.judged or covers(look, shifted, now)

    def weights_in(self, minute: int) -> list[float]:
        """The weights that were in force in that minute, in their order."""
        before = 0.0
        within = []
        for time, weight in self.weights:
            if time <= minute:
                before = weight
            elif time < minute + MINUTE:
                within.append(weight)
        return [before, *within]

    def seconds_in(self, minute: int, now: float) -> dict[str, float]:
        """By the version: how many seconds of the alias's calls it got in that minute, until now
        and since the first shift."""
        seconds = {"original": 0.0, "new": 0.0}
        ends = [time for time, _ in self.weights[1:]] + [now]
        for (since, weight), end in zip(self.weights, ends, strict=True):
            begins = max(since, minute)
            lasted = max(0.0, min(end, minute + MINUTE) - begins)
            seconds["original"] += lasted * (1 - weight)
            seconds["new"] += lasted * weight
        return seconds

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
        """The new version's calls in the published whole minutes since the step began."""
        return round(self.total.get("of_step", 0))

    @property
    def compared(self) -> bool:
        """Whether there was a complete minute in which both versions had calls."""
        return any(name.startswith("ratio_") for name in self.total)

    @property
    def baseline(self) -> list[float]:
        """The sums for `likelihood.baseline`."""
        return [self.total.get(f"ratio_{ratio:g}", 0.0) for ratio in likelihood.RATIOS]


def _add(said: Sums, sums: Sums) -> None:
    for name, number in said.items():
        sums[name] = sums.get(name, 0) + number


def _since(weights: list[list[float]], moment: float) -> list[list[float]]:
    """Those that were in force at that moment, or came later."""
    earlier = [each for each in weights if each[0] <= moment]
    later = [each for each in weights if each[0] > moment]
    return [*earlier[-1:], *later]


def _said(look: Look, minute: int, now: float, weights: list[float]) -> Sums:
    """One minute's numbers; `weights` were in force in it."""
    original = look.original.get(minute, Counts())
    new = look.new.get(minute, Counts())
    sums = _named("original", original) | _named("new", new)
    if not look.complete("new", minute, now):
        return sums
    sums |= _named("tested", new)
    # A minute that began at full weight, or that was suspended at it. At full weight nothing is to
    # come of the original, so nothing is waited for. In the first seconds some calls may still go
    # to it, and after a suspension all do. They take no part, whenever they come: otherwise this
    # minute's evidence would be withdrawn when they are published, and the new version's calls
    # would be compared with the original's of another time.
    if weights == [1.0] or 1.0 in weights[:-1]:
        return sums | _named("weighed", new) | _named("alone", new)
    if not look.complete("original", minute, now):
        return sums
    sums |= _named("weighed", new) | _named("reference", original)
    if not original.invocations:
        return sums | _named("alone", new)
    share = new.invocations / (original.invocations + new.invocations)
    # A suspension makes the new version's share small because errors came; and an outage of both
    # versions hits them by the weight of its seconds, not by that of the minute.
    if 0.0 in weights[1:] or (len(weights) > 1 and _stands_out(look, minute, now)):
        share = max(share, *(weight for weight in weights if weight < 1))
    for ratio in likelihood.RATIOS if new.invocations else ():
        sums[f"ratio_{ratio:g}"] = likelihood.of_minute(ratio, share, new.errors, original.errors)
    return sums


def _stands_out(look: Look, minute: int, now: float) -> bool:
    """Whether the original version failed far more often in that minute than in another one: it
    may have had an outage of some seconds."""
    rates = []
    for other, counts in look.original.items():
        if other != minute and counts.invocations and look.complete("original", other, now):
            rates.append(counts.errors / counts.invocations)
    counts = look.original[minute]
    usual = min(rates, default=0.0) * counts.invocations
    return counts.errors > OUTAGE * usual + BY_CHANCE


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
