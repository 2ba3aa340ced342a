"""The anytime-valid tests: how strongly do counts say that the new version fails too often?

Each gives the logarithm of an e-value: a number that a version which does not fail too often brings
to 1/α in at most α of all rollouts, however often one looks (Ville's inequality). It averages
likelihood ratios over fixed alternatives. After Lindon, Sanden and Shirikian, "Rapid Regression
Detection in Software Deployments through Sequential Testing", KDD 2022.
"""

from collections.abc import Iterable
from math import exp, log

#: At most this share of healthy versions is rolled back; the evidence that it takes is 1/ALPHA.
ALPHA = 0.01

#: How many times as often the new version may fail, and how much of the average lies on it. Nine
#: tenths lie on a version that breaks what worked before: there every call until the rollback
#: counts; a small difference has time.
RATIOS = {1.5: 0.02, 2.5: 0.02, 6.0: 0.02, 20.0: 0.02, 100.0: 0.02, 1e6: 0.9}


def of_minute(ratio: float, share: float, new_errors: int, original_errors: int) -> float:
    """One minute's part in `baseline`, for an alternative of that ratio.

    `share` of the minute's calls went to the new version. If both versions fail equally often, each
    error falls on the new one with that probability; if it fails `ratio` times as often, with
    `ratio` × `share` / `total`. (That the calls are drawn without putting back makes the evidence
    smaller, never larger: Hoeffding 1963.)
    """
    total = share * ratio + 1 - share
    return new_errors * log(ratio / total) - original_errors * log(total)


def baseline(parts: Iterable[float]) -> float:
    """Evidence that the new version fails more often than the original: the minutes' sums, in
    the order of RATIOS."""
    return _average(zip(RATIOS.values(), parts, strict=True))


def rate(limit: float, invocations: float, errors: float) -> float:
    """Evidence that the error rate is above `limit`, which lies between 0 and 1.

    The alternatives are the limit times each ratio, as far as that is below 1, and a rate half-way
    to 1.
    """
    alternatives = [limit * ratio for ratio in RATIOS if limit * ratio < 1] + [(1 + limit) / 2]
    good = invocations - errors
    parts = [
        errors * log(other / limit) + good * log((1 - other) / (1 - limit))
        for other in alternatives
    ]
    return _average((1 / len(parts), part) for part in parts)


def highest_rate(invocations: float, errors: float) -> float:
    """The upper 99 % limit of an error rate, from counts: Chernoff's bound, solved by halving."""
    if not invocations:
        return 1.0
    seen = errors / invocations
    low = seen
    high = 1.0
    for _ in range(50):
        middle = (low + high) / 2
        apart = _times_log(seen, middle) + _times_log(1 - seen, 1 - middle)
        if invocations * apart < log(1 / ALPHA):
            low = middle
        else:
            high = middle
    return high


def _times_log(factor: float, other: float) -> float:
    return factor * log(factor / other) if factor else 0.0


def _average(weighted: Iterable[tuple[float, float]]) -> float:
    """The logarithm of the weighted sum of the exponentials, without overflow."""
    pairs = list(weighted)
    most = max(part for _, part in pairs)
    return most + log(sum(weight * exp(part - most) for weight, part in pairs))
