"""One trial of a cell: the virtual AWS (world/), with users' calls that are the same for
every policy.

Every call has a mark between 0 and 1, and goes to the new version when the mark is below its
weight; whether it would fail there, and whether it would fail on the original version, is drawn
with it. So policies differ by what they do, not by their luck. Nothing is drawn call by call: a
second's calls of the marks between two weights are one Poisson number, their failures two binomial
ones.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from bench.cells import Cell, Plan
from deployer import simple
from world.aws import MINUTE
from world.world import FakeClients, World

ORIGINAL, NEW = "7", "8"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)

Sums = NDArray[np.int64]


@dataclass(frozen=True)
class Users:
    """What users would meet. Each table has a row for every weight from 0 on: sums over the seconds
    up to each one."""

    starts: datetime
    phase: float  # of whatever looks once a minute, in seconds
    weights: tuple[float, ...]
    calls: dict[str, Sums]
    errors: dict[str, Sums]

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
    calls = random.poisson(cell.rate * widths, (len(widths), ceil(cell.plan.horizon)))
    on_new = random.binomial(calls, cell.new)
    on_original = random.binomial(calls, cell.original)
    return Users(
        starts,
        phase,
        weights,
        {NEW: _below(calls), ORIGINAL: _above(calls)},
        {NEW: _below(on_new), ORIGINAL: _above(on_original)},
    )


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
        self._offset = (users.starts - NOON).total_seconds()
        self._rows = {weight: row for row, weight in enumerate(users.weights)}
        self._counted = 0  # seconds

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
        for version in (ORIGINAL, NEW):
            calls = self.users.calls[version][row]
            errors = self.users.errors[version][row]
            called = int(calls[until] - calls[since])
            if called:
                failed = int(errors[until] - errors[since])
                counts = self.counts[version, minute]
                counts[0] += called
                counts[1] += failed
                self.failed_calls[version] += failed

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
        simple.deploy(event, FakeClients(self), "0123456789ab", "request-1")

    def shift(self, weight: float) -> None:
        self.update_alias(RoutingConfig={"AdditionalVersionWeights": {NEW: weight}})

    def roll_back(self) -> None:
        self.update_alias(RoutingConfig={"AdditionalVersionWeights": {}})

    def promote(self) -> None:
        self.update_alias(FunctionVersion=NEW, RoutingConfig={"AdditionalVersionWeights": {}})
