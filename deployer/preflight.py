"""What is checked before the alias is touched. Writes nothing.

`find` reads the alias, so that from then on every error can say where it is; `check` does the rest.
Whatever cannot go well is refused here, while nothing has happened yet. A new check before the start
goes here.
"""

from collections.abc import Callable
from typing import Any

from deployer import aws
from deployer.alias import Alias
from deployer.clock import Clock
from deployer.errors import AliasBusy, InvalidRollout, RolloutInterrupted
from deployer.metrics import Forbidden, NotSeen
from deployer.rollout import Rollout
from deployer.run import Progress, Run

#: Seconds between two questions whether a Pending version has become Active.
_POLL = 5.0

_FOR_LAMBDA = "with the template's parameter TargetFunctions"
_FOR_CLOUDWATCH = "with the action cloudwatch:GetMetricData"


def find(rollout: Rollout, means: aws.Means, rollout_id: str, most_looks: int = 0) -> Run:
    """A run that has not begun, of the alias as it is now."""
    name = f"Alias '{rollout.alias_name}' of '{rollout.function_name}'"
    remedy = "check 'function-name' and 'alias-name'"
    alias: Alias = _ask(means.clock, lambda: Alias(means, rollout, rollout_id), name, remedy, _FOR_LAMBDA)
    progress = Progress(rollout_id, alias.seen.version, alias.words, means.clock.time())
    return Run(rollout, means, alias, progress, most_looks)


def check(run: Run, needed: float) -> None:
    """See that the run may take its first shift, or that its version is deployed already.

    A Pending version is waited for as long as `needed` seconds would be left after it.
    """
    found = run.alias.seen
    if found.version == "$LATEST":
        raise InvalidRollout("The alias is on $LATEST, which cannot be split: put it on a published version first.")
    if found.routing and not found.abandoned(run.clock.now()):
        raise AliasBusy(found.busy())
    if not run.deployed:
        check_version(run, needed)
        check_metrics(run)


def check_version(run: Run, needed: float) -> None:
    """Wait until the new version is Active, while `needed` seconds would be left after it."""
    function, number, clock = run.rollout.function_name, run.rollout.new_version, run.clock
    name, remedy = f"Version {number} of '{function}'", "publish it first, or check 'new-version'"
    get = run.means.lambda_.get_function_configuration
    while True:
        told = _ask(clock, lambda: get(FunctionName=function, Qualifier=number), name, remedy, _FOR_LAMBDA)
        state, why = told.get("State", "Active"), told.get("StateReason", "no reason given").rstrip(".")
        if state == "Active":
            return
        if state == "Inactive":
            wake = f"aws lambda invoke --function-name {function}:{number} out.json"
            raise InvalidRollout(f"{name} is Inactive ({why}): run '{wake}', wait for Active, and start again.")
        if state != "Pending":
            raise InvalidRollout(f"{name} is {state} ({why}): publish a version that becomes Active.")
        if clock.spare() - _POLL < needed:
            raise RolloutInterrupted(f"{name} is still Pending ({why}), and the rollout would not fit any more.")
        clock.sleep(_POLL)


def check_metrics(run: Run) -> None:
    """One look before the first shift, so that a missing permission refuses the rollout."""
    now = run.clock.now()
    if run.rollout.health_check:
        remedy = "it is needed unless 'health-check' is false"
        _ask(run.clock, lambda: run.metrics.look(now, now), "CloudWatch", remedy, _FOR_CLOUDWATCH)


def _ask(clock: Clock, call: Callable[[], Any], what: str, remedy: str, permission: str) -> Any:
    """Ask up to four times, unless AWS says no for good. Raises `InvalidRollout`, `RolloutInterrupted`."""
    attempt, unread = 0, f"{what} could not be read"
    while True:
        try:
            return call()
        except (NotSeen, *aws.CallFailed) as error:
            denied = isinstance(error, Forbidden) or aws.denied(error)
            if denied:
                remedy = f"allow it to the deployer {permission}"
            if denied or aws.refused(error):
                raise InvalidRollout(f"{unread}: {remedy}. AWS says {aws.words(error)}") from error
            if attempt == 3:
                raise RolloutInterrupted(f"{unread} before the start. AWS says {aws.words(error)}") from error
        clock.pause(attempt)
        attempt += 1
