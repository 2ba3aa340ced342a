"""PURE. How the weight rises: from the payload's `type` and `steps` to a list of weights.

A weight is the share of the alias's calls that the new version gets: above 0, strictly rising, the
last one 1.
"""

import re
from difflib import get_close_matches

from deployer.errors import InvalidRollout

#: The most weights that a rollout may have.
MOST_STEPS = 1000

_TYPES = (
    '"linear", "exponential", "canary", "all-at-once", or a CodeDeploy Lambda configuration such as '
    '"Canary10Percent5Minutes", "Linear10PercentEvery1Minute" or "AllAtOnce"'
)
_CODEDEPLOY = re.compile(
    r"(?:CodeDeployDefault\.Lambda|Lambda)?"
    r"(?:Canary(?P<canary>[1-9][0-9]?)Percent(?P<canary_minutes>[1-9][0-9]{0,4})Minutes?"
    r"|Linear(?P<linear>[1-9][0-9]?)PercentEvery(?P<linear_minutes>[1-9][0-9]{0,4})Minutes?"
    r"|AllAtOnce)"
)


def progression(kind: str, steps: int | None) -> tuple[tuple[float, ...], float | None]:
    """The weights of `type`, and the interval in seconds where it is a CodeDeploy name."""
    if kind == "linear":
        return linear(_needed(steps, kind, MOST_STEPS)), None
    if kind == "exponential":
        count = _needed(steps, kind, 20)
        return tuple(0.5 ** (count - 1 - step) for step in range(count)), None
    if kind == "canary":
        return (0.1, 1.0), None
    if kind == "all-at-once":
        return (1.0,), None
    name = _CODEDEPLOY.fullmatch(kind)
    if name is None:
        near = get_close_matches(kind, ("linear", "exponential", "canary", "all-at-once", "AllAtOnce"), n=1)
        remedy = f": did you mean {near[0]!r}?" if near else "."
        raise InvalidRollout(f"'type' must be {_TYPES}, but it is {kind[:60]!r}{remedy}")
    if name["canary"]:
        return (int(name["canary"]) / 100, 1.0), 60.0 * int(name["canary_minutes"])
    if name["linear"]:
        percents = [*range(int(name["linear"]), 100, int(name["linear"])), 100]
        return tuple(percent / 100 for percent in percents), 60.0 * int(name["linear_minutes"])
    return (1.0,), 60.0


def linear(steps: int) -> tuple[float, ...]:
    """Equal steps up to 1: of two decimals as in the sample, of three beyond 100 so that they still rise."""
    decimals = 2 if steps <= 100 else 3
    return tuple(round((step + 1) / steps, decimals) for step in range(steps))


def _needed(steps: int | None, kind: str, most: int) -> int:
    if steps is None:
        raise InvalidRollout(f"'steps' is required for the type {kind!r}: add it, for example \"steps\": 10.")
    if steps > most:
        raise InvalidRollout(f"'steps' must be from 1 to {most} for the type {kind!r}, but it is {steps}.")
    return steps
