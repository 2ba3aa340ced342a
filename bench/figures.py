"""PURE. From outcomes to figures with 95 % intervals: shares (Wilson), means (normal), ratios
(bootstrap)."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np

from bench.trials import Outcome

#: The normal distribution's 97.5 % point.
Z = 1.959964

RESAMPLES = 2000

#: Divided by in the place of 0.
NOTHING = 1e-9


class Figure(NamedTuple):
    """An estimate, and the interval's ends."""

    value: float
    low: float
    high: float


class Figures(NamedTuple):
    """Of one policy in one cell."""

    trials: int
    back: Figure  # share of the trials that were rolled back
    through: Figure  # share of the trials that were promoted
    failed: Figure  # users' failed calls on the new version, a trial
    seconds: Figure | None  # from the first shift to the rollback; None where none was rolled back
    finalized: Figure | None  # from the first shift; None where none was promoted


class Later(NamedTuple):
    """By how many seconds trials were promoted later."""

    mean: Figure
    worst: float


def figures(outcomes: Sequence[Outcome]) -> Figures:
    seconds = [outcome.back for outcome in outcomes if outcome.back is not None]
    finalized = [outcome.finalized for outcome in outcomes if outcome.finalized is not None]
    return Figures(
        len(outcomes),
        share(len(seconds), len(outcomes)),
        share(len(outcomes) - len(seconds), len(outcomes)),
        mean([outcome.failed for outcome in outcomes]),
        mean(seconds) if seconds else None,
        mean(finalized) if finalized else None,
    )


def later(these: Sequence[Outcome], those: Sequence[Outcome]) -> Later | None:
    """Trial by trial in the same worlds, of those that both have promoted; None where there is
    none."""
    differences = [
        one.finalized - other.finalized
        for one, other in zip(these, those, strict=True)
        if one.finalized is not None and other.finalized is not None
    ]
    if not differences:
        return None
    return Later(mean(differences), max(differences))


def share(count: int, of: int) -> Figure:
    """Wilson's interval."""
    value = count / of
    z2 = Z * Z / of
    middle = (value + z2 / 2) / (1 + z2)
    half = sqrt(value * (1 - value) * z2 + z2 * z2 / 4) / (1 + z2)
    return Figure(value, max(0.0, min(value, middle - half)), min(1.0, max(value, middle + half)))


def mean(values: Sequence[float]) -> Figure:
    """The normal interval; no interval can be told of a single value."""
    value = float(np.mean(values))
    half = Z * float(np.std(values, ddof=1)) / sqrt(len(values)) if len(values) > 1 else 0.0
    return Figure(value, value - half, value + half)


def ratio(these: Sequence[Outcome], those: Sequence[Outcome]) -> Figure:
    """Of the mean failed calls, trial by trial in the same worlds; its interval by resampling
    trials."""
    above = np.array([outcome.failed for outcome in these], float)
    below = np.array([outcome.failed for outcome in those], float)
    trials = len(above)
    resampled = np.random.default_rng(0).integers(trials, size=(RESAMPLES, trials))
    ratios = above[resampled].sum(axis=1) / np.maximum(below[resampled].sum(axis=1), NOTHING)
    low, high = np.quantile(ratios, [0.025, 0.975])
    value = above.sum() / max(below.sum(), NOTHING)
    return Figure(float(value), float(low), float(high))
