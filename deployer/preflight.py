"""Before the first shift: the payload is read, the alias opened, and whatever cannot go well is
refused, while nothing has happened yet. What else must be asked before the start goes here.

It moves no alias, but one that a dead rollout left split: that is rolled back first.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from botocore.exceptions import ReadTimeoutError

from deployer import aws
from deployer.alias import PATIENCE, Alias
from deployer.decisions import ending, target
from deployer.decisions.checks import smoke_test
from deployer.decisions.checks.smoke_test import SmokeTest
from deployer.decisions.ending import Ending, PromotedByHand
from deployer.decisions.errors import (
    AliasBusy,
    AliasChanged,
    DeployError,
    HealthCheckFailed,
    InvalidRollout,
    RollbackFailed,
    RolloutInterrupted,
)
from deployer.decisions.failures import LONGEST
from deployer.decisions.ownership import Want, Whose, left_by
from deployer.decisions.payload import as_json
from deployer.decisions.rollout import KEYS, Rollout
from deployer.decisions.target import Target
from deployer.decisions.timeline import Progress
from deployer.metrics import Hopeless, NotSeen
from deployer.tell import logger, tell
from deployer.verbs import Run

#: Seconds between two questions whether a Pending version has become Active.
_POLL = 5.0

#: How often a question is asked, while AWS does not answer.
_ATTEMPTS = 10

#: So many seconds back the alias's calls are counted.
_HOUR = 3600.0

FOR_LAMBDA = "with the template's parameter TargetFunctions"
_FOR_CLOUDWATCH = "with the actions cloudwatch:GetMetricData and cloudwatch:DescribeAlarms"

_MOVED_BEFORE = "Somebody else moved the alias before the first shift."
_LATEST = "The alias is on $LATEST, which cannot be split: put it on a published version first."


def begin(
    payload: Any,
    means: aws.Means,
    rollout_id: str,
    before_first_shift: Callable[[Run], Ending | None],
    most_looks: Callable[[int], int] = lambda steps: 0,
) -> tuple[Run | None, Ending | None]:
    """The run that the payload asks for, and how it ended where no shift is to be made: refused,
    or as the driver's `before_first_shift` says, which checks the rest. That ending is told here.

    `most_looks` limits the looks of a step, by the number of steps.
    """
    run = None
    who = {"rollout": rollout_id, **_who(payload, means.here)}
    try:
        rollout = Rollout.from_event(payload, means.here)
        run = _opened(rollout, means, rollout_id, most_looks(len(rollout.weights)))
        ended = before_first_shift(run)
    except DeployError as error:
        where = run.alias.where() if run else ending.UNTOUCHED
        ended = ending.refused(error).at(where)
    if ended and run:
        run.tell_ending(ended)
    elif ended:
        tell(means, ended.status, **who, reason=ended.reason, where=ended.where)
    return run, ended


def _who(payload: Any, here: str) -> dict[str, str]:
    """What the payload is about, and who started it, as far as that can be told of one that is
    refused, too."""
    if not isinstance(payload, Mapping):
        return {}
    given = {key: KEYS[key][1](payload.get(key)) for key in (*target.KEYS, "started-by")}
    who = {}
    with suppress(InvalidRollout):
        if all(given[key] for key in target.KEYS):
            who = Target.read(given, here)._asdict()
    if given["started-by"]:
        who["started-by"] = given["started-by"][0]
    return who


def _opened(rollout: Rollout, means: aws.Means, rollout_id: str, most_looks: int) -> Run:
    """A run that has not begun, of the alias as it is now: from here on every error can say where
    that is."""
    alias: Alias = ask(
        means,
        lambda: Alias(means, rollout, rollout_id),
        str(rollout.target),
        "check 'function-name' and 'alias-name'",
        FOR_LAMBDA,
    )
    progress = Progress(rollout_id, alias.seen.version, alias.words, means.clock.time())
    return Run(rollout, means, alias, progress, most_looks)


def check(run: Run, needed: float) -> None:
    """See that the run may take its first shift, or that its version is deployed already.

    A Pending version is waited for as long as `needed` seconds would be left after it.
    """
    found = run.alias.seen
    if found.version == "$LATEST":
        raise InvalidRollout(_LATEST)
    whose = run.alias.judged(Want({})).whose
    if whose is Whose.BUSY or (found.routing and whose is not Whose.ABANDONED):
        raise AliasBusy(found.busy)
    if not run.deployed:
        if run.rollout.too_quick:
            run.progress.warnings.append(run.rollout.too_quick)
        check_version(run, needed)
        run.rollout.must_end_in_time(run.clock.time())
        check_metrics(run)
        if run.check.listens or run.rollout.dry_run:
            count_calls(run)
        if run.check.listens:
            run.early_warning.begin(sum(run.hour_before or ()) / _HOUR)
    if whose is Whose.ABANDONED and run.rollout.dry_run:
        run.progress.warnings.append(
            "A rollout that had died has left the alias split: it would be rolled back first."
        )


def check_version(run: Run, needed: float) -> None:
    """Wait until the new version is Active, while `needed` seconds would be left after it."""
    function = run.rollout.target.function
    number = run.versions.new
    name = _version(run)
    while True:
        told = ask(
            run.means,
            lambda: run.means.lambda_.get_function_configuration(
                FunctionName=function, Qualifier=number
            ),
            name,
            "publish it first, or check 'new-version'",
            FOR_LAMBDA,
        )
        state = told.get("State", "Active")
        why = told.get("StateReason", "no reason given").rstrip(".")
        if state == "Active":
            run.progress.listening.group = told.get("LoggingConfig", {}).get("LogGroup", "")
            run.progress.listening.timeout = told.get("Timeout", LONGEST)
            return
        if state == "Inactive":
            raise InvalidRollout(
                f"{name} is Inactive ({why}): run "
                f"'aws lambda invoke --function-name {function}:{number} out.json', "
                "wait for Active, and start again."
            )
        if state != "Pending":
            raise InvalidRollout(
                f"{name} is {state} ({why}): publish a version that becomes Active."
            )
        if run.clock.spare() - _POLL < needed:
            raise RolloutInterrupted(
                f"{name} is still Pending ({why}): run 'aws lambda wait published-version-active "
                f"--function-name {function} --qualifier {number}', and start again."
            )
        run.clock.sleep(_POLL)


def check_metrics(run: Run) -> None:
    """One look before the first shift, so that a missing permission or an absent alarm refuses
    the rollout."""
    if not run.check.checks:
        return
    remedy = "it is needed unless 'health-check' is false"
    if run.check.queries:
        remedy = "check 'health-check.metrics'"
    now = run.clock.time()
    look = ask(run.means, lambda: run.metrics.look(now, now), "CloudWatch", remedy, _FOR_CLOUDWATCH)
    seen = run.progress.evidence
    seen.begin(look)
    for each in run.check.checks:
        run.progress.warnings += each.warns(seen)


def count_calls(run: Run) -> None:
    """How often the alias was called in the hour before, as far as CloudWatch tells."""
    now = run.clock.time()
    with suppress(NotSeen, *aws.CallFailed):
        run.hour_before = run.metrics.calls(now - _HOUR, now)


def ready_or_deployed(run: Run) -> Ending | None:
    """Undo what a dead rollout left; how it ends where the alias stands on the new version."""
    whose = run.alias.judged(Want({})).whose
    if whose is Whose.ABANDONED and not run.rollout.dry_run:
        undo_abandoned(run)
        found = run.alias.seen
        if found.routing:
            raise AliasBusy(found.busy)
        if found.version == run.versions.new and not run.deployed:
            return Ending(ending.ALREADY_DEPLOYED, warning=ending.PROMOTED)
        if found.version != run.versions.original:
            raise AliasChanged(_MOVED_BEFORE)
    if run.deployed:
        return Ending(ending.ALREADY_DEPLOYED)
    return None


def undo_abandoned(run: Run) -> None:
    """Roll back the split that a dead rollout left, and tell that rollout's ending."""
    found = run.alias.seen
    mark = found.stamp
    assert mark is not None, "only a stamped split is abandoned"
    left = Rollout(run.rollout.target, mark.new_version, (mark.weight,) * mark.steps)
    dead = Run.of_the_dead(run.means, left, left_by(found), found.words, mark.step, found)
    cause = RolloutInterrupted(
        f"The deployer died. Rollout {run.progress.id} found what it had left."
    )
    try:
        dead.alias.roll_back(PATIENCE)
        if dead.alias.may_be_by_us:
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


def invoke_smoke_test(run: Run) -> None:
    """Invoke the new version once, before any user is moved to it. Raises `HealthCheckFailed`
    when it fails."""
    asked = run.check.of(SmokeTest)
    if asked is None or run.deployed:
        return
    name = _version(run)
    try:
        answer = run.means.once.invoke(
            FunctionName=run.rollout.target.function,
            Qualifier=run.versions.new,
            Payload=as_json(asked.payload),
        )
        told = answer["Payload"].read().decode("utf-8", "replace")
    except ReadTimeoutError as error:
        raise HealthCheckFailed(
            f"The smoke test failed: {name} gave no answer within {smoke_test.SECONDS:g} s."
        ) from error
    except aws.CallFailed as error:
        if aws.no_start(error):
            raise HealthCheckFailed(
                f"The smoke test failed: {name} could not be started. AWS says {aws.words(error)}"
            ) from error
        remedy = ""
        if aws.denied(error):
            remedy = ": allow it to the deployer with the template's parameter SmokeTestFunctions"
        kind = InvalidRollout if aws.refused(error) else RolloutInterrupted
        raise kind(
            f"{name} could not be invoked for the smoke test{remedy}. AWS says {aws.words(error)}"
        ) from error
    if "FunctionError" in answer:
        raise HealthCheckFailed(
            f"The smoke test failed: {name} answered with {smoke_test.error_in(told)}."
        )
    logger.info("SMOKE_TESTED")


def _version(run: Run) -> str:
    return f"Version {run.versions.new} of '{run.rollout.target.function}'"


def ask(means: aws.Means, call: Callable[[], Any], what: str, remedy: str, permission: str) -> Any:
    """Ask again while AWS does not answer, unless it says no for good. Raises `InvalidRollout`,
    `RolloutInterrupted`."""
    for attempt in range(_ATTEMPTS):
        try:
            return call()
        except Hopeless as error:
            raise InvalidRollout(str(error)) from error
        except (NotSeen, *aws.CallFailed) as error:
            if aws.denied(error):
                remedy = f"allow it to the deployer {permission}"
            if aws.denied(error) or aws.refused(error):
                raise InvalidRollout(
                    f"{what} could not be read: {remedy}. AWS says {aws.words(error)}"
                ) from error
            unanswered = error
        if attempt < _ATTEMPTS - 1:
            means.clock.pause(attempt)
    why = f"AWS says {aws.words(unanswered)}"
    if isinstance(unanswered, NotSeen):
        why = str(unanswered)
    raise RolloutInterrupted(f"{what} could not be read before the start. {why}") from unanswered
