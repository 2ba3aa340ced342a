"""DeployStateMachine's order in plain Python and virtual time, its history, and the watchdog's
messages delivered.

Quicker than the interpreted ASL of `asl.py`, which runs some of the same stories to hold this
driver to it.
"""

import json
import random
from collections.abc import Iterable
from datetime import timedelta
from itertools import count
from typing import Any

from deployer import watchdog, workflow
from deployer.aws import CallFailed
from deployer.decisions.errors import DeployError
from local.rules import Refused
from world.world import FakeClients, Killed, World

STATE_MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:DeployStateMachine"
NEXT = {
    "CalculateWeights": "IsToBeShifted",
    "UpdateWeight": "Wait",
    "HealthCheck": "VerifyHealthCheck",
}
NEXT |= {"Finalize": "", "Rollback": "VerifyRollback"}
#: What is run again; a sandbox that died fails as `Runtime.ExitError`.
TRANSIENT = ("Runtime.ExitError", "Lambda.TooManyRequestsException", "Lambda.ServiceException")
#: For how long the queue hides a message that was not accepted.
REDELIVERY = 360.0


class Failed(Exception):
    """A task's error, as the state machine knows it."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(error)
        self.caught = {"Error": error, "Cause": cause}


class Aborted(Exception):
    """`StopExecution`: no further state is entered; a task that runs goes on."""


def arn(name: str) -> str:
    return STATE_MACHINE.replace(":stateMachine:", ":execution:") + f":{name}"


class Machine:
    """One execution. Rollback is tried `rollbacks` times, where the ASL tries it 41 times."""

    def __init__(self, world: World, event: Any, name: str = "run", rollbacks: int = 6) -> None:
        self.arn, self.world = arn(name), world
        self.entered: list[tuple[str, str]] = []  # every state and its input
        self.status, self.error, self.cause = "RUNNING", "", ""
        self.output: Any = None
        self.stopped = world.now()
        self._event, self._rollbacks, self._random = event, rollbacks, random.Random(1)

    def run(self) -> "Machine":
        state, name = self._event, "CalculateWeights"
        try:
            while name not in ("", "Fail"):
                self._go_on()
                self.entered.append((name, json.dumps(state)))
                name, state = self._enter(name, state)
            self._go_on()
            self.status, self.output = "SUCCEEDED", state
            if name == "Fail":
                self.status, self.output, self.error, self.cause = (
                    "FAILED",
                    None,
                    state["Error"],
                    state["Cause"],
                )
            self.stopped = self.world.now()
        except Aborted:
            pass
        return self

    def abort(self) -> None:
        if self.status == "RUNNING":
            self.status, self.stopped = "ABORTED", self.world.now()

    def _go_on(self) -> None:
        if self.status != "RUNNING":
            raise Aborted

    def _enter(self, name: str, state: Any) -> tuple[str, Any]:
        match name:
            case "Wait":
                self.world.advance(state["wait-seconds"])
                return "HealthCheck", state
            case "VerifyHealthCheck":
                verdicts = {"PENDING": "Wait", "SUCCEEDED": "IsFullyWeighted"}
                return verdicts.get(state["status"], "Rollback"), state
            case "IsToBeShifted" | "VerifyRollback" if "Error" in state:
                return "Fail", state
            case "IsToBeShifted" | "VerifyRollback" if "rollout" in state:
                return "", state
            case "IsToBeShifted":
                return "UpdateWeight", state
            case "VerifyRollback":
                return "WaitToRollBack", state
            case "WaitToRollBack":
                self.world.advance(state["wait-seconds"])
                return "Rollback", state
            case "IsFullyWeighted":
                return "Finalize" if state["current-weight"] == 1 else "UpdateWeight", state
        try:
            return NEXT[name], self._retried(name, state)
        except Failed as failed:
            if name == "Rollback":
                return "Fail", failed.caught
            return "Rollback", failed.caught if name == "CalculateWeights" else {
                **state,
                "error": failed.caught,
            }

    def _retried(self, name: str, state: Any) -> Any:
        """The task's answer; it is run again as the ASL's Retry says."""
        for attempt in count(1):
            try:
                return self._invoke({"task": name, "execution": self.arn, "state": state})
            except Failed as failed:
                last = self._rollbacks if name == "Rollback" else 5
                final = name != "Rollback" and failed.caught["Error"] not in TRANSIENT
                if attempt == last or final:
                    raise
            self.world.advance(self._random.uniform(0, min(300.0, 2.0**attempt)))
            self._go_on()
        raise AssertionError

    def _invoke(self, task: Any) -> Any:
        world, started = self.world, self.world.time
        try:
            answer = json.loads(
                json.dumps(workflow.task(json.loads(json.dumps(task)), self._clients()))
            )
        except (Exception, Killed) as error:
            if isinstance(error, AssertionError):
                raise
            if not world.dead:
                told = {"errorMessage": str(error), "errorType": type(error).__name__}
                raise Failed(type(error).__name__, json.dumps(told)) from None
        if world.dead:  # whatever the deployer made of it
            world.dead = False
            raise Failed("Runtime.ExitError", "The sandbox died.")
        assert world.time - started < 120, "a task ends within its time"
        return answer

    def _clients(self) -> FakeClients:
        return FakeClients(self.world, budget=120)

    @property
    def event(self) -> str:
        """What EventBridge puts on the queue."""
        detail = {"executionArn": self.arn, "status": self.status}
        return json.dumps(
            {"detail-type": "Step Functions Execution Status Change", "detail": detail}
        )


class FakeStepFunctions:
    """The executions' histories and list, in small pages. A state leaves some events, a retried
    Rollback many."""

    PAGE = 50

    def __init__(self, world: World, machines: Iterable[Machine]) -> None:
        self._world, self._machines = world, list(machines)
        self.unreadable: list[str] = []  # executions whose history cannot be read

    def get_execution_history(self, **request: Any) -> Any:
        assert request["reverseOrder"] is True and request["maxResults"] <= 1000

        def apply() -> Any:
            if request["executionArn"] in self.unreadable:
                raise Refused(500, "InternalServerError", "It cannot be read.")
            if not (
                found := [
                    machine for machine in self._machines if machine.arn == request["executionArn"]
                ]
            ):
                raise Refused(
                    400,
                    "ExecutionDoesNotExist",
                    f"Execution Does Not Exist: '{request['executionArn']}'",
                )
            events: list[Any] = [
                {"type": "ExecutionStarted", "executionStartedEventDetails": {"input": "{}"}}
            ]
            machine = found[0]
            for name, text in machine.entered:
                events.append(
                    {
                        "type": "StateEntered",
                        "stateEnteredEventDetails": {"name": name, "input": text},
                    }
                )
                events += [{"type": "TaskScheduled"}] * (225 if name == "Rollback" else 3)
                events.append(
                    {
                        "type": "StateExited",
                        "stateExitedEventDetails": {"name": name, "output": "{}"},
                    }
                )
            if machine.status == "FAILED":
                details = {"error": machine.error, "cause": machine.cause}
                events.append({"type": "ExecutionFailed", "executionFailedEventDetails": details})
            return self._page("events", events[::-1], request)

        return self._world.call("GetExecutionHistory", apply)

    def list_executions(self, **request: Any) -> Any:
        assert request["stateMachineArn"] == STATE_MACHINE

        def apply() -> Any:
            found = [
                machine for machine in self._machines if machine.status == request["statusFilter"]
            ]
            told = [
                {"executionArn": each.arn, "status": each.status, "stopDate": each.stopped}
                for each in found
            ]
            return self._page("executions", told[::-1], request)

        return self._world.call("ListExecutions", apply)

    def _page(self, key: str, items: list[Any], request: Any) -> Any:
        begin = int(request.get("nextToken", "0"))
        end = begin + min(self.PAGE, request.get("maxResults", 100))
        return {key: items[begin:end]} | ({"nextToken": str(end)} if end < len(items) else {})


def arrival(world: World) -> str:
    """Time goes on until the next message reaches the watchdog: that message."""
    next_one = world.due[0]
    world.advance(max(0.0, next_one[0] - world.time))
    world.arrived(next_one)
    return next_one[1]


def watch(
    world: World, body: str, machines: Iterable[Machine] = (), unreadable: Iterable[str] = ()
) -> None:
    """The queue delivers a message once."""
    clients = FakeClients(world, budget=120)
    clients.stepfunctions = FakeStepFunctions(world, machines)
    clients.stepfunctions.unreadable += unreadable
    watchdog.watch({"Records": [{"body": body}]}, clients)


def deliver(world: World, body: str, machines: Iterable[Machine] = ()) -> int:
    """The queue delivers a message until it is accepted; how often that was."""
    for attempt in range(1, 20):
        try:
            watch(world, body, machines)
            return attempt
        except (DeployError, *CallFailed):
            world.advance(REDELIVERY)
    raise AssertionError("It was never accepted.")


def deliver_all(world: World, machines: Iterable[Machine] = ()) -> int:
    """Time goes on to each message of this world and to each bad end of an execution; how often it
    was delivered."""
    machines, deliveries = list(machines), 0
    for machine in machines:
        if machine.status in ("FAILED", "ABORTED", "TIMED_OUT"):
            due_at = machine.stopped + timedelta(seconds=watchdog.SAFE)
            world.messages.append(((due_at - world.starts).total_seconds(), machine.event))
    for _ in range(50):
        if not world.due:
            return deliveries
        deliveries += deliver(world, arrival(world), machines)
    raise AssertionError("The watchdog never comes to an end.")
