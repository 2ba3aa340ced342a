"""How the weight rises: from the payload's `weights`, or from `type` and `steps`, to a list of
weights.

A weight is the share of the alias's calls that the new version gets: above 0, strictly rising, the
last one 1.
"""

import re
from difflib import get_close_matches
from typing import Any

from deployer.decisions.errors import InvalidRollout
from deployer.decisions.payload import is_number, shown

#: The most weights that a rollout may have.
MOST_STEPS = 1000

#: What the payload's `weights` and `type` must be.
WEIGHTS = (
    f"a list of numbers that rise, each above 0, the last one 1, at most {MOST_STEPS}, "
    "such as [0.05, 0.25, 1]"
)
_SUCH_AS = '"Canary10Percent5Minutes", "Linear10PercentEvery1Minute" or "AllAtOnce"'


def linear(steps: int) -> tuple[float, ...]:
    """Equal steps up to 1: of two decimals as in the sample, of three beyond 100 so that they
    still rise."""
    decimals = 2 if steps <= 100 else 3
    return tuple(round((step + 1) / steps, decimals) for step in range(steps))


def exponential(steps: int) -> tuple[float, ...]:
    """Each weight twice the one before."""
    return tuple(0.5**left for left in reversed(range(steps)))


#: By `type`: the most `steps` that it may have, and what makes weights of them; or the weights.
BY_STEPS = {"linear": (MOST_STEPS, linear), "exponential": (20, exponential)}
FIXED = {"canary": (0.1, 1.0), "all-at-once": (1.0,)}

TYPES = (
    ", ".join(f'"{name}"' for name in (*BY_STEPS, *FIXED))
    + f", or a CodeDeploy Lambda configuration such as {_SUCH_AS}"
)

_PERCENT = r"(?:Canary|(?P<linear>Linear))(?P<percent>[1-9][0-9]?)Percent"
_MINUTES = r"(?(linear)Every)(?P<minutes>[1-9][0-9]{0,4})Minutes?"
_CODEDEPLOY = re.compile(
    rf"(?:CodeDeployDefault\.Lambda|Lambda)?(?:AllAtOnce|{_PERCENT}{_MINUTES})"
)


def rising(value: Any) -> tuple[float, ...] | None:
    """The payload's `weights`; None where it is no list of a possible length."""
    if not isinstance(value, list) or not 0 < len(value) <= MOST_STEPS:
        return None
    for before, weight in zip([0, *value], value, strict=False):
        if not is_number(weight) or not before < weight <= 1:
            raise InvalidRollout(
                f"'weights' must be {WEIGHTS}, but {shown(weight)} follows {shown(before)}."
            )
    if value[-1] != 1:
        raise InvalidRollout(
            f"'weights' must end with 1, but it ends with {value[-1]}: add 1 as the last weight."
        )
    return tuple(float(weight) for weight in value)


def progression(kind: str, steps: int | None) -> tuple[tuple[float, ...], float | None]:
    """The weights of `type`, and the interval in seconds where it is a CodeDeploy name."""
    if kind in FIXED:
        return FIXED[kind], None
    if kind in BY_STEPS:
        most, weights = BY_STEPS[kind]
        if steps is None:
            raise InvalidRollout(
                f"'steps' is required for the type '{kind}': add it, for example \"steps\": 10."
            )
        if steps > most:
            raise InvalidRollout(
                f"'steps' must be from 1 to {most} for the type '{kind}', but it is {steps}."
            )
        return weights(steps), None
    name = _CODEDEPLOY.fullmatch(kind)
    if name is None:
        near = get_close_matches(kind, (*BY_STEPS, *FIXED, "AllAtOnce"), n=1)
        remedy = f": did you mean '{near[0]}'?" if near else "."
        raise InvalidRollout(f"'type' must be {TYPES}, but it is {shown(kind)}{remedy}")
    percent = int(name["percent"] or 100)  # AllAtOnce: all of it, for a minute
    minutes = int(name["minutes"] or 1)
    rise = percent if name["linear"] else 100
    return tuple(share / 100 for share in (*range(percent, 100, rise), 100)), 60.0 * minutes
