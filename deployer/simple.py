"""SimpleDeployFunction: the whole rollout in one invocation, sleeping between weights.

`roll_out` is the loop. `with_shifts` sees to it that after the first shift every way out ends in
finalize or in a rollback; every ending is told, once, and says where the alias is.
"""

import json
import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from deployer import aws, preflight
from deployer.clock import RESERVE
from deployer.decisions import ending, errors
from deployer.decisions.ending import Ending
from deployer.decisions.health import Status
from deployer.lease import BEFORE_SHIFT, Lease
from deployer.plan import plan
from deployer.tell import logger
from deployer.verbs import Run

#: How often it is asked to start the state machine, while AWS does not answer.
_STARTS = 4


@logger.inject_lambda_context(clear_state=True)
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    """Take the payload; return what `UpdateAlias` answered, and `rollout`; raise `DeployError`s."""
    return deploy(event, aws.Means(context), secrets.token_hex(6), context.aws_request_id)


def deploy(event: Any, means: aws.Means, rollout_id: str, request_id: str) -> dict[str, Any]:
    """Check, roll out, then finalize or roll back; or hand over what does not fit into this
    invocation."""
    run, ended = preflight.begin(
        event, means, rollout_id, lambda run: before_first_shift(run, event, request_id)
    )
    if run is not None:
        ended = ended or with_shifts(run)
        if ended.well:
            return run.result(ended)
    assert ended is not None, "without a run it has ended"
    raise ended.error()


def with_shifts(run: Run) -> Ending:
    """Roll out. After the first shift every way out ends in finalize or in a rollback: write,
    tell, end the lease."""
    lease = Lease(run)
    try:
        lease.take()
        roll_out(run, lease)
        ended = finalize(run, lease)
    except BaseException as cause:
        ended = run.roll_back(cause, lease.due)
        # The watchdog tells it only if it has it; if that is not sure, we do.
        if ended.status == "RollbackFailed" and ended.silent and not lease.hand_to_watchdog(ended):
            ended = replace(ended, silent=False)
    run.tell_ending(ended)
    lease.give_up(ended)
    return ended


def roll_out(run: Run, lease: Lease) -> None:
    """The loop: update the weight, then wait and look while the step lasts; to the last one. What
    the log makes suspect is suspended meanwhile."""
    until = run.clock.now() + timedelta(seconds=run.clock.left())  # for whoever reads the stamp
    while not run.fully_weighted:
        update_weight(run, lease, until)
        status = Status.PENDING
        while status is not Status.SUCCEEDED:
            wait(run, lease)
            verdict = run.health_check()
            status = verdict.status
            match status:
                case Status.SUSPECTED:
                    lease.renew(BEFORE_SHIFT)
                    run.suspend(until, spare(run, lease))
                case Status.CLEARED:
                    lease.renew(BEFORE_SHIFT)
                    run.resume(until, spare(run, lease))
                case Status.FAILED:
                    raise errors.HealthCheckFailed(verdict.reason)


def update_weight(run: Run, lease: Lease, until: datetime) -> None:
    lease.renew(BEFORE_SHIFT)
    run.update_weight(until, spare(run, lease))
    if run.step == 1:  # its message must say that there was a shift: then a split may be ours
        lease.renew(older_than=0.0)


def finalize(run: Run, lease: Lease) -> Ending:
    lease.renew(BEFORE_SHIFT)
    return run.finalize(spare(run, lease))


def spare(run: Run, lease: Lease) -> float:
    """Seconds that a write may still take: of this invocation, and of the lease."""
    return min(run.clock.spare(), lease.spare())


def wait(run: Run, lease: Lease) -> None:
    """Sleep until the next look, and move the lease on meanwhile."""
    while True:
        run.clock.sleep(min(run.pause, lease.pause(), run.clock.spare()))
        if run.clock.spare() <= 0:
            raise errors.RolloutInterrupted(
                "Time ran out: only the reserve for a rollback was left."
            )
        lease.renew()
        if run.pause <= 0:
            return
        run.glance()


def before_first_shift(run: Run, event: Any, request_id: str) -> Ending | None:
    """Check everything; how it ends where no shift is to be made here: already deployed,
    planned, or handed over."""
    rollout = run.rollout
    machine = run.means.settings.state_machine if rollout.hand_over else ""
    preflight.check(run, 0 if machine else rollout.seconds)
    if not run.deployed:
        here = not machine or rollout.longest <= run.clock.spare()
        if here:
            # No step is held beyond it.
            ends = run.clock.time() + run.clock.spare()
            run.timeline.deadline = min(run.timeline.deadline, ends)
            rollout.must_fit(run.clock.spare(), RESERVE, bool(run.means.settings.state_machine))
        else:
            rollout.must_fit_a_year()
        if rollout.dry_run:
            return plan(run, "SimpleDeployFunction" if here else "DeployStateMachine")
        if not here:
            return hand_over(event, run, machine, request_id)
        preflight.invoke_smoke_test(run)
    return preflight.ready_or_deployed(run)


def hand_over(event: Any, run: Run, machine: str, request_id: str) -> Ending:
    """Start the state machine; a duplicate of this invocation finds its execution started."""
    execution = f"{machine.replace(':stateMachine:', ':execution:')}:{request_id}"
    request = {"stateMachineArn": machine, "name": request_id, "input": json.dumps(event)}
    for attempt in range(_STARTS):
        try:
            run.means.stepfunctions.start_execution(**request)
            break
        except aws.CallFailed as error:
            if aws.code(error) == "ExecutionAlreadyExists":
                break
            if aws.refused(error):
                raise errors.RolloutInterrupted(
                    f"It could not be handed over to the state machine. AWS says {aws.words(error)}"
                ) from error
            # Its name makes it the same execution, however often it is asked for.
            if attempt == _STARTS - 1:
                raise errors.RolloutInterrupted(
                    "AWS did not answer whether it was handed over to the state machine: "
                    f"{aws.words(error)} Look whether it runs: "
                    f"aws stepfunctions describe-execution --execution-arn {execution}"
                ) from error
        run.clock.pause(attempt)
    run.progress.id = aws.id_of(execution)  # under which the state machine goes on
    return Ending(ending.HANDED_OVER, more={"execution-arn": execution})
