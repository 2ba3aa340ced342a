"""Who moves the alias: the deployer itself, models of its peers, and an oracle. What each assumes
is in docs/bench.md.

A policy gets a world and a plan, and leaves the alias on one version. All of them see what
CloudWatch has published, and nothing else; the deployer reads the function's log besides, unless
its `health-check` says no.
"""

from collections.abc import Callable
from contextlib import suppress
from math import ceil
from typing import Any

from bench.cells import Plan
from bench.trial import TrialWorld
from deployer.decisions.errors import (
    HealthCheckFailed,
    HealthCheckInconclusive,
    RolloutInterrupted,
)
from deployer.decisions.health import HealthCheck
from world.sample import SampleHealthCheckFailed, deploy

Policy = Callable[[TrialWorld, Plan], None]

#: Seconds between CodeDeploy's looks at its alarm: not published, assumed in its favour.
CODEDEPLOY_POLLS = 10.0

#: Flagger's documentation: `interval: 1m`, `threshold: 5`, `request-success-rate` of at least 99 %.
FLAGGER_CHECKS, FLAGGER_THRESHOLD, FLAGGER_MOST_ERRORS = 60.0, 5, 0.01


def ours(health_check: Any) -> Policy:
    """The deployer itself, with that `health-check`."""

    def policy(world: TrialWorld, plan: Plan) -> None:
        with suppress(HealthCheckFailed, HealthCheckInconclusive, RolloutInterrupted):
            world.deploy_for_real(plan, health_check)

    return policy


def sample(world: TrialWorld, plan: Plan) -> None:
    """The original sample: at each step's end, any error of the last 60 s."""
    with suppress(SampleHealthCheckFailed):
        deploy(world, plan.weights, plan.interval)


def codedeploy(at_once: bool) -> Policy:
    """CodeDeploy, and an alarm on the new version's errors: evaluated once a minute, or `at_once`
    when data come."""

    def alarmed(world: TrialWorld) -> bool:
        since = 0.0 if at_once else (world.time - world.users.phase) % 60
        newest = world.newest(world.time - since)
        return newest is not None and newest[2] >= 1

    def policy(world: TrialWorld, plan: Plan) -> None:
        polls = ceil(plan.interval / CODEDEPLOY_POLLS)
        for weight in plan.weights[:-1]:
            world.shift(weight)
            for _ in range(polls):
                world.advance(plan.interval / polls)
                if alarmed(world):
                    return world.roll_back()
        return world.promote()

    return policy


def flagger(world: TrialWorld, plan: Plan) -> None:
    """Flagger's analysis: the success rate of the newest minute, each minute; no values are a
    failed check.

    A failed check halts the advancement; the check after the last one that was allowed to fail
    rolls back.
    """
    every, failed = min(plan.interval, FLAGGER_CHECKS), 0
    for weight in plan.weights:
        world.shift(weight)
        end, good = world.time + plan.interval, False
        while not good or world.time < end - 1e-6:
            world.advance(every)
            if failed >= FLAGGER_THRESHOLD:
                return world.roll_back()
            newest = world.newest()
            good = newest is not None and newest[2] <= FLAGGER_MOST_ERRORS * newest[1]
            failed += not good
    return world.promote()


def oracle(world: TrialWorld, plan: Plan) -> None:
    """Rolls back the instant that the new version's first error is published; ends when the
    deployer would."""
    for step, weight in enumerate(plan.weights, 1):
        world.shift(weight)
        shifted = world.time
        while world.time < step * plan.interval:
            if _error_published(world, step * plan.interval):
                return world.roll_back()
    give_up = plan.end + HealthCheck().settle
    while world.time < give_up and (world.newest() or (0.0,))[0] <= shifted:
        if _error_published(world, give_up):
            return world.roll_back()
    return world.promote()


def _error_published(world: TrialWorld, until: float) -> bool:
    """Go on to what is published next, at most until then: is there an error?"""
    world.advance(min(world.next_published, until) - world.time)
    newest = world.newest()
    return newest is not None and newest[2] >= 1


#: The deployer's own policies: a `health-check` each.
OURS: dict[str, Any] = {
    "any": True,
    "baseline": {"errors": "baseline"},
    "any-without-log": {"logs": False},
    "baseline-without-log": {"errors": "baseline", "logs": False},
}

#: What the columns are called.
TITLES = {
    "any": "ours, `true`",
    "baseline": "ours, `baseline`",
    "any-without-log": "ours, `true`, without the log",
    "baseline-without-log": "ours, `baseline`, without the log",
    "sample": "sample's rule",
    "codedeploy": "CodeDeploy, alarm",
    "codedeploy-at-once": "CodeDeploy whose alarm is evaluated the instant data come",
    "flagger": "Flagger's rule",
    "oracle": "oracle",
}

POLICIES: dict[str, Policy] = {
    **{name: ours(health_check) for name, health_check in OURS.items()},
    "sample": sample,
    "codedeploy": codedeploy(at_once=False),
    "codedeploy-at-once": codedeploy(at_once=True),
    "flagger": flagger,
    "oracle": oracle,
}
