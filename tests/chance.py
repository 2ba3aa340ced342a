"""Chance, for tests that play thousands of rollouts: failed calls as they are drawn, and how sure a
share is."""

import random
from math import log, sqrt


def drawn(source: random.Random, calls: int, rate: float) -> int:
    """Binomial, by skipping from one error to the next; where there are many, by its normal
    approximation."""
    if not rate or not calls:
        return 0
    mean = calls * rate
    if rate == 1:
        return calls
    if mean > 50:
        return min(calls, max(0, round(source.gauss(mean, sqrt(mean * (1 - rate))))))
    errors = 0
    place = 0.0
    scale = log(1 - rate)
    while (place := place + 1 + int(log(1 - source.random()) / scale)) <= calls:
        errors += 1
    return errors


def interval(count: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    share = count / trials
    z = 1.96
    whole = 1 + z * z / trials
    middle = share + z * z / (2 * trials)
    spread = z * sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    return max(0.0, (middle - spread) / whole), (middle + spread) / whole
