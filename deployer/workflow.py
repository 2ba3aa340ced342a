"""DeployStateMachine's tasks: the same rollout, one verb an invocation (statemachine/deploy.asl.json).

A task may be run twice: each reads the alias first, and the stamp tells what was done. The state is the
normalised payload, the sample's keys (`weights`, `current-weight`, `status`), and `progress`.
"""

import contextlib
import json
import math
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from decisions import errors
from decisions.claim import PromotedByHand, Snapshot
from decisions.evidence import Evidence
from decisions.rollout import KEYS, Rollout
from decisions.steps import Progress
from deployer import aws, preflight
from deployer.alias import Alias
from deployer.plan import plan
from deployer.run import PROMOTED, Run, tell_ending
from deployer.tell import logger

#: Step Functions ends an execution at 25,000 events of history; retries and a rollback must still fit.
MOST_EVENTS = 20_000
#: Events of a step (UpdateWeight, IsFullyWeighted), of a look (Wait, HealthCheck, VerifyHealthCheck), and of
#: everything that comes once (start, CalculateWeights, settling, Finalize or Rollback, end).
STEP_EVENTS, LOOK_EVENTS, OTHER_EVENTS = 7, 9, 300
#: Seconds past its planned end after which a step's split counts as abandoned: the tasks' retries fit into it.
LATE = 1800

State = dict[str, Any]


@logger.inject_lambda_context(clear_state=True)
def handler(event: Any, context: LambdaContext) -> State:
    return task(event, aws.Means(context))


def task(event: Any, means: aws.Means) -> State:
    """Run the verb that the state machine names, on its state. What it raises is for Catch, which leads to Rollback."""
    state, verb = event["state"], event["task"]
    if verb == "CalculateWeights":
        return calculate_weights(state, means, aws.id_of(event["execution"]))
    if verb == "Rollback":
        return rollback(state, means, aws.id_of(event["execution"]), event.get("attempt", 0))
    run = resumed(state, means)
    try:
        if state["status"] == "ALREADY_DEPLOYED":
            return run.result("ALREADY_DEPLOYED")
        if state["status"] == "PLANNED":
            return plan(run, "DeployStateMachine")
        return {"UpdateWeight": update_weight, "HealthCheck": health_check, "Finalize": Run.finalize}[verb](run)
    except PromotedByHand:  # IsFullyWeighted leads to Finalize, which finds the alias where it should be
        state["progress"]["warnings"].append(PROMOTED)
        return {**state, "status": "SUCCEEDED", "current-weight": 1, "wait-seconds": 0}
    except errors.DeployError as error:
        error.where = ""  # Rollback tells where the alias is in the end
        raise


def calculate_weights(payload: Any, means: aws.Means, rollout_id: str) -> State:
    """Everything that can be refused, before the alias is touched."""
    run, who = None, {"rollout": rollout_id}
    try:
        rollout = Rollout.from_event(payload, means.here)
        who |= {"function": rollout.function_name, "alias": rollout.alias_name}
        run = preflight.find(rollout, means, rollout_id, most_looks(len(rollout.weights)))
        preflight.check(run, 0)
        rollout.must_fit_a_year()
        if not rollout.dry_run:
            preflight.smoke_test(run)
            run.undo_abandoned()
    except errors.DeployError as error:
        tell_ending(error, means, run, who)
        raise
    if run.steps.looks.longest > run.check.every:
        run.progress.warnings.append(f"In the course of a step looks come up to {run.steps.looks.longest:.0f} s apart.")
    return saved(run, "ALREADY_DEPLOYED" if run.deployed else "PLANNED" if rollout.dry_run else "PENDING")


def update_weight(run: Run) -> State:
    run.update_weight(
        run.clock.now() + timedelta(seconds=run.rollout.interval + run.rollout.hold + run.rollout.settle + LATE)
    )
    return saved(run, "PENDING")


def health_check(run: Run) -> State:
    verdict = run.health_check()
    return {**saved(run, verdict.status), "reason": verdict.reason}


def rollback(state: Any, means: aws.Means, rollout_id: str, attempt: int) -> State:
    """Give the alias back, and tell `Fail` the error's name and cause.

    Raises `RollbackFailed`, which is retried; `attempt` counts the retries.
    """
    error, run = caught(state), None
    error.where = "The alias was not moved."
    if "progress" in state:  # CalculateWeights has ended well: the alias may have been touched
        run = resumed(state, means, maybe_sent=not isinstance(error, errors.InvalidRollout))
        try:
            run.give_back(error)
        except errors.DeployError as given_back:
            error = given_back
    name = type(error).__name__
    if run or state["Error"] != name:
        tell_ending(error, means, run, {"rollout": rollout_id}, attempt)
    else:
        error.where = ""  # CalculateWeights has told it, and where the alias is
    if isinstance(error, errors.RollbackFailed):
        raise error
    return {"Error": name, "Cause": str(error)}


def resumed(state: State, means: aws.Means, maybe_sent: bool = False) -> Run:
    """The rollout as an earlier task left it; `maybe_sent` says that the next shift may have been sent, too."""
    rollout = Rollout.from_event({key: state[key] for key in KEYS if key in state}, means.here)
    progress = _known(Progress, state["progress"])
    progress.evidence = _known(Evidence, state["progress"]["evidence"])
    alias = Alias(means, rollout, progress.id, Snapshot(state["alias"]))
    alias.resume(progress.original, progress.words, progress.step, maybe_sent)
    return Run(rollout, means, alias, progress, most_looks(len(rollout.weights)))


def _known(kind: Any, state: State) -> Any:
    """From the state, also one of another release: what this one does not know is left out."""
    return kind(**{field.name: state[field.name] for field in fields(kind) if field.name in state})


def saved(run: Run, status: str) -> State:
    """The state for the next task."""
    step, run.progress.words = run.progress.step, run.alias.words
    return {
        **run.rollout.to_event(),
        # IsFullyWeighted leads to Finalize where there is nothing to shift.
        "current-weight": run.rollout.weights[step - 1] if step else int(run.deployed or run.rollout.dry_run),
        "status": status,
        "wait-seconds": math.ceil(run.pause),
        "progress": asdict(run.progress),
        "alias": {key: value for key, value in run.alias.seen.answer.items() if key != "ResponseMetadata"},
    }


def most_looks(steps: int) -> int:
    """How many looks of a step the history of events has room for."""
    return (MOST_EVENTS - OTHER_EVENTS - steps * STEP_EVENTS) // LOOK_EVENTS // steps


def caught(state: Any) -> errors.DeployError:
    """What led to Rollback: a verdict, or an error that was caught; those of AWS itself become `RolloutInterrupted`."""
    told = state.get("error", state)
    if "Error" not in told:
        return errors.HealthCheckFailed(state["reason"])
    name, cause = told["Error"], told.get("Cause", "")
    with contextlib.suppress(ValueError, KeyError, TypeError):
        cause = json.loads(cause)["errorMessage"]
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, errors.DeployError):
        return kind(cause.strip())
    return errors.RolloutInterrupted(f"A task of the state machine failed: {name}: {cause}")
