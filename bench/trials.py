"""All trials of all cells, on several processes: the same seed gives the same outcomes, whatever
their number."""

import contextlib
import gc
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from bench.cells import FEWER, HEAVY, Cell
from bench.policies import POLICIES
from bench.trial import NEW, TrialWorld, draw

#: The deployer's.
LOG = logging.getLogger("aws-lambda-deploy")

#: Trials that a process takes at once.
CHUNK = 25


class Outcome(NamedTuple):
    """How a trial went under one policy."""

    back: float | None  # seconds from the first shift to the rollback; None where it was promoted
    failed: int  # users' failed calls on the new version, until the horizon
    finalized: float | None = None  # seconds from the first shift; None where it was rolled back


#: Of one cell: for each policy the trials in order.
Outcomes = dict[str, list[Outcome]]


def run(
    cells: Sequence[Cell], trials: int, seed: int, workers: int, tell: Callable[[str], None]
) -> dict[Cell, Outcomes]:
    """Every policy in every trial of every cell."""
    work = [(cell, chunk) for cell in cells for chunk in _chunks(trials_of(cell, trials))]
    outcomes: dict[Cell, Outcomes] = {cell: _by_policy([]) for cell in cells}
    for (cell, chunk), found in zip(work, _answers(work, seed, workers), strict=True):
        for name, new in found.items():
            outcomes[cell][name] += new
        if chunk.stop == trials_of(cell, trials):
            tell(cell.name)
    return outcomes


def trials_of(cell: Cell, trials: int) -> int:
    return max(1, trials // FEWER) if cell in HEAVY else trials


def _chunks(trials: int) -> list[range]:
    return [range(first, min(first + CHUNK, trials)) for first in range(0, trials, CHUNK)]


def _answers(work: list[tuple[Cell, range]], seed: int, workers: int) -> Iterator[Outcomes]:
    """In the order of the work."""
    if workers == 1:
        begin()
        yield from map(partial(chunk_of, seed), work)
        return
    with get_context("spawn").Pool(workers, initializer=begin) as pool:
        yield from pool.imap(partial(chunk_of, seed), work)


def begin() -> None:
    """What a process does first."""
    quiet()
    gc.set_threshold(200_000, 20, 100)  # looking for garbage would take a fifth of the time


def quiet() -> None:
    """The deployer's log would cost more than all the rest."""
    LOG.setLevel(logging.CRITICAL)


def chunk_of(seed: int, work: tuple[Cell, range]) -> Outcomes:
    # The deployer's metrics are lines of its output.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        return outcomes_of(seed, *work)


def outcomes_of(seed: int, cell: Cell, chunk: range) -> Outcomes:
    return _by_policy([trial(cell, seed, number) for number in chunk])


def _by_policy(trials: Sequence[dict[str, Outcome]]) -> Outcomes:
    return {name: [outcomes[name] for outcomes in trials] for name in POLICIES}


def trial(cell: Cell, seed: int, number: int) -> dict[str, Outcome]:
    """One draw of users, and every policy in a world with them."""
    users = draw(cell, seed, number)
    outcomes = {}
    for name, policy in POLICIES.items():
        world = TrialWorld(cell, users)
        policy(world, cell.plan)
        assert not world.alias.routing, f"{name} left the alias split"
        world.advance(max(0.0, cell.plan.horizon - world.time))
        outcomes[name] = outcome(world)
    return outcomes


def outcome(world: TrialWorld) -> Outcome:
    failed = world.failed_calls[NEW]
    first = world.moves[0][0]
    last = world.moves[-1][0]
    if world.alias.version == NEW:
        return Outcome(None, failed, last - first)
    return Outcome(last - first, failed)
