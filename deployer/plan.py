"""The dry run: what a rollout would do, from what can be asked without a write. Changes nothing."""

from collections.abc import Iterator
from typing import Any

from deployer import aws
from deployer.decisions import ending
from deployer.decisions.ending import Ending
from deployer.decisions.evidence import MINUTE
from deployer.metrics import NotSeen
from deployer.run import Run

#: So many minutes back the alias's calls are counted.
_MINUTES = 60

#: A step in which the new version sees fewer calls than this can hardly be judged.
FEW = 100


def plan(run: Run, driver: str) -> Ending:
    """The ending whose result has the `plan`: times in seconds from the first shift; `calls` of
    the new version."""
    rollout, progress = run.rollout, run.progress
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
        progress.warnings += _too_few(run, calls)
    planned = {
        "driver": driver,
        "seconds": rollout.seconds,
        "longest-gap": run.steps.looks.longest,
        "steps": steps,
        "calls-a-minute": calls,
        "fails-on": list(_fails_on(run)),
    }
    return Ending(ending.PLANNED, more={"plan": planned})


def _calls_a_minute(run: Run) -> float | None:
    """Of the alias, whichever version was called; None when CloudWatch could not be asked."""
    now = run.clock.time()
    try:
        minutes = run.metrics.calls(now - _MINUTES * MINUTE, now)
    except (NotSeen, *aws.CallFailed):
        return None
    called = sum(1 for calls in minutes if calls)
    if 0 < called < _MINUTES // 2:
        run.progress.warnings.append(
            f"Only {called} of the last {_MINUTES} minutes had calls: the plan counts with all."
        )
    return sum(minutes) / _MINUTES


def _too_few(run: Run, calls: float) -> Iterator[str]:
    """Steps in which there is too little to judge by, as one sentence."""
    rollout = run.rollout
    few = [weight for weight in rollout.weights if calls * weight * rollout.interval / MINUTE < FEW]
    if not calls:
        yield (
            "Nobody called this alias in the last hour: "
            "there would be nothing to judge the new version by."
        )
    elif few:
        a_minute = calls * few[0]
        at = f"{few[0] * 100:g} % of {calls:.3g} calls a minute: {a_minute:.2g} a minute"
        lasts = f"a step lasts {rollout.interval:g} s"
        yield f"{at}; {FEW} calls, to judge by, need {FEW / a_minute:.0f} minutes, and {lasts}."


def _fails_on(run: Run) -> Iterator[str]:
    """What would roll it back, in words."""
    check, new = run.check, run.rollout.new_version
    if not run.checked:
        return
    if check.errors == "any":
        yield f"any error of version {new}"
    elif check.errors == "baseline":
        yield f"version {new} failing more often than version {run.progress.original}"
    elif check.errors:
        yield f"version {new} failing more than {check.errors * 100:g} % of its calls"
    for limit in check.metrics.values():
        yield f"{limit} above {limit.above:g}"
    for alarm in check.alarms:
        yield f"alarm {alarm} going into ALARM"
    if check.smoke_test is not None:
        yield f"the smoke test of version {new} (not run in a dry run)"
    if check.min_invocations:
        few = f"fewer than {check.min_invocations} calls in a step"
        yield f"{few}, {check.hold:g} s beyond its interval"
