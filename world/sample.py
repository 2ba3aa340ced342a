"""A model of the original sample's rollout, to compare with: update the weight, sleep, look at the
last 60 seconds.

Its rule and order of steps are awslabs/aws-lambda-deploy's `simple.py`; it runs in the same world,
and has no retries.
"""

from collections.abc import Sequence
from datetime import timedelta

from world.aws import Aws


class SampleHealthCheckFailed(Exception):
    """When the sample saw an error in the last 60 seconds."""


def linear(steps: int) -> tuple[float, ...]:
    """The sample's weights."""
    return tuple(round(step / steps, 2) for step in range(1, steps + 1))


def deploy(world: Aws, weights: Sequence[float], interval: float) -> None:
    """The sample's loop; raises after having cleared the routing when it sees an error."""
    for weight in weights:
        world.update_alias(RoutingConfig={"AdditionalVersionWeights": {"8": weight}})
        world.advance(interval)
        if errors_of_the_last_minute(world, "8"):
            world.update_alias(RoutingConfig={"AdditionalVersionWeights": {}})
            raise SampleHealthCheckFailed
    world.update_alias(FunctionVersion="8", RoutingConfig={"AdditionalVersionWeights": {}})


def errors_of_the_last_minute(world: Aws, version: str) -> int:
    """The sum of `Errors` as `GetMetricStatistics` answers: from a whole minute on, of what is
    published by now."""
    start = (world.now() - timedelta(seconds=60)).replace(second=0, microsecond=0)
    return sum(
        errors
        for (executed, minute), (_, errors) in world.counts.items()
        if executed == version and start <= minute < world.now() and world.published(minute)
    )
