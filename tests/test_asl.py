"""The contract of the small interpreter, world/execution.py: it writes the histories that moto's
writes.

First functions of a few lines, then the deployer itself, each through both interpreters of the
project's own definition.
"""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)

from tests.asl import alike, interpret
from world.definition import read
from world.execution import Execution, Failed, History
from world.machine import DEFINITION, SOURCE, Machine, arn
from world.world import World

THROTTLED = "Lambda.TooManyRequestsException"


class Function:
    """Answers as the deployer does; `faults` are what it does instead, by task, one at a call."""

    def __init__(self, steps: int = 2, **faults: list[Callable[[], Any]]) -> None:
        self.steps = steps
        self.faults = faults
        self.payloads: list[Any] = []
        self.waits: list[float] = []

    def __call__(self, payload: Any) -> Any:
        self.payloads.append(payload)
        task = payload["task"]
        state = payload["state"]
        if self.faults.get(task):
            return self.faults[task].pop(0)()
        if task == "CalculateWeights":
            return {**state, "current-weight": 0, "wait-seconds": 60, "done": 0}
        if task == "UpdateWeight":
            done = state["done"] + 1
            return {**state, "done": done, "current-weight": done / self.steps}
        if task == "HealthCheck":
            return {**state, "status": "SUCCEEDED"}
        if task == "Rollback":
            return {
                "Error": "RolledBack",
                "Cause": json.dumps(state.get("error", "The health check failed.")),
            }
        return {"finalized": state["done"]}

    @property
    def tasks(self) -> list[str]:
        return [payload["task"] for payload in self.payloads]

    def run(self, execution: str = "run") -> History:
        """Through both interpreters, which must write the same history, pause as long, and ask
        the function for the same."""
        payload = {"alias-name": "live"}
        twin = Function(self.steps, **{task: [*each] for task, each in self.faults.items()})
        theirs = interpret(SOURCE, payload, twin, twin.waits.append, execution)
        ours = History()
        small = Execution(DEFINITION, arn(execution), self, self.waits.append, lambda: 0.0)
        for event in small.run(payload):
            ours.note(event)
        assert ours.events == theirs.events
        assert (ours.status, self.waits, self.payloads) == (
            theirs.status,
            twin.waits,
            twin.payloads,
        )
        return ours


def raising(error: Exception) -> Callable[[], Any]:
    def fault() -> Any:
        raise error

    return fault


def test_two_steps_end_well() -> None:
    function = Function(steps=2)
    ended = function.run()
    assert (ended.status, ended.output, ended.error, ended.cause) == (
        "SUCCEEDED",
        {"finalized": 2},
        "",
        "",
    )
    step = ["UpdateWeight", "HealthCheck"]
    assert function.tasks == ["CalculateWeights", *step, *step, "Finalize"]
    assert function.waits == [60, 60]
    assert (ended.types[0], ended.types[-1]) == ("ExecutionStarted", "ExecutionSucceeded")
    assert ended.types.count("LambdaFunctionSucceeded") == 6


def test_a_task_is_told_its_name_the_execution_and_the_state() -> None:
    function = Function()
    function.run("my-run")
    arn = "arn:aws:states:eu-west-1:123456789012:execution:DeployStateMachine:my-run"
    assert function.payloads[0] == {
        "task": "CalculateWeights",
        "execution": arn,
        "state": {"alias-name": "live"},
    }
    assert all(payload.keys() == {"task", "execution", "state"} for payload in function.payloads)


def test_the_wait_is_as_long_as_the_state_says() -> None:
    looks = [
        {"status": status, "wait-seconds": 7, "current-weight": 1}
        for status in ("PENDING", "SUCCEEDED")
    ]
    function = Function(HealthCheck=[lambda: looks[0], lambda: looks[1]], Finalize=[dict])
    assert function.run().status == "SUCCEEDED"
    assert function.waits == [60, 7]


def test_a_failed_look_leads_to_the_rollback_and_its_error_is_the_executions() -> None:
    function = Function(HealthCheck=[lambda: {"status": "FAILED"}])
    ended = function.run()
    assert (ended.status, ended.output, ended.error) == ("FAILED", None, "RolledBack")
    assert ended.cause == '"The health check failed."'
    assert function.tasks == ["CalculateWeights", "UpdateWeight", "HealthCheck", "Rollback"]
    assert ended.types[-2:] == ["FailStateEntered", "ExecutionFailed"]


def test_an_exception_is_a_function_error_and_leads_to_the_rollback() -> None:
    function = Function(UpdateWeight=[raising(ValueError("no such alias"))])
    ended = function.run()
    assert (ended.status, ended.error) == ("FAILED", "RolledBack")
    assert function.tasks == ["CalculateWeights", "UpdateWeight", "Rollback"]
    error = function.payloads[-1]["state"]["error"]
    assert error["Error"] == "ValueError"
    assert json.loads(error["Cause"])["errorMessage"] == "no such alias"
    assert function.waits == []


def test_a_service_error_is_tried_again() -> None:
    function = Function(steps=1, UpdateWeight=[raising(Failed(THROTTLED))] * 2)
    ended = function.run()
    assert ended.status == "SUCCEEDED"
    assert function.tasks.count("UpdateWeight") == 3
    *pauses, wait = function.waits
    assert wait == 60 and 0 <= pauses[0] <= 2 and 0 <= pauses[1] <= 4
    assert ended.types.count("LambdaFunctionFailed") == 2
    again = Function(steps=1, UpdateWeight=[raising(Failed(THROTTLED))] * 2)
    assert (again.run().events, again.waits) == (ended.events, function.waits)


def test_a_service_error_that_stays_leads_to_the_rollback() -> None:
    function = Function(CalculateWeights=[raising(Failed(THROTTLED))] * 5)
    ended = function.run()
    assert function.tasks == ["CalculateWeights"] * 5 + ["Rollback"]
    assert (
        function.payloads[-1]["state"]["Error"] == THROTTLED
    )  # with ResultPath "$" the error is all there is
    assert ended.error == "RolledBack"


def test_a_rollback_that_fails_is_tried_again_with_pauses_of_at_most_five_minutes() -> None:
    function = Function(
        HealthCheck=[lambda: {"status": "FAILED"}], Rollback=[raising(OSError("unreachable"))] * 41
    )
    ended = function.run()
    assert function.tasks.count("Rollback") == 41
    assert max(function.waits) <= 300 and len(function.waits) == 41
    assert ended.error == "OSError"
    assert json.loads(ended.cause or "")["errorMessage"] == "unreachable"


def test_a_task_that_takes_too_long_is_a_timeout() -> None:
    function = Function(UpdateWeight=[raising(Failed("States.Timeout"))])
    assert "LambdaFunctionTimedOut" in function.run().types
    assert function.payloads[-1]["state"]["error"]["Error"] == "States.Timeout"


def test_too_much_data_ends_it_without_a_rollback_as_on_aws() -> None:
    function = Function(UpdateWeight=[lambda: "x" * 300_000])
    ended = function.run()
    assert (ended.status, ended.error) == ("FAILED", "States.DataLimitExceeded")
    assert function.tasks == ["CalculateWeights", "UpdateWeight"]


@pytest.mark.parametrize(
    ("look", "path"),
    [({}, "$.status"), ({"status": "SUCCEEDED"}, "$['current-weight']")],
    ids=["status", "weight"],
)
def test_a_choice_about_what_is_not_there_ends_it_without_a_rollback_as_on_aws(
    look: Any, path: str
) -> None:
    function = Function(HealthCheck=[lambda: look])
    ended = function.run()
    assert (ended.status, ended.error) == ("FAILED", "States.Runtime")
    assert f"Invalid path '{path}'" in (ended.cause or "")
    assert function.tasks[-1] == "HealthCheck"


@pytest.mark.parametrize("seconds", [60.0, -1, "60", None])
def test_a_wait_of_anything_but_a_whole_number_ends_it_without_a_rollback_as_on_aws(
    seconds: Any,
) -> None:
    function = Function(UpdateWeight=[lambda: {"current-weight": 1, "wait-seconds": seconds}])
    assert function.run().error == "States.Runtime"
    assert function.tasks == ["CalculateWeights", "UpdateWeight"]


def test_the_largest_state_is_measured() -> None:
    function = Function(steps=1, Finalize=[lambda: "x" * 5_000])
    assert 5_000 <= function.run().largest <= 5_002


def test_an_assertion_within_the_function_ends_the_test() -> None:
    def function(payload: Any) -> Any:
        raise AssertionError("every write carries the revision")

    with pytest.raises(AssertionError, match="every write carries the revision"):
        interpret(SOURCE, {}, function, lambda seconds: None)
    with pytest.raises(AssertionError, match="every write carries the revision"):
        list(Execution(DEFINITION, arn("run"), function, lambda seconds: None, lambda: 0.0).run({}))


def test_a_thousand_steps() -> None:
    function = Function(steps=1_000)
    ended = function.run()
    assert (ended.status, len(function.waits)) == ("SUCCEEDED", 1_000)
    assert len(ended.events) < 25_000, "AWS fails an execution with more events"


def test_nothing_of_it_stays_in_moto() -> None:
    before = retrier_decl.time, WaitFunction._wait_interval
    Function().run()
    assert (retrier_decl.time, WaitFunction._wait_interval) == before
    assert retrier_decl.time.__name__ == "time"


@pytest.mark.parametrize(
    ("look", "following"),
    [
        ({"status": ["SUCCEEDED"]}, "Rollback"),
        ({"status": None}, "Rollback"),
        ({"status": "SUCCEEDED", "current-weight": 1.0}, "Finalize"),
        ({"status": "SUCCEEDED", "current-weight": "1"}, "UpdateWeight"),
        ({"status": "SUCCEEDED", "current-weight": None}, "UpdateWeight"),
        ({"status": "SUCCEEDED", "current-weight": True}, "UpdateWeight"),
        ([], ""),
    ],
)
def test_a_choice_compares_values_of_any_kind(look: Any, following: str) -> None:
    last = {"status": "SUCCEEDED", "current-weight": 1}
    function = Function(
        HealthCheck=[lambda: look, lambda: last],
        UpdateWeight=[lambda: {"wait-seconds": 1}] * 2,
        Finalize=[dict],
        Rollback=[lambda: {"rollout": None}],
    )
    ended = function.run()
    assert function.tasks[3:4] == [following] if following else ended.error == "States.Runtime"


def test_a_rollback_that_has_to_be_repeated_is_repeated() -> None:
    again = {"wait-seconds": 7}
    function = Function(
        HealthCheck=[lambda: {"status": "FAILED"}],
        Rollback=[
            lambda: again,
            lambda: again,
            lambda: {"Error": "RolledBack", "Cause": "At last"},
        ],
    )
    ended = function.run()
    assert (ended.error, ended.cause) == ("RolledBack", "At last")
    assert function.waits == [60, 7, 7]
    assert ended.entered[-4:] == ["WaitToRollBack", "Rollback", "VerifyRollback", "Fail"]


def test_an_error_without_a_cause_ends_it_as_on_aws() -> None:
    ended = Function(CalculateWeights=[lambda: {"Error": "Refused"}]).run()
    assert (ended.status, ended.error) == ("FAILED", "States.Runtime")
    assert "could not be found in the input" in ended.cause


# The deployer itself.


EVENT = {"function-name": "checkout", "alias-name": "live", "new-version": "8"}
STEPS = {**EVENT, "steps": 3, "interval": 30}
DAY = 86_400


def at_40_s(fault: str, until: float) -> Callable[[World], None]:
    return lambda world: setattr(world, "down", (fault, 40.0, until))


#: The payload, how often the new version fails, what happens in the world, and how it ends.
STORIES: dict[str, tuple[Any, float, Callable[[World], None], str]] = {
    "healthy": (STEPS, 0.0, lambda world: None, "SUCCEEDED"),
    "failing": (STEPS, 1.0, lambda world: None, "HealthCheckFailed"),
    "refused": ({**EVENT, "steps": 0}, 0.0, lambda world: None, "InvalidRollout"),
    "no payload at all": (None, 0.0, lambda world: None, "InvalidRollout"),
    "denied, and rolled back an hour later": (
        STEPS,
        0.0,
        at_40_s("denied", 4000.0),
        "HealthCheckInconclusive",
    ),
    "denied for ever": (STEPS, 0.0, at_40_s("denied", 1e9), "RollbackFailed"),
    "every sandbox dies for a minute": (STEPS, 0.0, at_40_s("killed", 100.0), "RolloutInterrupted"),
    "every sandbox dies": (STEPS, 0.0, at_40_s("killed", 1e9), "Runtime.ExitError"),
    "a year": (
        {**EVENT, "steps": 1, "interval": 364 * DAY},
        0.0,
        lambda world: None,
        "SUCCEEDED",
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_rollout_leaves_the_same_history(name: str) -> None:
    payload, failing, happens, ends = STORIES[name]
    machines = [
        Machine(World(rate=10 if failing else 0, errors={"8": failing}), payload) for _ in range(2)
    ]
    for machine in machines:
        happens(machine.world)
    ours, twin = machines
    ours.run()
    theirs = interpret(SOURCE, payload, twin._invoke, twin.world.advance)
    assert alike(ours, theirs)
    assert ours.world.moves == twin.world.moves
    assert (ours.error or ours.status) == ends


# What the small one does not know.


UNKNOWN: dict[str, tuple[list[Any], Any]] = {
    "The definition: TimeoutSeconds": (["TimeoutSeconds"], 60),
    "The definition: StartAt": (["StartAt"], "Begin"),
    "Done: Type": (["States", "Done", "Type"], "Pass"),
    "Done: Output": (["States", "Done", "Output"], {}),
    "Wait: SecondsPath": (["States", "Wait", "SecondsPath"], "$.waits[0]"),
    "Wait: Next": (["States", "Wait", "Next"], "Sleep"),
    "Fail: CausePath": (["States", "Fail", "CausePath"], "States.Format('{}', $.Cause)"),
    "Rollback: Resource": (["States", "Rollback", "Resource"], "${OtherFunctionArn}"),
    "Rollback: HeartbeatSeconds": (["States", "Rollback", "HeartbeatSeconds"], 5),
    "Rollback: TimeoutSeconds": (["States", "Rollback", "TimeoutSeconds"], "150"),
    "Rollback: Parameters": (["States", "Rollback", "Parameters", "at.$"], "$$.State.Name"),
    "Rollback: Next": (["States", "Rollback", "End"], True),
    "Finalize: End": (["States", "Finalize", "End"], False),
    "Finalize: Retry: JitterStrategy": (
        ["States", "Finalize", "Retry", 0, "JitterStrategy"],
        "NONE",
    ),
    "Finalize: Retry: ErrorEquals": (
        ["States", "Finalize", "Retry", 0, "ErrorEquals"],
        ["States.TaskFailed"],
    ),
    "Finalize: Catch: ResultPath": (["States", "Finalize", "Catch", 0, "ResultPath"], "$.a.b"),
    "Finalize: Catch: Next": (["States", "Finalize", "Catch", 0, "Next"], "Undo"),
    "IsFullyWeighted: Choices": (
        ["States", "IsFullyWeighted", "Choices", 0, "NumericLessThan"],
        2,
    ),
    "IsFullyWeighted: Default": (["States", "IsFullyWeighted", "Default"], "Later"),
}


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    definition = copy.deepcopy(SOURCE)
    part: Any = definition
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return dict(definition)


@pytest.mark.parametrize("where", UNKNOWN)
def test_what_is_not_known_is_refused_with_its_place(where: str) -> None:
    with pytest.raises(ValueError, match=f"^{where}: "):
        read(changed(*UNKNOWN[where]))


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        (["States", "Wait"], "Wait: Next"),
        (["States", "Finalize", "Catch", 0], "Finalize: Catch: Next"),
        (["States", "Rollback"], "Rollback: Next"),
    ],
)
def test_what_is_missing_is_told(path: list[Any], missing: str) -> None:
    definition = copy.deepcopy(SOURCE)
    part: Any = definition
    for key in path:
        part = part[key]
    del part["Next"]
    with pytest.raises(ValueError, match=f"^{missing} is missing"):
        read(definition)


def test_two_comparisons_in_one_choice_are_refused() -> None:
    path = ["States", "IsFullyWeighted", "Choices", 0, "StringEquals"]
    with pytest.raises(ValueError, match=r"^IsFullyWeighted: Choices: one comparison"):
        read(changed(path, "1"))


def test_a_task_that_takes_longer_than_its_time_out_has_timed_out() -> None:
    definition = read(changed(["States", "CalculateWeights", "TimeoutSeconds"], 1))
    world = World(rate=0)
    machine = Machine(world, STEPS)
    small = Execution(
        definition, arn("run"), machine._invoke, world.advance, lambda: 2 * world.time
    )
    history = History()
    world.latency = 0.6
    for event in small.run(STEPS):
        history.note(event)
    assert history.types[4] == "LambdaFunctionTimedOut"
    assert history.entered == ["CalculateWeights", "Rollback", "VerifyRollback", "Fail"]
