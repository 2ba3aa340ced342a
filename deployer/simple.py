"""SimpleDeployFunction: the whole rollout in one invocation, sleeping between weights.

`roll_out` is the loop. `deploy` sees to it that after the first shift every way out ends in finalize or in
a rollback, and that every error says where the alias is.
"""

import json
import os
import secrets
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from decisions import errors
from decisions.health import Status
from decisions.rollout import Rollout
from deployer import aws, preflight, watchdog
from deployer.clock import RESERVE
from deployer.plan import plan
from deployer.run import Run, tell_ending
from deployer.tell import logger


@logger.inject_lambda_context(clear_state=True)
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    """Takes the payload; returns what `UpdateAlias` answered, and `rollout`; raises `DeployError`s."""
    return deploy(event, aws.Means(context), secrets.token_hex(6), context.aws_request_id)


def deploy(event: Any, means: aws.Means, rollout_id: str, request_id: str) -> dict[str, Any]:
    """Check, roll out, then finalize or roll back; or hand over what does not fit into this invocation."""
    run, who = None, {"rollout": rollout_id}
    try:
        rollout = Rollout.from_event(event, means.here)
        who |= {"function": rollout.function_name, "alias": rollout.alias_name}
        run = preflight.find(rollout, means, rollout_id)
        return without_shift(run, event, request_id) or with_shifts(run)
    except errors.DeployError as error:
        tell_ending(error, means, run, who)
        raise


def without_shift(run: Run, event: Any, request_id: str) -> dict[str, Any] | None:
    """Check everything; the result where no shift is to be made here: already deployed, planned, or handed over."""
    rollout = run.rollout
    fits = rollout.longest <= run.clock.spare() or not rollout.hand_over
    machine = None if fits else os.environ.get("DEPLOY_STATE_MACHINE_ARN")
    preflight.check(run, 0 if machine else rollout.seconds)
    if not run.deployed:
        if machine:
            rollout.must_fit_a_year()
        else:
            rollout.must_fit(run.clock.spare(), RESERVE)
        if rollout.dry_run:
            return plan(run, "DeployStateMachine" if machine else "SimpleDeployFunction")
        if machine:
            return hand_over(event, run, machine, request_id)
        preflight.smoke_test(run)
    if not rollout.dry_run:
        run.undo_abandoned()
    return run.result("ALREADY_DEPLOYED") if run.deployed else None


def with_shifts(run: Run) -> dict[str, Any]:
    """Roll out. After the first shift every way out ends in finalize or in a rollback."""
    watchdog.arm(run)
    try:
        roll_out(run)
        return run.finalize()
    except BaseException as error:
        return run.give_back(error)


def roll_out(run: Run) -> None:
    """The loop: update the weight, then wait and look while the step lasts; until fully weighted."""
    until = run.clock.now() + timedelta(seconds=run.clock.left())
    run.steps.deadline = run.clock.time() + run.clock.spare()
    while not run.steps.fully_weighted:
        run.update_weight(until)
        status = Status.PENDING
        while status is Status.PENDING:
            wait(run)
            verdict = run.health_check()
            status = verdict.status
        if status is Status.FAILED:
            raise errors.HealthCheckFailed(verdict.reason)


def wait(run: Run) -> None:
    run.clock.sleep(min(run.pause, run.clock.spare()))
    if run.clock.spare() <= 0:
        raise errors.RolloutInterrupted("Time ran out: only the reserve for a rollback was left.")


def hand_over(event: Any, run: Run, machine: str, request_id: str) -> dict[str, Any]:
    """Start the state machine; a duplicate delivery of this invocation finds its execution started."""
    try:
        run.means.stepfunctions.start_execution(stateMachineArn=machine, name=request_id, input=json.dumps(event))
    except aws.CallFailed as error:
        if aws.code(error) != "ExecutionAlreadyExists":
            raise errors.RolloutInterrupted(f"It could not be handed over: {aws.words(error)}") from error
    execution = f"{machine.replace(':stateMachine:', ':execution:')}:{request_id}"
    run.progress.id = aws.id_of(execution)
    handed = run.result("HANDED_OVER", execution=execution)
    handed["rollout"]["execution-arn"] = execution
    return handed
