"""DeployStateMachine's tasks: the same rollout, one verb an invocation
(statemachine/deploy.asl.json).

A task may be run twice: each reads the alias first, and the stamp tells what was done. The state is
the normalised payload, the sample's keys (`weights`, `current-weight`, `status`), `progress`, and
what we hold of the alias. What ends the rollout well is the contract's result, with `rollout`; what
ends it badly `Error` and `Cause`: the state machine's choices tell them apart by these keys.
"""

import contextlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from deployer import aws, preflight
from deployer.alias import Alias
from deployer.decisions import ending, errors
from deployer.decisions.ending import Ending, PromotedByHand
from deployer.decisions.evidence import Evidence
from deployer.decisions.ownership import Hold, Snapshot
from deployer.decisions.rollout import KEYS, Rollout
from deployer.decisions.steps import Progress
from deployer.plan import plan
from deployer.run import Run
from deployer.tell import logger, tell

#: Step Functions ends an execution at 25,000 events of history; retries and a rollback must still
#: fit.
MOST_EVENTS = 20_000
#: Events of a step (UpdateWeight, IsFullyWeighted), of a look (Wait, HealthCheck,
#: VerifyHealthCheck), and of everything that comes once (start, CalculateWeights, settling,
#: Finalize or Rollback, end).
STEP_EVENTS, LOOK_EVENTS, OTHER_EVENTS = 7, 9, 300
#: Seconds past its planned end after which a step's split counts as abandoned: the tasks' retries
#: fit into it.
LATE = 1800
#: A rollback that failed is tried again so often, after pauses of at most so many seconds.
MOST_ROLLBACKS, LONGEST_PAUSE = 40, 300

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
            return update_weight(resumed(state, means))
        case "HealthCheck":
            return health_check(resumed(state, means))
        case "Finalize":
            return finalize(resumed(state, means))
        case "Rollback":
            return rollback(state, means, aws.id_of(event["execution"]))
        case verb:
            raise ValueError(f"There is no task named {verb}.")


def calculate_weights(payload: Any, means: aws.Means, rollout_id: str) -> State:
    """Everything that can be refused, before the alias is touched; the rollout may end here."""
    run = None
    who = {"rollout": rollout_id}
    try:
        rollout = Rollout.from_event(payload, means.here)
        who |= {"function": rollout.function_name, "alias": rollout.alias_name}
        run = preflight.find(rollout, means, rollout_id, most_looks(len(rollout.weights)))
        ended = without_shift(run)
    except errors.DeployError as error:
        where = run.alias.where() if run else ending.UNTOUCHED
        return told(ending.refused(error).at(where), run, means, who)
    if ended is not None:
        return told(ended, run, means, who)
    longest = run.steps.looks.longest
    if longest > run.check.every:
        run.progress.warnings.append(
            f"In the course of a step looks come up to {longest:.0f} s apart."
        )
    return saved(run, "PENDING")


def without_shift(run: Run) -> Ending | None:
    """Check everything; how it ends where no shift is to be made: already deployed, or planned."""
    rollout = run.rollout
    preflight.check(run, 0)
    rollout.must_fit_a_year()
    if rollout.dry_run:
        preflight.warn_of_abandoned(run)
        if not run.deployed:
            return plan(run, "DeployStateMachine")
    preflight.smoke_test(run)
    return preflight.settled(run)


def update_weight(run: Run) -> State:
    rollout = run.rollout
    lasts = rollout.interval + rollout.hold + rollout.settle + LATE
    run.update_weight(run.clock.now() + timedelta(seconds=lasts), run.clock.spare())
    return saved(run, "PENDING")


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
        return told(ended, None, means, {"rollout": rollout_id})
    maybe_sent = not isinstance(cause, errors.InvalidRollout)
    run = resumed(state, means, maybe_sent)
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


def told(ended: Ending, run: Run | None, means: aws.Means, who: dict[str, str]) -> State:
    """Tell the ending; the execution's output, or what `Fail` takes. `who` it is told of where
    there is no run."""
    if run is None:
        tell(means, ended.status, **who, reason=ended.reason, where=ended.where)
        return output(ended, run)
    run.tell_ending(ended)
    return output(ended, run)


def output(ended: Ending, run: Run | None) -> State:
    """The execution's output, or what `Fail` takes."""
    if run and ended.well:
        return run.result(ended)
    return {"Error": ended.status, "Cause": str(ended.error())}


def resumed(state: State, means: aws.Means, maybe_sent: bool = False) -> Run:
    """The rollout as an earlier task left it; `maybe_sent` says that the next shift may have
    been sent, too."""
    rollout = Rollout.from_event({key: state[key] for key in KEYS if key in state}, means.here)
    progress = _known(Progress, state["progress"])
    progress.evidence = _known(Evidence, state["progress"]["evidence"])
    step = progress.step
    weights = tuple(state["hold"]["weights"])
    if maybe_sent:
        weights += rollout.weights[step : step + 1]
    hold = Hold(
        progress.id,
        progress.original,
        rollout.new_version,
        weights=weights,
        shifted=step > 0,
        superseded=tuple(state["hold"]["superseded"]),
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
    answer = run.alias.seen.answer
    return {
        **run.rollout.to_event(),
        "current-weight": run.weight,
        "status": status,
        "wait-seconds": math.ceil(run.pause),
        "progress": asdict(run.progress),
        "hold": {"weights": list(hold.weights), "superseded": list(hold.superseded)},
        "alias": {key: value for key, value in answer.items() if key != "ResponseMetadata"},
    }


def most_looks(steps: int) -> int:
    """How many looks of a step the history of events has room for."""
    return (MOST_EVENTS - OTHER_EVENTS - steps * STEP_EVENTS) // LOOK_EVENTS // steps


def caught(state: Any) -> Exception:
    """What led to Rollback: a verdict, or an error that was caught; those of AWS itself become
    `RolloutInterrupted`."""
    told_by = state.get("error", state)
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
