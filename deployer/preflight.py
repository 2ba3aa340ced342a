"""What is checked before the alias is touched. Writes nothing.

Whatever cannot go well is refused here, while nothing has happened yet. A new check before the start
goes here.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from deployer import aws
from deployer.alias import Alias
from deployer.clock import Clock
from deployer.errors import AliasBusy, DeployError, InvalidRollout, RolloutInterrupted
from deployer.metrics import Metrics, NotSeen
from deployer.rollout import Rollout

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

#: Seconds between two questions whether a Pending version has become Active.
_POLL = 5.0

_Answer = TypeVar("_Answer")


def open_alias(client: "LambdaClient", clock: Clock, rollout: Rollout, rollout_id: str) -> Alias:
    """The alias, unsplit or with an abandoned split. Raises `InvalidRollout`, `AliasBusy`."""
    try:
        alias = _persist(clock, lambda: Alias(client, clock, rollout, rollout_id))
    except aws.CallFailed as error:
        name = f"Alias '{rollout.alias_name}' of '{rollout.function_name}'"
        remedy = "check 'function-name' and 'alias-name'"
        failure = _failure(f"{name} could not be read", error, remedy)
        failure.where = "Nothing was changed; where the alias is could not be read."
        raise failure from error
    problem: DeployError | None = None
    if alias.original == "$LATEST":
        problem = InvalidRollout("The alias is on $LATEST, which cannot be split: put it on a published version first.")
    elif alias.seen.routing and not alias.seen.abandoned(clock.now()):
        problem = AliasBusy(alias.seen.busy())
    if problem:
        problem.where = alias.where()
        raise problem
    return alias


def check_version(client: "LambdaClient", clock: Clock, rollout: Rollout) -> None:
    """Wait until the new version is Active, as long as the rollout still fits into the time after it."""
    name = f"Version {rollout.new_version} of '{rollout.function_name}'"
    while True:
        try:
            told = _persist(
                clock,
                lambda: client.get_function_configuration(
                    FunctionName=rollout.function_name, Qualifier=rollout.new_version
                ),
            )
        except aws.CallFailed as error:
            remedy = "publish it first, or check 'new-version'"
            raise _failure(f"{name} could not be read", error, remedy) from error
        state, why = told.get("State", "Active"), told.get("StateReason", "no reason given").rstrip(".")
        if state == "Active":
            return
        if state == "Inactive":
            qualified = f"{rollout.function_name}:{rollout.new_version}"
            raise InvalidRollout(
                f"{name} is Inactive ({why}): its first calls would fail. Wake it with 'aws lambda invoke "
                f"--function-name {qualified} out.json', wait until it is Active, and start again."
            )
        if state != "Pending":
            raise InvalidRollout(f"{name} is {state} ({why}): publish a version that becomes Active.")
        if clock.spare() - _POLL < rollout.seconds:
            raise RolloutInterrupted(f"{name} is still Pending ({why}), and the rollout would not fit any more.")
        clock.sleep(_POLL)


def check_metrics(metrics: Metrics, clock: Clock) -> None:
    """One look before the first shift, so that a missing permission refuses the rollout."""
    for attempt in range(4):
        now = clock.now()
        try:
            metrics.look(now, now)
            return
        except NotSeen as unseen:
            if unseen.denied:
                raise InvalidRollout(f"The health check may not read CloudWatch: {unseen}") from unseen
            if attempt == 3:
                raise RolloutInterrupted(f"CloudWatch could not be read before the start: {unseen}") from unseen
            clock.pause(attempt)


def _persist(clock: Clock, call: Callable[[], _Answer]) -> _Answer:
    """Ask up to four times, unless AWS says no for good."""
    for attempt in range(3):
        try:
            return call()
        except aws.CallFailed as error:
            if aws.refused(error):
                raise
            clock.pause(attempt)
    return call()


def _failure(what: str, error: Exception, remedy: str) -> DeployError:
    """A wrong target, a missing permission, or an AWS that does not answer."""
    if aws.denied(error):
        remedy = "allow it to the deployer with the template's parameter TargetFunctions"
    if aws.refused(error):
        return InvalidRollout(f"{what}: {remedy}. AWS says {aws.words(error)}")
    return RolloutInterrupted(f"{what}. AWS says {aws.words(error)}")
