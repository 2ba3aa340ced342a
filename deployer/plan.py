"""The dry run: what a rollout would do, from what can be asked without a write. Changes nothing."""

from collections.abc import Iterator
from typing import Any

from deployer.decisions import ending
from deployer.decisions.ending import Ending
from deployer.decisions.evidence import MINUTE
from deployer.verbs import Run

#: A step in which the new version sees fewer calls than this can hardly be judged.
FEW = 100


def plan(run: Run, driver: str) -> Ending:
    """The ending whose result has the `plan`: times in seconds from the first shift; `calls` of
    the new version."""
    rollout = run.rollout
    calls = _calls_a_minute(run)
    steps = []
    for number, weight in enumerate(rollout.weights):
        begins = number * rollout.interval
        step: dict[str, Any] = {
            "weight": weight,
            "from": begins,
            "until": begins + rollout.interval,
        }
        if calls is not None:
            step["calls"] = round(calls * weight * rollout.interval / MINUTE)
        steps.append(step)
    if calls is not None:
        run.progress.warnings += _too_few(run, calls)
    checks = rollout.health_check.checks
    planned = {
        "driver": driver,
        "seconds": rollout.seconds,
        "longest-gap": run.timeline.gaps.longest,
        "steps": steps,
        "calls-a-minute": calls,
        "fails-on": [reason for check in checks for reason in check.fails_on(run.versions)],
        "suspends-on": run.early_warning.suspends_on,
    }
    return Ending(ending.PLANNED, more={"plan": planned})


def _calls_a_minute(run: Run) -> float | None:
    """Of the alias, whichever version was called; None when CloudWatch could not be asked."""
    minutes = run.hour_before
    if minutes is None:
        return None
    called = sum(1 for calls in minutes if calls)
    if 0 < called < 30:
        run.progress.warnings.append(
            f"Only {called} of the last 60 minutes had calls: the plan counts with all."
        )
    return sum(minutes) / 60


def _too_few(run: Run, calls: float) -> Iterator[str]:
    """One warning where a step has too little to judge by."""
    interval = run.rollout.interval
    few = [weight for weight in run.rollout.weights if calls * weight * interval / MINUTE < FEW]
    if not calls:
        yield (
            "Nobody called this alias in the last hour: "
            "there would be nothing to judge the new version by."
        )
    elif few:
        a_minute = calls * few[0]
        yield (
            f"{few[0] * 100:g} % of {calls:.3g} calls a minute: {a_minute:.2g} a minute; "
            f"{FEW} calls, to judge by, need {FEW / a_minute:.2g} min, "
            f"and a step lasts {interval:g} s."
        )
