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

from deployer import aws, errors, preflight
from deployer.clock import RESERVE
from deployer.health import Status
from deployer.rollout import Rollout
from deployer.run import Run, logger


@logger.inject_lambda_context(clear_state=True)
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    """Takes the payload; returns what `UpdateAlias` answered, and `rollout`; raises `DeployError`s."""
    return deploy(event, aws.Means(context), secrets.token_hex(6), context.aws_request_id)


def deploy(event: Any, means: aws.Means, rollout_id: str, request_id: str) -> dict[str, Any]:
    """Check, roll out, then finalize or roll back; or hand over what does not fit into this invocation."""
    run = None
    try:
        rollout = Rollout.from_event(event, means.here)
        logger.append_keys(rollout=rollout_id, function=rollout.function_name, alias=rollout.alias_name)
        fits = rollout.seconds <= means.clock.spare() or not rollout.hand_over
        machine = None if fits else os.environ.get("DEPLOY_STATE_MACHINE_ARN")
        run = preflight.find(rollout, means, rollout_id)
        preflight.check(run, 0 if machine else rollout.seconds)
        if machine and not run.deployed:
            return hand_over(event, run, machine, request_id)
        if not run.deployed:
            rollout.must_fit(run.clock.spare(), RESERVE)
        run.undo_abandoned()
        if run.deployed:
            return run.result("ALREADY_DEPLOYED")
        try:
            roll_out(run)
            return run.finalize()
        except BaseException as error:
            return run.give_back(error)
    except errors.DeployError as error:
        if run:
            error.where = run.alias.where()
        logger.error(type(error).__name__, extra={"reason": error.reason, "where": error.where})
        raise


def roll_out(run: Run) -> None:
    """The loop: update the weight, then wait and look while the step lasts; until fully weighted."""
    until = run.clock.now() + timedelta(seconds=run.clock.left())
    while not run.fully_weighted:
        run.update_weight(until)
        status = Status.PENDING
        while status is Status.PENDING:
            wait(run)
            status, reason = run.health_check()
        if status is Status.FAILED:
            raise errors.HealthCheckFailed(reason)


def wait(run: Run) -> None:
    run.clock.sleep(min(run.pause, run.clock.spare()))
    if run.clock.spare() <= 0:
        raise errors.RolloutInterrupted("Time ran out: only the reserve for a rollback was left.")


def hand_over(event: Any, run: Run, machine: str, request_id: str) -> dict[str, Any]:
    """Start the state machine; a duplicate delivery of this invocation finds its execution started."""
    run.rollout.must_fit_a_year()
    try:
        run.means.stepfunctions.start_execution(stateMachineArn=machine, name=request_id, input=json.dumps(event))
    except aws.CallFailed as error:
        if aws.code(error) != "ExecutionAlreadyExists":
            raise errors.RolloutInterrupted(f"It could not be handed over: {aws.words(error)}") from error
    execution = f"{machine.replace(':stateMachine:', ':execution:')}:{request_id}"
    run.progress.id = aws.id_of(execution)
    logger.append_keys(rollout=run.progress.id, execution=execution)
    handed = run.result("HANDED_OVER")
    handed["rollout"]["execution-arn"] = execution
    return handed
