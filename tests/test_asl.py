"""The harness in `asl.py` itself, on the project's own definition, with functions of a few
lines."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)

from tests.asl import Execution, LambdaFails, interpret

DEFINITION = json.loads(
    Path(__file__).parent.parent.joinpath("statemachine", "deploy.asl.json").read_text("utf-8")
)
THROTTLED = "Lambda.TooManyRequestsException"


class Function:
    """Answers as the deployer does; `faults` are what it does instead, by task, one at a call."""

    def __init__(self, steps: int = 2, **faults: list[Callable[[], Any]]) -> None:
        self.steps, self.faults = steps, faults
        self.payloads: list[Any] = []
        self.waits: list[float] = []

    def __call__(self, payload: Any) -> Any:
        self.payloads.append(payload)
        task, state = payload["task"], payload["state"]
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

    def run(self, execution: str = "run") -> Execution:
        return interpret(DEFINITION, {"alias-name": "live"}, self, self.waits.append, execution)


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
        None,
        None,
    )
    step = ["UpdateWeight", "HealthCheck"]
    assert function.tasks == ["CalculateWeights", *step, *step, "Finalize"]
    assert function.waits == [60, 60]
    assert (ended.events[0], ended.events[-1]) == ("ExecutionStarted", "ExecutionSucceeded")
    assert ended.events.count("LambdaFunctionSucceeded") == 6


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
    function = Function(HealthCheck=[lambda: looks.pop(0)] * 2, Finalize=[dict])
    assert function.run().status == "SUCCEEDED"
    assert function.waits == [60, 7]


def test_a_failed_look_leads_to_the_rollback_and_its_error_is_the_executions() -> None:
    function = Function(HealthCheck=[lambda: {"status": "FAILED"}])
    ended = function.run()
    assert (ended.status, ended.output, ended.error) == ("FAILED", None, "RolledBack")
    assert ended.cause == '"The health check failed."'
    assert function.tasks == ["CalculateWeights", "UpdateWeight", "HealthCheck", "Rollback"]
    assert ended.events[-2:] == ["FailStateEntered", "ExecutionFailed"]


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
    function = Function(steps=1, UpdateWeight=[raising(LambdaFails(THROTTLED))] * 2)
    ended = function.run()
    assert ended.status == "SUCCEEDED"
    assert function.tasks.count("UpdateWeight") == 3
    *pauses, wait = function.waits
    assert wait == 60 and 0 <= pauses[0] <= 2 and 0 <= pauses[1] <= 4
    assert ended.events.count("LambdaFunctionFailed") == 2
    again = Function(steps=1, UpdateWeight=[raising(LambdaFails(THROTTLED))] * 2)
    assert (again.run(), again.waits) == (ended, function.waits)


def test_a_service_error_that_stays_leads_to_the_rollback() -> None:
    function = Function(CalculateWeights=[raising(LambdaFails(THROTTLED))] * 5)
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
    function = Function(UpdateWeight=[raising(LambdaFails("States.Timeout"))])
    assert "LambdaFunctionTimedOut" in function.run().events
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
    with pytest.raises(AssertionError, match="every write carries the revision"):
        Function(UpdateWeight=[raising(AssertionError("every write carries the revision"))]).run()


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
