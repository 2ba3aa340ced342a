"""An execution of DeployStateMachine, and Step Functions' API that tells of it.

The order of the states, their retries and catchers are those of `statemachine/deploy.asl.json`.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deployer import workflow
from local.rules import Refused
from world.definition import read
from world.execution import Event, Execution, Failed, History
from world.faults import Killed
from world.world import FakeClients, World

SOURCE = json.loads(
    Path(__file__).parent.parent.joinpath("statemachine", "deploy.asl.json").read_text("utf-8")
)
DEFINITION = read(SOURCE)
STATE_MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:DeployStateMachine"

#: DeployWorkflowFunction's time-out.
BUDGET = 120.0


def arn(name: str) -> str:
    return STATE_MACHINE.replace(":stateMachine:", ":execution:") + f":{name}"


class Machine(History):
    """One execution."""

    def __init__(self, world: World, event: Any, name: str = "run") -> None:
        super().__init__()
        self.arn = arn(name)
        self.world = world
        self.stopped = world.now()
        self._input = event

    def run(self) -> "Machine":
        world = self.world
        execution = Execution(DEFINITION, self.arn, self._invoke, world.advance, lambda: world.time)
        for event in execution.run(self._input):
            if self.status != "RUNNING":  # a task that runs has gone on to its end
                break
            self.note(event)
        return self

    def note(self, event: Event) -> None:
        super().note(event)
        self.stopped = self.world.now()

    def abort(self) -> None:
        """`StopExecution`: nothing of it is begun any more; a task that runs goes on."""
        if self.status == "RUNNING":
            self.note({"type": "ExecutionAborted"})

    def _invoke(self, task: Any) -> Any:
        world = self.world
        begun = world.time
        answer = None
        try:
            answer = workflow.task(task, self._clients())
            # Lambda's runtime writes JSON in a way of its own: named tuples, say, become objects.
            assert json.loads(json.dumps(answer)) == answer, "an answer is of JSON's own types"
        except AssertionError:
            raise
        except (Exception, Killed):
            if not world.dead:
                raise
        if world.dead:  # whatever the deployer made of it
            world.dead = False
            raise Failed("Runtime.ExitError", "The sandbox died.")
        assert world.time - begun < BUDGET, "a task ends within its time"
        return answer

    def _clients(self) -> FakeClients:
        return FakeClients(self.world, budget=BUDGET)

    @property
    def event(self) -> str:
        """What EventBridge puts on the queue."""
        detail = {"executionArn": self.arn, "status": self.status}
        return json.dumps(
            {"detail-type": "Step Functions Execution Status Change", "detail": detail}
        )


class FakeStepFunctions:
    """The executions' histories and list, in small pages; what is started is noted, and does not
    run."""

    PAGE = 50

    def __init__(self, world: World, machines: Iterable[Machine] = ()) -> None:
        self._world = world
        self._machines = list(machines)
        #: The inputs of what was started, by name.
        self.started: dict[str, Any] = {}
        #: Executions whose history cannot be read.
        self.unreadable: list[str] = []

    def start_execution(self, **request: Any) -> Any:
        def apply() -> Any:
            assert request["stateMachineArn"] == STATE_MACHINE
            name = request["name"]
            if name in self.started:
                raise Refused(400, "ExecutionAlreadyExists", f"Execution Already Exists: '{name}'")
            self.started[name] = json.loads(request["input"])
            return {"executionArn": arn(name)}

        return self._world.call("StartExecution", apply)

    def get_execution_history(self, **request: Any) -> Any:
        assert request["reverseOrder"] is True and request["maxResults"] <= 1000

        def apply() -> Any:
            asked = request["executionArn"]
            if asked in self.unreadable:
                raise Refused(500, "InternalServerError", "It cannot be read.")
            for machine in self._machines:
                if machine.arn == asked:
                    return self._page("events", machine.events[::-1], request)
            raise Refused(400, "ExecutionDoesNotExist", f"Execution Does Not Exist: '{asked}'")

        return self._world.call("GetExecutionHistory", apply)

    def list_executions(self, **request: Any) -> Any:
        assert request["stateMachineArn"] == STATE_MACHINE

        def apply() -> Any:
            told = [
                {"executionArn": each.arn, "status": each.status, "stopDate": each.stopped}
                for each in self._machines
                if each.status == request["statusFilter"]
            ]
            return self._page("executions", told[::-1], request)

        return self._world.call("ListExecutions", apply)

    def _page(self, key: str, items: list[Any], request: Any) -> Any:
        begin = int(request.get("nextToken", "0"))
        end = begin + min(self.PAGE, request.get("maxResults", 100))
        page: dict[str, Any] = {key: items[begin:end]}
        if end < len(items):
            page["nextToken"] = str(end)
        return page
