"""What is checked before the alias is touched. Writes nothing.

`find` reads the alias, so that from then on every error can say where it is; `check` does the rest.
Whatever cannot go well is refused here, while nothing has happened yet. A new check before the
start goes here.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from botocore.exceptions import ReadTimeoutError

from deployer import aws
from deployer.alias import PATIENCE, Alias
from deployer.clock import Clock
from deployer.decisions import ending
from deployer.decisions.checks import SMOKE_SECONDS
from deployer.decisions.ending import Ending, PromotedByHand
from deployer.decisions.errors import (
    AliasBusy,
    AliasChanged,
    HealthCheckFailed,
    InvalidRollout,
    RollbackFailed,
    RolloutInterrupted,
)
from deployer.decisions.ownership import Want, Whose, left_by
from deployer.decisions.payload import as_json
from deployer.decisions.rollout import Rollout
from deployer.decisions.stamp import shortened
from deployer.decisions.steps import Progress
from deployer.metrics import Hopeless, NotSeen
from deployer.run import Run
from deployer.tell import logger

#: Seconds between two questions whether a Pending version has become Active.
_POLL = 5.0

_FOR_LAMBDA = "with the template's parameter TargetFunctions"
_FOR_CLOUDWATCH = "with the actions cloudwatch:GetMetricData and cloudwatch:DescribeAlarms"


def find(rollout: Rollout, means: aws.Means, rollout_id: str, most_looks: int = 0) -> Run:
    """A run that has not begun, of the alias as it is now."""
    name = f"Alias '{rollout.alias_name}' of '{rollout.function_name}'"
    remedy = "check 'function-name' and 'alias-name'"
    alias: Alias = _ask(
        means.clock, lambda: Alias(means, rollout, rollout_id), name, remedy, _FOR_LAMBDA
    )
    progress = Progress(rollout_id, alias.seen.version, alias.words, means.clock.time())
    return Run(rollout, means, alias, progress, most_looks)


def check(run: Run, needed: float) -> None:
    """See that the run may take its first shift, or that its version is deployed already.

    A Pending version is waited for as long as `needed` seconds would be left after it.
    """
    found = run.alias.seen
    if found.version == "$LATEST":
        raise InvalidRollout(
            "The alias is on $LATEST, which cannot be split: put it on a published version first."
        )
    whose = run.alias.judged(Want({})).whose
    if whose is Whose.BUSY or (found.routing and whose is not Whose.ABANDONED):
        raise AliasBusy(found.busy)
    if not run.deployed:
        check_version(run, needed)
        check_metrics(run)


def check_version(run: Run, needed: float) -> None:
    """Wait until the new version is Active, while `needed` seconds would be left after it."""
    function, number, clock = run.rollout.function_name, run.rollout.new_version, run.clock
    name, remedy = f"Version {number} of '{function}'", "publish it first, or check 'new-version'"
    get = run.means.lambda_.get_function_configuration
    while True:
        told = _ask(
            clock, lambda: get(FunctionName=function, Qualifier=number), name, remedy, _FOR_LAMBDA
        )
        state, why = (
            told.get("State", "Active"),
            told.get("StateReason", "no reason given").rstrip("."),
        )
        if state == "Active":
            return
        if state == "Inactive":
            wake = f"aws lambda invoke --function-name {function}:{number} out.json"
            raise InvalidRollout(
                f"{name} is Inactive ({why}): run '{wake}', wait for Active, and start again."
            )
        if state != "Pending":
            raise InvalidRollout(
                f"{name} is {state} ({why}): publish a version that becomes Active."
            )
        if clock.spare() - _POLL < needed:
            target = f"--function-name {function} --qualifier {number}"
            wait = f"aws lambda wait published-version-active {target}"
            raise RolloutInterrupted(
                f"{name} is still Pending ({why}): run '{wait}', and start again."
            )
        clock.sleep(_POLL)


def check_metrics(run: Run) -> None:
    """One look before the first shift, so that a missing permission or an absent alarm refuses
    the rollout."""
    now, evidence = run.clock.time(), run.progress.evidence
    if run.checked:
        remedy = (
            "check 'health-check.metrics'"
            if run.check.metrics
            else "it is needed unless 'health-check' is false"
        )
        look = _ask(
            run.clock, lambda: run.metrics.look(now, now), "CloudWatch", remedy, _FOR_CLOUDWATCH
        )
        evidence.muted = [name for name, state in look.alarms.items() if state == "ALARM"]
        muted = (
            "was in ALARM before the start: it cannot judge the new version until it has left ALARM"
        )
        run.progress.warnings += [f"Alarm {name} {muted}." for name in evidence.muted]


def warn_of_abandoned(run: Run) -> None:
    if run.alias.seen.routing:
        run.progress.warnings.append(
            "A rollout that had died has left the alias split: it would be rolled back first."
        )


def settled(run: Run) -> Ending | None:
    """Undo what a dead rollout left; how it ends where the alias stands on the new version."""
    split = bool(run.alias.seen.routing)
    if split and not run.rollout.dry_run:
        undo_abandoned(run)
        found = run.alias.seen
        if found.routing:
            raise AliasBusy(found.busy)
        if found.version == run.rollout.new_version and not run.deployed:
            return Ending(ending.ALREADY_DEPLOYED, warning=ending.PROMOTED)
        if found.version != run.progress.original:
            raise AliasChanged("Somebody else moved the alias before the first shift.")
    if run.deployed:
        return Ending(ending.ALREADY_DEPLOYED)
    return None


def undo_abandoned(run: Run) -> None:
    """Roll back the split that a dead rollout left, and tell that rollout's ending."""
    dead = _run_of_the_dead(run)
    cause = RolloutInterrupted(
        f"The deployer died. Rollout {run.progress.id} found what it had left."
    )
    try:
        dead.alias.roll_back(PATIENCE)
        if dead.alias.by_ourselves:
            dead.tell("ROLLED_BACK", reason=cause.reason)
            dead.tell_ending(ending.rolled_back(cause, was_split=True).at(dead.alias.told))
            run.progress.warnings.append(
                "A rollout that had died had left the alias split: rolled back first."
            )
    except RollbackFailed as failed:
        raise RolloutInterrupted(
            f"A rollout that had died has left the alias split. {failed.reason}"
        ) from failed
    except (PromotedByHand, AliasChanged):
        pass  # somebody else came first: it is as they made it
    run.alias.catch_up(dead.alias.seen)
    run.log_as_own()


def _run_of_the_dead(run: Run) -> Run:
    """Of the rollout whose stamp is on the alias, as far as that tells it."""
    found = run.alias.seen
    hold = left_by(found)
    mark = found.stamp
    assert mark is not None
    weights = (mark.weight,) * mark.steps
    rollout = replace(run.rollout, new_version=mark.new_version, weights=weights, health_check=None)
    alias = Alias(run.means, rollout, mark.rollout_id, found)
    alias.resume(hold, found.words)
    progress = Progress(mark.rollout_id, found.version, found.words, started=0.0, step=mark.step)
    return Run(rollout, run.means, alias, progress)


def smoke_test(run: Run) -> None:
    """Invoke the new version once, before any user is moved to it. Raises `HealthCheckFailed`
    when it fails."""
    if run.check.smoke_test is None or run.deployed:
        return
    function, number = run.rollout.function_name, run.rollout.new_version
    name, failed = f"Version {number} of '{function}'", "The smoke test failed"
    request = {
        "FunctionName": function,
        "Qualifier": number,
        "Payload": as_json(run.check.smoke_test),
    }
    try:
        answer = run.means.once.invoke(**request)
        told = answer["Payload"].read().decode("utf-8", "replace")
    except ReadTimeoutError as error:
        raise HealthCheckFailed(
            f"{failed}: {name} gave no answer within {SMOKE_SECONDS:g} s."
        ) from error
    except aws.CallFailed as error:
        if aws.no_start(error):
            raise HealthCheckFailed(
                f"{failed}: {name} could not be started. AWS says {aws.words(error)}"
            ) from error
        untested = f"{name} could not be invoked for the smoke test"
        if aws.denied(error):
            untested += (
                ": allow it to the deployer with the template's parameter SmokeTestFunctions"
            )
        if aws.refused(error):
            raise InvalidRollout(f"{untested}. AWS says {aws.words(error)}") from error
        raise RolloutInterrupted(f"{untested}. AWS says {aws.words(error)}") from error
    if "FunctionError" in answer:
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            own = json.loads(told)
            told = f"{own.get('errorType', 'error')}: {own['errorMessage']}"
        raise HealthCheckFailed(
            f"{failed}: {name} answered with {shortened(told, 500).rstrip('.')}."
        )
    logger.info("SMOKE_TESTED")


def _ask(clock: Clock, call: Callable[[], Any], what: str, remedy: str, permission: str) -> Any:
    """Ask up to ten times, unless AWS says no for good. Raises `InvalidRollout`,
    `RolloutInterrupted`."""
    attempt, unread = 0, f"{what} could not be read"
    while True:
        try:
            return call()
        except Hopeless as error:
            raise InvalidRollout(str(error)) from error
        except (NotSeen, *aws.CallFailed) as error:
            denied = aws.denied(error)
            if denied:
                remedy = f"allow it to the deployer {permission}"
            if denied or aws.refused(error):
                raise InvalidRollout(f"{unread}: {remedy}. AWS says {aws.words(error)}") from error
            if attempt == 9:
                raise RolloutInterrupted(
                    f"{unread} before the start. AWS says {aws.words(error)}"
                ) from error
        clock.pause(attempt)
        attempt += 1
