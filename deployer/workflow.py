"""DeployStateMachine's tasks: the same rollout, one verb an invocation
(statemachine/deploy.asl.json).

A task may be run twice: AWS refuses a write under an old revision, and the stamp tells what was
done. The state is
the normalised payload, the sample's keys (`weights`, `current-weight`, `status`), `progress`, and
what we hold of the alias. What ends the rollout well is the contract's result, with `rollout`; what
ends it badly `Error` and `Cause`: the state machine's choices tell them apart by these keys.
"""

import contextlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from deployer import aws, preflight
from deployer.alias import Alias
from deployer.decisions import ending, errors
from deployer.decisions.ending import Ending, PromotedByHand
from deployer.decisions.evidence import Evidence
from deployer.decisions.health import Status
from deployer.decisions.ownership import Hold, Snapshot
from deployer.decisions.rollout import KEYS, Rollout
from deployer.decisions.suspicion import MOST, Listening, Suspension
from deployer.decisions.timeline import MOST_SUSPENDED, Progress, Step, step_of
from deployer.plan import plan
from deployer.tell import logger, tell
from deployer.verbs import Run

#: Step Functions ends an execution at 25,000 events of history; retries and a rollback must still
#: fit.
MOST_EVENTS = 20_000
#: Events of a step (UpdateWeight, IsFullyWeighted), of a look (Wait, HealthCheck,
#: VerifyHealthCheck), of a suspension (Suspend, its looks, Resume), and of everything that comes
#: once (start, CalculateWeights, settling, Finalize or Rollback, end).
STEP_EVENTS = 7
LOOK_EVENTS = 9
SUSPENSION_EVENTS = 2 * STEP_EVENTS + (MOST_SUSPENDED + 1) * LOOK_EVENTS
OTHER_EVENTS = 300 + MOST * SUSPENSION_EVENTS
#: Seconds past its planned end after which a step's split counts as abandoned: the tasks' retries
#: fit into it.
LATE = 1800
#: A rollback that failed is tried again so often, after pauses of at most so many seconds.
MOST_ROLLBACKS = 40
LONGEST_PAUSE = 300

_OTHER_RELEASE = "The deployer was updated, and cannot go on with what its last release had begun."

State = dict[str, Any]


@logger.inject_lambda_context(clear_state=True)
def handler(event: Any, context: LambdaContext) -> State:
    return task(event, aws.Means(context))


def task(event: Any, means: aws.Means) -> State:
    """Run the verb that the state machine names, on its state. What it raises is for Catch,
    which leads to Rollback."""
    state = event["state"]
    match event["task"]:
        case "CalculateWeights":
            return calculate_weights(state, means, aws.id_of(event["execution"]))
        case "UpdateWeight":
            run = resumed(state, means)
            return move(run, run.update_weight)
        case "HealthCheck":
            return health_check(resumed(state, means))
        case "Suspend":
            run = resumed(state, means)
            return move(run, run.suspend)
        case "Resume":
            run = resumed(state, means)
            return move(run, run.resume)
        case "Finalize":
            return finalize(resumed(state, means))
        case "Rollback":
            return rollback(state, means, aws.id_of(event["execution"]))
        case verb:
            raise ValueError(f"There is no task named {verb}.")


def calculate_weights(payload: Any, means: aws.Means, rollout_id: str) -> State:
    """Everything that can be refused, before the alias is touched; the rollout may end here."""
    run, ended = preflight.begin(payload, means, rollout_id, before_first_shift, most_looks)
    if run is None or ended is not None:
        assert ended is not None, "without a run it has ended"
        return output(ended, run)
    longest = run.timeline.gaps.longest
    if longest > run.check.every:
        run.progress.warnings.append(
            f"In the course of a step looks come up to {longest:.0f} s apart."
        )
    return saved(run, "PENDING")


def before_first_shift(run: Run) -> Ending | None:
    """Check everything; how it ends where no shift is to be made: already deployed, or planned."""
    preflight.check(run, 0)
    run.rollout.must_fit_a_year()
    if run.rollout.dry_run and not run.deployed:
        return plan(run, "DeployStateMachine")
    preflight.invoke_smoke_test(run)
    return preflight.ready_or_deployed(run)


def move(run: Run, verb: Callable[[datetime, float], None]) -> State:
    """A verb that writes the alias while the rollout goes on."""
    verb(until(run), run.clock.spare())
    return saved(run, "PENDING")


def until(run: Run) -> datetime:
    """When this step has surely ended, or been suspended or resumed."""
    check = run.check
    lasts = run.rollout.interval + check.hold + check.settle + LATE
    return run.clock.now() + timedelta(seconds=lasts)


def health_check(run: Run) -> State:
    verdict = run.health_check()
    return {**saved(run, verdict.status), "reason": verdict.reason}


def finalize(run: Run) -> State:
    ended = run.finalize(run.clock.spare())
    run.tell_ending(ended)
    return run.result(ended)


def rollback(state: Any, means: aws.Means, rollout_id: str) -> State:
    """Give the alias back, unless it is somebody else's.

    Where that fails, or something of ours is left on it: the state to try it again with.
    """
    cause = caught(state)
    if "progress" not in state:  # CalculateWeights did not come to its end: nothing was moved
        ended = ending.rolled_back(cause, was_split=False).at("The alias was not moved.")
        tell(means, ended.status, rollout=rollout_id, reason=ended.reason, where=ended.where)
        return output(ended, None)
    run = resumed(state, means, cause)
    ended = run.roll_back(cause)
    before = state.get("told", "")
    if before == "" or (before == "RollbackFailed" and ended.status != before):
        run.tell_ending(ended)
    elif before != "RollbackFailed":  # what was told stays true of the execution, too
        ended = replace(ended, status=before)
    attempt = state.get("rollbacks", 0) + 1
    if not ended.left_over or attempt > MOST_ROLLBACKS:
        return output(ended, run)
    wait = min(2**attempt, LONGEST_PAUSE)
    return {**state, "told": ended.status, "rollbacks": attempt, "wait-seconds": wait}


def output(ended: Ending, run: Run | None) -> State:
    """The execution's output, or what `Fail` takes."""
    if run and ended.well:
        return run.result(ended)
    return {"Error": ended.status, "Cause": str(ended.error())}


def resumed(state: State, means: aws.Means, cause: Exception | None = None) -> Run:
    """The rollout as an earlier task left it; where it is to be rolled back, the `cause`."""
    rollout = Rollout.from_event({key: state[key] for key in KEYS if key in state}, means.here)
    told = state["progress"]
    if "listening" not in told and cause is None:
        raise errors.RolloutInterrupted(_OTHER_RELEASE)
    progress = _known(Progress, told)
    progress.at = _known(Step, told.get("at") or {"number": step_of(told)})
    progress.evidence = _known(Evidence, told["evidence"])
    progress.listening = _known(Listening, told.get("listening", {}))
    if progress.listening.suspension:
        progress.listening.suspension = _known(Suspension, told["listening"]["suspension"])
    step = progress.at.number
    weights = tuple(state["hold"]["weights"])
    # A task that failed may have sent the next shift; one that was refused for good has not.
    if cause and not isinstance(cause, errors.InvalidRollout):
        weights += rollout.weights[step : step + 1]
    hold = Hold(
        progress.id,
        progress.original,
        rollout.new_version,
        weights=weights,
        shifted=step > 0,
        superseded=tuple(state["hold"]["superseded"]),
        suspended=state["hold"].get("suspended", ""),
    )
    alias = Alias(means, rollout, progress.id, Snapshot(state["alias"]))
    alias.resume(hold, progress.words)
    return Run(rollout, means, alias, progress, most_looks(len(rollout.weights)))


def _known(kind: Callable[..., Any], state: State) -> Any:
    """From the state, also one of another release: what this one does not know is left out."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: state[name] for name in names if name in state})


def saved(run: Run, status: str) -> State:
    """The state for the next task."""
    run.progress.words = run.alias.words
    hold = run.alias.hold
    return {
        **run.rollout.to_event(),
        "current-weight": run.weight,
        "status": status,
        "wait-seconds": math.ceil(run.pause),
        "progress": asdict(run.progress),
        "hold": {
            "weights": list(hold.weights),
            "superseded": list(hold.superseded),
            "suspended": hold.suspended,
        },
        "alias": run.alias.seen.answer,
    }


def most_looks(steps: int) -> int:
    """How many looks of a step the history of events has room for."""
    return (MOST_EVENTS - OTHER_EVENTS - steps * STEP_EVENTS) // LOOK_EVENTS // steps


def caught(state: Any) -> Exception:
    """What led to Rollback: a verdict, or an error that was caught; those of AWS itself become
    `RolloutInterrupted`."""
    told_by = state.get("error", state)
    if state.get("status") in (Status.SUSPECTED, Status.CLEARED) and "Error" not in told_by:
        # Of an execution whose definition does not know these: it began before an update.
        return errors.RolloutInterrupted(_OTHER_RELEASE)
    if "Error" not in told_by:
        return errors.HealthCheckFailed(state["reason"])
    name = told_by["Error"]
    cause = told_by.get("Cause", "")
    with contextlib.suppress(ValueError, KeyError, TypeError):
        cause = json.loads(cause)["errorMessage"]
    if name == PromotedByHand.__name__:
        return PromotedByHand()
    kind = errors.named(name)
    if kind is not None:
        return kind(cause.strip())
    return errors.RolloutInterrupted(f"A task of the state machine failed: {name}: {cause}")
