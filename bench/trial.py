"""One trial of a cell: the virtual AWS (world/), with users' calls that are the same for
every policy.

Every call has a mark between 0 and 1, and goes to the new version when the mark is below its
weight; whether it would fail there, and whether it would fail on the original version, is drawn
with it. So policies differ by what they do, not by their luck. Nothing is drawn call by call: a
second's calls of the marks between two weights are one Poisson number, their failures two binomial
ones. How late the log shows each failing call is drawn with them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from bench.cells import Cell, Log, Plan
from deployer import simple
from world.aws import MINUTE, Failed
from world.cloudwatch import COUNTED
from world.world import FakeClients, World

ORIGINAL, NEW = "7", "8"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)

#: Of all calls that share fails while an outage lasts. It begins so many seconds after its shift,
#: at most, and lasts from the least to the most of these; the original version's metrics are
#: published later than the new one's, by as many seconds at most.
OUTAGE = 0.3
OUTAGE_BEGINS = 30.0
OUTAGE_LASTS = (20.0, 180.0)
OUTAGE_LAG = 30.0

#: Events in a page of the log, as on AWS. There are so many sandboxes of each version that calls
#: which fail in the same second have streams of their own, nearly always.
PAGE = 10_000
SANDBOXES = 100

Sums = NDArray[np.int64]


class Lines(NamedTuple):
    """What the log has of failing calls if they go to their version: in the order of their
    times."""

    written: list[Failed]
    bands: Sums  # of a call's mark: how many of the plan's weights are below it
    of_new: NDArray[np.bool_]
    since: Sums  # of every second: the number of lines before it


@dataclass(frozen=True)
class Users:
    """What users would meet. Each table has a row for every weight from 0 on: sums over the seconds
    up to each one."""

    starts: datetime
    phase: float  # of whatever looks once a minute, in seconds
    weights: tuple[float, ...]
    calls: dict[str, Sums]
    errors: dict[str, Sums]
    lines: Lines
    lags: dict[tuple[str, str], float]  # by which metrics of a version are published later
    before: tuple[int, int]  # the original version's calls and errors of that minute, until then

    @property
    def seconds(self) -> int:
        return len(self.calls[NEW][0]) - 1


def draw(cell: Cell, seed: int, trial: int) -> Users:
    """The users of that trial; of the seed, the cell and the trial's number, and of nothing
    else."""
    random = np.random.default_rng([seed, crc32(cell.name.encode()), trial])
    starts = NOON + timedelta(milliseconds=int(random.integers(60_000)))
    phase = float(random.uniform(0, 60))
    weights = (0.0, *cell.plan.weights)
    widths = np.diff(weights)[:, np.newaxis]
    calls = random.poisson(cell.rate * widths, (len(widths), ceil(cell.plan.seconds)))
    outage = np.zeros(calls.shape[1])
    lags = {}
    if cell.outage:
        outage = _outage(random, cell.plan, cell.outage, len(outage))
        for metric in COUNTED:
            lags[metric, ORIGINAL] = float(random.uniform(0, OUTAGE_LAG))
    on_new = random.binomial(calls, 1 - (1 - cell.new) * (1 - outage))
    on_original = random.binomial(calls, 1 - (1 - cell.original) * (1 - outage))
    offset = (starts - NOON).total_seconds()
    lines = _lines(random, cell.log, offset, on_new, on_original)
    before = int(random.poisson(cell.rate * offset))
    return Users(
        starts,
        phase,
        weights,
        {NEW: _below(calls), ORIGINAL: _above(calls)},
        {NEW: _below(on_new), ORIGINAL: _above(on_original)},
        lines,
        lags,
        (before, int(random.binomial(before, cell.original))),
    )


def _outage(
    random: np.random.Generator, plan: Plan, weight: float, seconds: int
) -> NDArray[np.float64]:
    """Second by second, the share of calls that it fails."""
    shift = plan.weights.index(weight) * plan.interval
    begins = int(shift + random.uniform(0, OUTAGE_BEGINS))
    lasts = int(random.uniform(*OUTAGE_LASTS))
    shares = np.zeros(seconds)
    shares[begins : begins + lasts] = OUTAGE
    return shares


def _lines(
    random: np.random.Generator, log: Log, offset: float, on_new: Sums, on_original: Sums
) -> Lines:
    """A line for each failing call that is recognised, and the noise."""
    length = on_new.shape[1]
    bands, seconds = _each(on_new)
    if log.noise:
        noise = np.arange(0, length, 60)
        noise += random.integers(60, size=len(noise))
        noise = noise[noise < length]
        seconds = np.concatenate([seconds, noise])
        bands = np.concatenate([bands, np.zeros_like(noise)])  # whatever the weight is
    of_original = _each(on_original)
    of_new = np.arange(len(seconds) + len(of_original[1])) < len(seconds)
    bands = np.concatenate([bands, of_original[0]])
    seconds = np.concatenate([seconds, of_original[1]])
    # A second's calls are counted in the minute that it begins in.
    minute_ends = 60 * ((seconds + offset) // 60 + 1) - offset
    times = np.minimum(seconds + random.uniform(size=len(seconds)), minute_ends - 0.001)
    visible = times + random.uniform(*log.delay, len(seconds))
    recognised = random.uniform(size=len(seconds)) < log.recognised
    order = np.argsort(times)
    order = order[recognised[order]]
    versions = np.where(of_new, NEW, ORIGINAL)
    written = map(
        Failed,
        times[order].tolist(),
        versions[order].tolist(),
        visible[order].tolist(),
        range(len(order)),
    )
    since = np.searchsorted(seconds[order], np.arange(length + 1))
    return Lines(list(written), bands[order], of_new[order], since)


def _each(counts: Sums) -> tuple[Sums, Sums]:
    """Of each call that is counted: its band, and its second."""
    places = np.repeat(np.arange(counts.size), counts.ravel())
    bands, seconds = np.divmod(places, counts.shape[1])
    return bands, seconds


def _below(counts: Sums) -> Sums:
    """The calls with marks below each weight: nobody's below 0."""
    by_weight = np.vstack([np.zeros((1, counts.shape[1]), np.int64), counts.cumsum(axis=0)])
    return np.hstack([np.zeros((len(by_weight), 1), np.int64), by_weight.cumsum(axis=1)])


def _above(counts: Sums) -> Sums:
    """The calls with marks above each weight."""
    below = _below(counts)
    rest: Sums = below[-1] - below
    return rest


class TrialWorld(World):
    """The virtual AWS with these users. A second's calls meet the weight that the alias has at the
    second's end."""

    def __init__(self, cell: Cell, users: Users) -> None:
        super().__init__(rate=cell.rate, delay=cell.delay, starts=users.starts)
        self.users = users
        self.rate_before = cell.rate
        self.log_fault = cell.log.fault
        self.delays = dict(users.lags)
        self._horizon = ceil(cell.plan.horizon)
        self._offset = (users.starts - NOON).total_seconds()
        self._rows = {weight: row for row, weight in enumerate(users.weights)}
        self._counted = 0  # seconds
        if users.before[0]:
            self.counts[ORIGINAL, NOON] = list(users.before)

    # -- time and users ----------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        self.time += seconds
        end = min(int(self.time + 1e-6), self.users.seconds)
        while self._counted < end:
            minute = int((self._offset + self._counted) // 60)
            until = min(end, ceil(60 * (minute + 1) - self._offset))
            self._count(NOON + minute * MINUTE, self._counted, until)
            self._counted = until

    def _count(self, minute: datetime, since: int, until: int) -> None:
        row = self._rows[self.weight]
        self._write(row, since, until)
        for version in (ORIGINAL, NEW):
            calls = self.users.calls[version][row]
            errors = self.users.errors[version][row]
            called = int(calls[until] - calls[since])
            if called:
                counts = self.counts[version, minute]
                counts[0] += called
                counts[1] += int(errors[until] - errors[since])
                self.failed_calls[version] += int(
                    errors[min(until, self._horizon)] - errors[min(since, self._horizon)]
                )

    def _write(self, row: int, since: int, until: int) -> None:
        """The log gets the lines of those failing calls that went to their version."""
        lines = self.users.lines
        first = lines.since[since]
        last = lines.since[until]
        if first < last:
            went = (lines.bands[first:last] < row) == lines.of_new[first:last]
            self.failed += [lines.written[first + place] for place in np.flatnonzero(went)]

    @property
    def weight(self) -> float:
        """The new version's share of the calls."""
        return 1.0 if self.alias.version == NEW else self.alias.routing.get(NEW, 0.0)

    # -- what policies see -------------------------------------------------------------------------

    def newest(self, at: float | None = None) -> tuple[float, int, int] | None:
        """The newest published minute with calls of the new version: when it ended, its calls and
        its errors.

        `at` is a time in the past; None is now.
        """
        seen = self.starts + timedelta(seconds=(self.time if at is None else at) - self.delay)
        minutes = [
            minute for version, minute in self.counts if version == NEW and minute + MINUTE <= seen
        ]
        if not minutes:
            return None
        minute = max(minutes)
        calls, errors = self.counts[NEW, minute]
        return (minute + MINUTE - self.starts).total_seconds(), calls, errors

    @property
    def next_published(self) -> float:
        """When CloudWatch publishes again: later than now."""
        first = 60 - self._offset + self.delay
        return first + 60 * max(0, int((self.time + 1e-6 - first) // 60) + 1)

    # -- what policies do --------------------------------------------------------------------------

    def deploy_for_real(self, plan: Plan, health_check: Any) -> None:
        """The deployer's own handler; raises its errors."""
        event = {
            "function-name": "checkout",
            "alias-name": "live",
            "new-version": NEW,
            "health-check": health_check,
        }
        event |= {"weights": list(plan.weights), "interval": plan.interval}
        clients = FakeClients(self)
        clients.logs.PAGE = PAGE
        clients.logs.SANDBOXES = SANDBOXES
        simple.deploy(event, clients, "0123456789ab", "request-1")

    def shift(self, weight: float) -> None:
        self.update_alias(RoutingConfig={"AdditionalVersionWeights": {NEW: weight}})

    def roll_back(self) -> None:
        self.update_alias(RoutingConfig={"AdditionalVersionWeights": {}})

    def promote(self) -> None:
        self.update_alias(FunctionVersion=NEW, RoutingConfig={"AdditionalVersionWeights": {}})
