"""What happens when a deployer died: the split that it left is rolled back, and somebody is told.

`arm` sends a message before the first shift that arrives when the invocation has surely ended. Of executions of the
state machine that ended badly an EventBridge rule tells; a schedule looks for them, too, since that is best effort.
Touches no split but the dead rollout's. Whatever it cannot do it raises: the queue delivers the message again.
"""

import json
import math
import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from decisions import errors
from decisions.claim import PromotedByHand
from decisions.rollout import Rollout
from decisions.steps import Progress
from deployer import aws
from deployer.alias import Alias
from deployer.run import Run, tell_ending
from deployer.tell import logger

#: Executions that ended so many seconds ago are looked for: their tasks have ended, and four schedules find each.
SAFE, OLDEST = 180, 3600 + 180

#: SQS delays a message by so many seconds at most; Lambda's longest time-out is the same.
LONGEST_DELAY = 900

_BADLY = ("FAILED", "ABORTED", "TIMED_OUT")
_MOST_PAGES = 20

#: What must be known of a rollout to roll it back, beside its progress.
_TARGET = ("function-name", "alias-name", "new-version", "weights")


def arm(run: Run) -> None:
    """Send the message. No message, no rollout: raises `InvalidRollout` or `RolloutInterrupted`."""
    progress = {"id": run.progress.id, "original": run.progress.original, "words": run.alias.words}
    message = json.dumps({**{key: run.rollout.to_event()[key] for key in _TARGET}, "progress": progress})
    delay = min(LONGEST_DELAY, math.ceil(run.clock.left()))
    try:
        run.means.sqs.send_message(QueueUrl=run.means.watchdog_queue, MessageBody=message, DelaySeconds=delay)
    except aws.CallFailed as error:
        kind = errors.InvalidRollout if aws.refused(error) else errors.RolloutInterrupted
        raise kind(f"The watchdog could not be set, so nothing was started. AWS says {aws.words(error)}") from error


@logger.inject_lambda_context(clear_state=True)
def handler(event: Any, context: LambdaContext) -> None:
    """Takes SQS messages, one at a time."""
    watch(event, aws.Means(context))


def watch(event: Any, means: aws.Means) -> None:
    """Do what the message asks for; what is none of ours is left alone."""
    message, attempt = _message(event)
    match message:
        case {"detail-type": "Step Functions Execution Status Change", "detail": {"executionArn": str(execution)}}:
            rescue_execution(execution, means, attempt)
        case {"detail-type": "Scheduled Event"}:
            rescue_executions(means)
        case {"progress": {"id": str(), "original": str(), "words": str()}} as state:
            rescue(state, means, attempt)
        case _:
            logger.warning("NOT_OURS")


def _message(event: Any) -> tuple[Any, int]:
    """The message, and how often it was delivered before."""
    try:
        record = event["Records"][0]
        return json.loads(record["body"]), int(record.get("attributes", {}).get("ApproximateReceiveCount", 1)) - 1
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return None, 0


def rescue_executions(means: aws.Means) -> None:
    """Every execution that lately ended badly, as long as there is time; one that fails keeps none from the others."""
    now, failure = means.clock.time(), None
    for status in _BADLY:
        request: dict[str, Any] = {"stateMachineArn": os.environ["DEPLOY_STATE_MACHINE_ARN"], "statusFilter": status}
        for _ in range(_MOST_PAGES):
            page = means.stepfunctions.list_executions(**request)
            for execution in page["executions"]:
                if SAFE < now - execution["stopDate"].timestamp() < OLDEST:
                    try:
                        rescue_execution(execution["executionArn"], means)
                    except (errors.DeployError, *aws.CallFailed) as error:
                        failure = error
            if not page.get("nextToken"):
                break
            request["nextToken"] = page["nextToken"]
    if failure:
        raise failure


def rescue_execution(execution: str, means: aws.Means, attempt: int = 0) -> None:
    """Roll back what an execution left, by the state that its last task got, if CalculateWeights had ended."""
    request: dict[str, Any] = {"executionArn": execution, "reverseOrder": True, "maxResults": 100}
    for _ in range(_MOST_PAGES):
        try:
            page = means.stepfunctions.get_execution_history(**request)
        except aws.CallFailed as error:
            if aws.code(error) in ("ExecutionDoesNotExist", "InvalidArn"):
                return
            raise
        for event in page["events"]:
            entered = event.get("stateEnteredEventDetails", {})
            if entered.get("name") == "CalculateWeights":
                return  # its input is the payload: nothing of ours
            state = json.loads(entered.get("input", "null"))
            if isinstance(state, dict) and "progress" in state:
                rescue(state, means, attempt)
                return
        if not page.get("nextToken"):
            return
        request["nextToken"] = page["nextToken"]


def rescue(state: Any, means: aws.Means, attempt: int = 0) -> None:
    """Roll back the split of that rollout, if it is there, and tell."""
    known = {key: state[key] for key in _TARGET if key in state}
    try:
        rollout = Rollout.from_event({**known, "interval": 0, "health-check": False}, means.here)
        progress = Progress(**{name: state["progress"][name] for name in ("id", "original", "words")}, started=0)
        alias = Alias(means, rollout, progress.id)
    except (errors.InvalidRollout, *aws.CallFailed) as error:
        if isinstance(error, errors.InvalidRollout) or aws.code(error) == "ResourceNotFoundException":
            logger.warning("NOT_OURS", extra={"reason": str(error)})
            return
        raise
    run = Run(rollout, means, alias, progress)
    ending: Exception = errors.RolloutInterrupted(
        "The deployer died, or its execution was stopped, before the rollout had ended."
    )
    try:
        progress.step = alias.rescue(progress.original, progress.words)
        if not progress.step:
            logger.info("NOTHING_TO_DO")
            return
    except (PromotedByHand, errors.AliasChanged) as moved:
        ending = moved
    try:
        run.give_back(ending)
    except errors.DeployError as error:
        tell_ending(error, means, run, {}, attempt)
        if isinstance(error, errors.RollbackFailed):
            raise
    if alias.marked:
        raise errors.RollbackFailed("Somebody else moved the alias, and what is ours could not be taken out of it yet.")
