"""What happens when a deployer died: the split that it left is rolled back, and somebody is told.

Its lease tells of a dead SimpleDeployFunction. Of executions of the state machine that ended badly
an EventBridge rule tells; a schedule looks for them, too, since EventBridge's delivery is best
effort. Touches no split but the dead rollout's. Whatever it cannot do it raises: the queue delivers
the message again. Where something was told, the message is replaced by one that remembers it.
"""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from deployer import aws, lease
from deployer.decisions import ending, errors
from deployer.decisions.ownership import Hold, Want, Whose
from deployer.decisions.rollout import Rollout
from deployer.decisions.target import Target
from deployer.decisions.timeline import step_of
from deployer.tell import logger
from deployer.verbs import Run

#: Executions that ended so many seconds ago are looked for: their tasks have ended, and four of
#: the template's schedules, which come every 15 minutes, find each.
SAFE = 180
OLDEST = 3600 + SAFE

#: Seconds after which a split without a stamp is looked at again: a deployer that lives has stamped
#: it by then.
STAMPED_AGAIN = 60

#: Seconds after which what failed is tried again.
AGAIN = 300

_BADLY = ("FAILED", "ABORTED", "TIMED_OUT")
_MOST_PAGES = 20

_DIED = "The deployer died, or its execution was stopped, before the rollout had ended."
_WHOSE = (
    "The deployer died, and somebody else has changed the alias since: "
    "its split may be the deployer's or theirs, so it was left."
)
_AT_LAST = "The rollback that had failed was tried again."


@dataclass(frozen=True)
class Dead:
    """A rollout to be looked after: what is known of it, and what was told or seen of it at earlier
    deliveries.

    `state` holds its target and its progress. `told` is the ending's status that was told of it,
    and `unstamped` the revision of a split without a stamp that an earlier delivery saw. `once`
    says that nobody will look again.
    """

    state: dict[str, Any]
    told: str = ""
    unstamped: str = ""
    once: bool = True

    @property
    def has_ended(self) -> bool:
        """Whether it was told how, and nothing but a stamp can be left of it."""
        return self.told not in ("", "RollbackFailed")

    @property
    def stamped_only(self) -> bool:
        """Whether a split without a stamp is none of its own: it may have ended long ago."""
        return not self.once or self.has_ended

    @property
    def never_shifted(self) -> bool:
        """Whether it is not known to have shifted: a lease was not renewed since it was taken."""
        return "hold" not in self.state and not self.step

    @property
    def step(self) -> int:
        """How far it had got at least."""
        return step_of(self.state["progress"])

    @property
    def weights(self) -> tuple[float, ...]:
        """Those that may stand on the alias."""
        weights = self.state["weights"]
        if "hold" not in self.state:
            return tuple(weights[max(0, self.step - 1) :])
        return (*self.state["hold"]["weights"], *weights[self.step : self.step + 1])

    @property
    def message(self) -> str:
        """For the queue: what an earlier one said, and what is remembered."""
        told = self.state["progress"]
        progress = {name: told[name] for name in ("id", "original", "words")}
        memory = {
            "progress": {**progress, "step": self.step},
            "told": self.told,
            "unstamped": self.unstamped,
        }
        keys = (*lease.TARGET, "hold")
        known = {key: self.state[key] for key in keys if key in self.state}
        return json.dumps({**known, **memory})


@logger.inject_lambda_context(clear_state=True)
def handler(event: Any, context: LambdaContext) -> None:
    """Takes SQS messages, one at a time."""
    watch(event, aws.Means(context))


def watch(event: Any, means: aws.Means) -> None:
    """Do what the message asks for; what is none of ours is left alone."""
    match _message(event):
        case {
            "detail-type": "Step Functions Execution Status Change",
            "detail": {"executionArn": str(execution)},
        }:
            rescue_execution(execution, means)
        case {"detail-type": "Scheduled Event"}:
            rescue_executions(means)
        case {
            "new-version": str(),
            "progress": {"id": str(rollout_id), "original": str(), "words": str()},
        } as message:
            dead = Dead(message, message.get("told", ""), message.get("unstamped", ""))
            if lease.is_held(means, rollout_id):
                logger.info("ALIVE", extra={"rollout": rollout_id})
            else:
                rescue(dead, means)
        case _:
            logger.warning("NOT_OURS")


def _message(event: Any) -> Any:
    """The message; what Scheduler put into the dead-letter queue is wrapped in its request."""
    try:
        message = json.loads(event["Records"][0]["body"])
        if isinstance(message, dict) and "MessageBody" in message:
            message = json.loads(message["MessageBody"])
        return message
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def rescue_executions(means: aws.Means) -> None:
    """Every execution that lately ended badly, as long as there is time; one that fails keeps
    none from the others."""
    now = means.clock.now()
    failure = None
    for status in _BADLY:
        request = {"stateMachineArn": means.settings.state_machine, "statusFilter": status}
        for _ in range(_MOST_PAGES):
            page = means.stepfunctions.list_executions(**request)
            for execution in page["executions"]:
                ago = now - execution["stopDate"]
                if not timedelta(seconds=SAFE) < ago < timedelta(seconds=OLDEST):
                    continue
                try:
                    # It is looked for again and again: what has no stamp may be somebody's own by
                    # now.
                    rescue_execution(execution["executionArn"], means, once=False)
                except (errors.DeployError, *aws.CallFailed) as error:
                    failure = error
            if not page.get("nextToken"):
                break
            request["nextToken"] = page["nextToken"]
    if failure:
        raise failure


def rescue_execution(execution: str, means: aws.Means, once: bool = True) -> None:
    """Roll back what an execution left, by the state that its last task got, if CalculateWeights
    had ended."""
    request: dict[str, Any] = {
        "executionArn": execution,
        "reverseOrder": True,
        "maxResults": 100,
    }
    told = ""
    for _ in range(_MOST_PAGES):
        try:
            page = means.stepfunctions.get_execution_history(**request)
        except aws.CallFailed as error:
            if aws.code(error) in ("ExecutionDoesNotExist", "InvalidArn"):
                return
            raise
        for event in page["events"]:
            failed = event.get("executionFailedEventDetails", {}).get("error", "")
            if errors.named(failed):  # Rollback has told it
                told = failed
            entered = event.get("stateEnteredEventDetails", {})
            if entered.get("name") == "CalculateWeights":
                return  # its input is the payload: nothing of ours
            state = json.loads(entered.get("input", "null"))
            if isinstance(state, dict) and "progress" in state:
                rescue(Dead(state, told, once=once), means)
                return
        if not page.get("nextToken"):
            return
        request["nextToken"] = page["nextToken"]


def rescue(dead: Dead, means: aws.Means) -> None:
    """Roll back the split of that rollout, if it is there, and tell; or see to it that it is
    tried again."""
    run = _run_of(dead, means)
    if run is None:
        return
    alias = run.alias
    finding = alias.judged(Want({}, rolling_back=True))
    if not finding.something_of_ours:
        logger.info("NOTHING_TO_DO")
        return
    if not finding.our_stamp and dead.unstamped != alias.seen.revision:
        # Another rollout with the same weights may live, and stamp it again within a look.
        _try_again(replace(dead, unstamped=alias.seen.revision), means, STAMPED_AGAIN)
        return
    if dead.has_ended:
        _take_out_stamp(run)
        return
    unknown = dead.never_shifted or finding.whose is not Whose.OURS
    if not finding.our_stamp and unknown:
        run.tell_ending(ending.refused(errors.AliasChanged(_WHOSE)).at(alias.where()))
        return
    _roll_back(dead, run)


def _take_out_stamp(run: Run) -> None:
    """All that is left of a rollout that has ended."""
    run.alias.take_out(stamped_only=True)
    if run.alias.stamped:
        raise errors.RollbackFailed(f"Our stamp still stands on the alias. {run.alias.told}")
    logger.info("TAKEN_OUT")


def _roll_back(dead: Dead, run: Run) -> None:
    """Roll its split back, and tell."""
    mark = run.alias.seen.stamp
    if mark is not None and run.alias.stamped:
        run.progress.at = replace(run.progress.at, number=mark.step)
    cause = errors.RolloutInterrupted(_AT_LAST if dead.told else _DIED)
    ended = run.roll_back(cause, watchdog=True)
    if ended.status == "RollbackFailed" and dead.told:
        raise ended.error()
    run.tell_ending(ended)
    if ended.left_over:
        _try_again(replace(dead, told=ended.status), run.means, AGAIN)


def _run_of(dead: Dead, means: aws.Means) -> Run | None:
    """The dead rollout, of its alias as it is now; None where the message is not ours, or the alias
    is no more."""
    try:
        state = dead.state
        told = state["progress"]
        target = Target(state["function-name"], state["alias-name"])
        rollout = Rollout(
            target,
            state["new-version"],
            tuple(map(float, state["weights"])),
            started_by=state.get("started-by", ""),
        )
        weights = tuple(map(float, dead.weights))
        hold = Hold(
            told["id"],
            told["original"],
            rollout.new_version,
            weights,
            shifted=not dead.stamped_only,
            fired=not dead.never_shifted,
        )
        words = told["words"]
        step = dead.step
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        logger.warning("NOT_OURS", extra={"reason": str(error)})
        return None
    try:
        return Run.of_the_dead(means, rollout, hold, words, step)
    except aws.CallFailed as error:
        if aws.code(error) != "ResourceNotFoundException":
            raise
        logger.warning("NOT_OURS", extra={"reason": str(error)})
    return None


def _try_again(dead: Dead, means: aws.Means, seconds: int) -> None:
    """A message that remembers, in place of this one. Raises the API's own error: then this one
    comes again."""
    means.sqs.send_message(
        QueueUrl=means.settings.watchdog_queue,
        MessageBody=dead.message,
        DelaySeconds=seconds,
    )
