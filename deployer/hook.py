"""CodeDeployHook_Rollout: CodeDeploy asks it before it moves an alias, and it answers with how a
rehearsal of that rollout went. Preview.

It starts the state machine, and looks every few seconds, by a message to itself, whether the
execution has ended: then it answers. A message is on its way before anything is started, so that
whatever it starts is answered for. A deployment towards an older version is approved before
anything else is asked: a stack's rollback must never fail by us.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from deployer import aws, preflight
from deployer.decisions import ending
from deployer.decisions.deployment import TAG, Deployment
from deployer.decisions.errors import DeployError, InvalidRollout, RolloutInterrupted
from deployer.decisions.ownership import Snapshot
from deployer.decisions.rollout import Rollout
from deployer.tell import logger, tell

#: CodeDeploy waits an hour. So many seconds after it has begun to, the rehearsal has ended; a
#: rollback, the watchdog and the answer fit into the rest.
DEADLINE = timedelta(seconds=3000)
#: While the alias is split, the answer waits no longer than this.
LAST_ANSWER = timedelta(seconds=3300)

#: Seconds until it looks again; and at first, when it will have started the execution.
AGAIN = 15
AT_FIRST = 30

#: Within so many seconds the hooks of a stack start: they share Lambda's 15 requests a second.
SPREAD = 20.0

SUCCEEDED = "Succeeded"
FAILED = "Failed"

_ENDED = ("Succeeded", "Failed", "Stopped")
_GONE = ("DeploymentDoesNotExistException", "InvalidDeploymentIdException")


@logger.inject_lambda_context(clear_state=True)
def handler(event: Any, context: LambdaContext) -> None:
    """Takes CodeDeploy's event, or one message of its own queue."""
    answer(event, aws.Means(context))


def answer(event: Any, means: aws.Means) -> None:
    """One turn for the deployment that the event names. What a turn raises comes again: a message
    by its queue, CodeDeploy's event as a message."""
    match event:
        case {"DeploymentId": str(deployment), "LifecycleEventHookExecutionId": str(execution)}:
            asked(Turn(means, deployment, execution), event)
        case {"Records": [{"body": str(body)} as record]}:
            turn = Turn(means, **json.loads(body))
            received = record.get("attributes", {}).get("ApproximateReceiveCount", 1)
            turn.again = int(received) > 1
            turn.take()
        case _:
            logger.warning("NOT_OURS")


def asked(turn: "Turn", event: Any) -> None:
    """By CodeDeploy."""
    logger.info("ASKED", extra={"event": event})
    turn.first = True
    try:
        turn.come_again(AT_FIRST)
    except aws.CallFailed as error:
        logger.warning("NOT_SENT", extra={"reason": aws.words(error)})
        turn.alone = True
    try:
        turn.take()
    except (DeployError, *aws.CallFailed) as error:
        if turn.alone:
            raise
        logger.warning("NOT_ANSWERED", extra={"reason": str(error)})


class Turn:
    """One look at a deployment that waits for its hook."""

    def __init__(self, means: aws.Means, deployment: str, hook: str) -> None:
        """`hook` is CodeDeploy's id of this hook's execution."""
        machine = means.settings.state_machine
        self._means = means
        self._deployment = deployment
        self._hook = hook
        self._machine = machine
        # One execution of the state machine, however often the hook is asked.
        self._name = f"CodeDeploy-{deployment}"
        self._rollout = f"{machine.replace(':stateMachine:', ':execution:')}:{self._name}"
        self._sent = False
        self.first = False
        self.again = False  # whether this message was received before
        self.alone = False  # the first, and no message could be sent: none will come again
        logger.append_keys(deployment=deployment, rollout=aws.id_of(self._rollout))

    def take(self) -> None:
        """See how far it is, and do what is next."""
        try:
            info = self._info()
            if info["status"] in _ENDED:
                self._end(info)
                return
            deployment = Deployment.read(info, self._means.here)
        except InvalidRollout as error:
            # Permissions of a new stack may take a while; what runs is looked at again.
            if (self.first and not self.alone) or self._status():
                raise
            self._refuse(error, {"where": ending.UNTOUCHED})
            return
        if deployment.goes_back(deployment.current):
            self._put(SUCCEEDED)
            return
        called = _called(info)
        status = self._status()
        late = self._means.clock.now() >= called + LAST_ANSWER
        if status == "RUNNING" and not late:
            self.come_again()
        elif status == "RUNNING":  # it rolls back, and cannot: CodeDeploy shall not wait for that
            self._put(FAILED)
        elif status:
            self._conclude(deployment, late, status)
        else:
            self._begin(deployment, called + DEADLINE)

    def _end(self, info: Any) -> None:
        """CodeDeploy does not wait any more. Past its deadline a rehearsal ends by itself: it may
        be trying again to roll back."""
        logger.info("OVER", extra={"status": info["status"]})
        past = "createTime" in info and self._means.clock.now() >= _called(info) + DEADLINE
        if not past and self._status() == "RUNNING":
            cause = f"The deployment {self._deployment} has ended in CodeDeploy."
            self._means.stepfunctions.stop_execution(executionArn=self._rollout, cause=cause)

    def _begin(self, deployment: Deployment, deadline: datetime) -> None:
        """Approve at once, or start the rehearsal; what is refused is told."""
        means = self._means
        told = {**deployment.target._asdict(), "new-version": deployment.new}
        told["where"] = ending.UNTOUCHED
        try:
            if self.first:
                means.clock.spread(SPREAD)
            alias = self._alias(deployment)
            told["original-version"] = alias.version
            told["where"] = f"{deployment.target} {alias.state}."
            if deployment.goes_back(alias.version):
                self._put(SUCCEEDED)
                return
            default = means.settings.hook_rollout
            payload = deployment.payload(self._tag(deployment), default, deadline)
            rollout = Rollout.from_event(payload, means.here)
            rollout.must_end_in_time(means.clock.time())
            self._must_come_again()
            self._start(payload)
        except InvalidRollout as error:
            self._refuse(error, told)
        except RolloutInterrupted as error:
            if not self.alone:
                raise
            self._refuse(error, told)

    def _must_come_again(self) -> None:
        """Raises `RolloutInterrupted`."""
        try:
            self.come_again()
        except aws.CallFailed as error:
            raise RolloutInterrupted(
                f"The hook could not send itself a message. AWS says {aws.words(error)}"
            ) from error

    def _start(self, payload: dict[str, Any]) -> None:
        """Where AWS does not answer, the next turn sees whether it was started."""
        try:
            self._means.stepfunctions.start_execution(
                stateMachineArn=self._machine, name=self._name, input=json.dumps(payload)
            )
        except aws.CallFailed as error:
            if aws.refused(error) and aws.code(error) != "ExecutionAlreadyExists":
                raise InvalidRollout(
                    f"The state machine could not be started. AWS says {aws.words(error)}"
                ) from error
            logger.warning("NOT_STARTED", extra={"reason": aws.words(error)})

    def _refuse(self, error: DeployError, told: dict[str, str]) -> None:
        """Nothing was started: fail the deployment, and tell why. Where it cannot be answered, that
        is told at the first time, and not at each delivery."""
        who = {
            "rollout": aws.id_of(self._rollout),
            "started-by": f"CodeDeploy {self._deployment}",
        }
        try:
            self._put(FAILED)
        except aws.CallFailed:
            if not self.again:
                tell(self._means, type(error).__name__, reason=error.reason, **who, **told)
            raise
        tell(self._means, type(error).__name__, reason=error.reason, **who, **told)

    def _conclude(self, deployment: Deployment, late: bool, status: str) -> None:
        """The execution has ended: answer as soon as the alias is unsplit, without our stamp. Where
        it is not, the watchdog is on its way."""
        try:
            alias = self._alias(deployment)
        except InvalidRollout as error:  # it is gone, or not ours to read any more
            logger.error("NOT_READ", extra={"reason": error.reason})
            self._put(FAILED)
            return
        mark = alias.stamp
        ours = mark is not None and mark.rollout_id == aws.id_of(self._rollout)
        rests = alias.routing or ours
        if rests and not late:
            self.come_again()
            return
        # As the rollout has told: APPROVED, or that there was nothing to do; unless somebody else
        # has moved the alias since.
        approved = status == "SUCCEEDED" and not rests
        as_left = alias.version in (deployment.current, deployment.new)
        self._put(SUCCEEDED if approved and as_left else FAILED)

    def _put(self, status: str) -> None:
        """Answer CodeDeploy; that it does not wait any more is logged."""
        try:
            self._means.codedeploy.put_lifecycle_event_hook_execution_status(
                deploymentId=self._deployment,
                lifecycleEventHookExecutionId=self._hook,
                status=status,
            )
            logger.info("ANSWERED", extra={"status": status})
        except aws.CallFailed as error:
            if aws.denied(error) or not aws.refused(error):
                raise
            logger.warning("NOT_WAITED_FOR", extra={"reason": aws.words(error)})

    def come_again(self, seconds: int = AGAIN) -> None:
        """By a message to itself, one a turn. Raises the API's own error."""
        if self._sent:
            return
        message = {"deployment": self._deployment, "hook": self._hook}
        self._means.sqs.send_message(
            QueueUrl=self._means.settings.hook_queue,
            MessageBody=json.dumps(message),
            DelaySeconds=seconds,
        )
        self._sent = True

    # What it asks.

    def _status(self) -> str:
        """Of its execution; empty where none was started."""
        try:
            asked = self._means.stepfunctions.describe_execution(executionArn=self._rollout)
        except aws.CallFailed as error:
            if aws.code(error) != "ExecutionDoesNotExist":
                raise
            return ""
        return str(asked["status"])

    def _info(self) -> Any:
        """What CodeDeploy tells of the deployment; of one that is gone that it has ended."""
        try:
            asked = self._ask(
                lambda: self._means.codedeploy.get_deployment(deploymentId=self._deployment),
                f"Deployment {self._deployment}",
                "with the action codedeploy:GetDeployment",
            )
        except InvalidRollout as error:
            if isinstance(error.__cause__, Exception) and aws.code(error.__cause__) in _GONE:
                return {"status": FAILED}
            raise
        return asked["deploymentInfo"]

    def _alias(self, deployment: Deployment) -> Snapshot:
        function, alias = deployment.target
        return Snapshot(
            self._ask(
                lambda: self._means.lambda_.get_alias(FunctionName=function, Name=alias),
                str(deployment.target),
                preflight.FOR_LAMBDA,
            )
        )

    def _tag(self, deployment: Deployment) -> str:
        """The function's own words; empty where it has none."""
        function = deployment.target.function
        arn = f"{self._means.here.partition(':function:')[0]}:function:{function}"
        asked = self._ask(
            lambda: self._means.lambda_.list_tags(Resource=arn),
            f"The tags of '{function}'",
            preflight.FOR_LAMBDA,
        )
        return str(asked["Tags"].get(TAG, ""))

    def _ask(self, call: Callable[[], Any], what: str, permission: str) -> Any:
        """Raises `InvalidRollout`, `RolloutInterrupted`."""
        return preflight.ask(self._means, call, what, "is it gone?", permission)


def _called(info: Any) -> datetime:
    """When CodeDeploy has begun to wait."""
    called: datetime = info.get("startTime") or info["createTime"]
    return called
