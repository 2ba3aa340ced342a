"""CodeDeploy in virtual time: deployments that ask their hook, the hook's queue, and the executions
that it starts. Everybody acts in turns, as on AWS beside each other.

    world = DeployingWorld(tag="type=Linear50PercentEvery1Minute")
    deployment = world.deployment()                          to version 8
    world.play()                                             until nobody has anything to do
    assert (deployment.status, world.history) == ("Succeeded", [0.5, 1.0, "7", "8"])
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from deployer import hook, watchdog
from deployer.aws import Settings
from local.rules import Refused, StoredAlias
from world.aws import HERE
from world.faults import OF_THE_LEASE, Killed
from world.lambda_ import FakeLambda
from world.machine import BUDGET, STATE_MACHINE, FakeStepFunctions, Machine, arn
from world.messages import FakeQueue
from world.turns import SharedWorld
from world.world import FakeClients

QUEUE = "https://sqs.test/hook"
#: Seconds after which an event that Lambda could not run is run again.
RETRIES = (60, 120)
#: What the template says of the hook: its time-out, for how long its queue hides a message that was
#: not accepted, and how often that may be.
TIMEOUT = 60.0
REDELIVERY = 90.0
MOST_DELIVERIES = 60

ENDED = ("Succeeded", "Failed", "Stopped")


@dataclass
class Deployment:
    """Times are seconds since the start; `answers` are the hook's, as far as they were taken."""

    id: str
    alias: str = "live"
    current: str = "7"
    target: str = "8"
    starts: float = 0.0
    status: str = "InProgress"
    why: str = ""
    ended: float = 0.0
    answers: list[str] = field(default_factory=list)
    split: bool = False  # when it was answered
    content: str | None = None  # its AppSpec; None: as CloudFormation writes it

    @property
    def execution(self) -> str:
        return f"execution of {self.id}"

    @property
    def event(self) -> dict[str, str]:
        return {"DeploymentId": self.id, "LifecycleEventHookExecutionId": self.execution}

    @property
    def app_spec(self) -> str:
        properties = {
            "Name": "checkout",
            "Alias": self.alias,
            "CurrentVersion": self.current,
            "TargetVersion": self.target,
        }
        resource = {"Type": "AWS::Lambda::Function", "Properties": properties}
        hooks = [{"BeforeAllowTraffic": "CodeDeployHook_Rollout"}]
        content = {"version": 0.0, "Resources": [{"checkout": resource}], "Hooks": hooks}
        return json.dumps(content)


class DeployingWorld(SharedWorld):
    """The virtual AWS with CodeDeploy and the hook in it."""

    def __init__(self, tag: str = "", default: str = "", **settings: Any) -> None:
        super().__init__(**settings)
        #: The function's tags.
        self.tags = {"rollout": tag} if tag else {}
        self.default = default
        self.aliases: dict[str, StoredAlias] = {"live": self.alias}
        self.deployments: dict[str, Deployment] = {}
        self.machines: dict[str, Machine] = {}
        self.dead_letters: list[str] = []
        #: Each call, who made it, "hook", "execution" or "watchdog", and when; without the lease's.
        self.callers: list[tuple[str, str, float]] = []
        #: How often the hook is invoked by CodeDeploy; when, in seconds after the start.
        self.invoked_at: tuple[float, ...] = (0.0,)
        self._entered = 0
        self._ends: dict[str, float] = {}

    # What a story does.

    def deployment(self, name: str = "d-ABCDEF123", **about: Any) -> Deployment:
        deployment = Deployment(name, **about)
        self.deployments[name] = deployment
        return deployment

    def play(self) -> None:
        """CodeDeploy asks the hook of each deployment; until all is quiet."""
        begin: dict[str, tuple[float, Callable[[], Any]]] = {}
        for number, deployment in enumerate(self.deployments.values()):
            self.at(deployment.starts + 3600, partial(self._end, deployment, "Failed", "TIMEOUT"))
            for time, later in enumerate(self.invoked_at):
                act = partial(self._invoke, deployment.event)
                begin[f"hook {number:02} {time}"] = (deployment.starts + later, act)
        self.at_once(begin)
        if any(each.status not in ENDED for each in self.deployments.values()):
            self.advance(max(0.0, 3700 - self.time))  # CodeDeploy gives up

    def stop(self, deployment: Deployment) -> None:
        """`StopDeployment`."""
        self._end(deployment, "Stopped", "MANUAL_STOP")

    # What CodeDeploy does.

    def take(self, deployment: Deployment, status: str) -> None:
        """The hook's answer."""
        deployment.answers.append(status)
        deployment.split = bool(self.aliases[deployment.alias].routing)
        if status == "Failed":
            self._end(deployment, "Failed", "HOOK_EXECUTION_FAILURE")
            return
        alias = self.aliases[deployment.alias]
        if alias.routing or alias.version != deployment.current:
            self._end(deployment, "Failed", "INVALID_LAMBDA_CONFIGURATION")
            return
        request = {
            "FunctionVersion": deployment.target,
            "RoutingConfig": {"AdditionalVersionWeights": {}},
        }
        alias.update(request, self.states, self.roles)
        self.moved()
        self._end(deployment, "Succeeded")

    def _end(self, deployment: Deployment, status: str, why: str = "") -> None:
        if deployment.status not in ENDED:
            deployment.status = status
            deployment.why = why
            deployment.ended = self.time

    # Who acts.

    def spawn(self, who: str, later: float, act: Callable[[], Any]) -> None:
        self._entered += 1
        self.enter(f"{who} {self._entered:06}", later, act)

    def _invoke(self, event: Any, attempt: int = 0) -> None:
        """As an event, which Lambda runs again."""
        if not self._ran(lambda: hook.answer(event, HookClients(self))) and attempt < len(RETRIES):
            self.spawn("hook", RETRIES[attempt], lambda: self._invoke(event, attempt + 1))

    def deliver(self, body: str, attempt: int = 1) -> None:
        """A message of the hook's queue."""
        received = {"ApproximateReceiveCount": str(attempt)}
        event = {"Records": [{"body": body, "attributes": received}]}
        if self._ran(lambda: hook.answer(event, HookClients(self))):
            return
        if attempt == MOST_DELIVERIES:
            self.dead_letters.append(body)
            return
        self.spawn("hook", REDELIVERY, lambda: self.deliver(body, attempt + 1))

    def _ran(self, act: Callable[[], Any]) -> bool:
        """Whether an invocation of the hook came to its end, within its time-out."""
        me = threading.current_thread().name
        self._ends[me] = self.time + TIMEOUT
        try:
            act()
            return True
        except AssertionError:
            raise
        except (Exception, Killed):
            return False
        finally:
            self.dead = False
            del self._ends[me]

    def advance(self, seconds: float) -> None:
        end = self._ends.get(threading.current_thread().name)
        if end is not None and self.time + seconds > end:
            super().advance(max(0.0, end - self.time))
            raise Killed
        super().advance(seconds)

    def call(self, name: str, apply: Callable[[], Any]) -> Any:
        if name not in OF_THE_LEASE:
            who, *_ = threading.current_thread().name.split()
            self.callers.append((name, who, self.time))
        return super().call(name, apply)

    def run(self, machine: Machine) -> None:
        """An execution; where it ends badly the watchdog hears of it."""
        machine.run()
        if machine.status in ("FAILED", "ABORTED", "TIMED_OUT"):
            ended = (machine.stopped - self.starts).total_seconds()
            later = max(0.0, ended + watchdog.SAFE - self.time)
            self.spawn("watchdog", later, lambda: self._watch(machine.event))

    def _watch(self, body: str) -> None:
        clients = HookClients(self)
        clients.here = HERE
        try:
            watchdog.watch({"Records": [{"body": body}]}, clients)
        except Exception:
            self.spawn("watchdog", 360, lambda: self._watch(body))


class HookClients(FakeClients):
    """What the hook, the tasks and the watchdog work with there."""

    def __init__(self, world: DeployingWorld, budget: float = TIMEOUT) -> None:
        super().__init__(world, ManyAliases(world), budget=budget)
        self.stepfunctions = Executions(world)
        self.sqs = Queues(world)
        self.codedeploy = FakeCodeDeploy(world)
        self.here = HERE.replace("SimpleDeployFunction", "CodeDeployHook_Rollout")
        self.settings: Settings = self.settings._replace(
            state_machine=STATE_MACHINE, hook_queue=QUEUE, hook_rollout=world.default
        )


class FakeCodeDeploy:
    """Its API, as strict as AWS."""

    def __init__(self, world: DeployingWorld) -> None:
        self._world = world

    def get_deployment(self, **request: Any) -> Any:
        def apply() -> Any:
            deployment = self._found(request["deploymentId"])
            starts = self._world.starts + timedelta(seconds=deployment.starts)
            content = deployment.content
            if content is None:
                content = deployment.app_spec
            revision = {"revisionType": "String", "string": {"content": content}}
            info = {
                "deploymentId": deployment.id,
                "status": deployment.status,
                "createTime": starts,
                "startTime": starts,
                "revision": revision,
            }
            return {"deploymentInfo": info}

        return self._world.call("GetDeployment", apply)

    def put_lifecycle_event_hook_execution_status(self, **request: Any) -> Any:
        def apply() -> Any:
            deployment = self._found(request["deploymentId"])
            execution = request["lifecycleEventHookExecutionId"]
            if execution != deployment.execution:
                code = "InvalidLifecycleEventHookExecutionIdException"
                raise Refused(400, code, "The lifecycle event hook execution ID is invalid.")
            if deployment.status in ENDED:
                code = "LifecycleEventAlreadyCompletedException"
                raise Refused(400, code, "The lifecycle event has completed.")
            assert request["status"] in ("Succeeded", "Failed")
            self._world.take(deployment, request["status"])
            return {"lifecycleEventHookExecutionId": execution}

        return self._world.call("PutLifecycleEventHookExecutionStatus", apply)

    def _found(self, name: str) -> Deployment:
        if name not in self._world.deployments:
            raise Refused(400, "DeploymentDoesNotExistException", f"{name} does not exist.")
        return self._world.deployments[name]


class ManyAliases(FakeLambda):
    """Of the same function, with its tags."""

    def __init__(self, world: DeployingWorld) -> None:
        super().__init__(world)
        self._deploying = world

    def get_alias(self, **request: Any) -> dict[str, Any]:
        return dict(self._deploying.call("GetAlias", lambda: self._alias(request).answer()))

    def update_alias(self, **request: Any) -> dict[str, Any]:
        assert request.get("RevisionId"), "every write carries the revision"
        world = self._deploying

        def apply() -> dict[str, Any]:
            alias = self._alias(request)
            alias.update(request, world.states, world.roles)
            if alias is world.alias:
                world.moved()
            return alias.answer()

        return dict(world.call("UpdateAlias", apply))

    def list_tags(self, **request: Any) -> dict[str, Any]:
        assert request == {"Resource": "arn:aws:lambda:eu-west-1:123456789012:function:checkout"}
        return dict(self._deploying.call("ListTags", lambda: {"Tags": dict(self._deploying.tags)}))

    def _alias(self, request: Any) -> StoredAlias:
        found = self._deploying.aliases.get(request["Name"])
        if request["FunctionName"] != "checkout" or found is None:
            raise Refused(404, "ResourceNotFoundException", "Cannot find alias arn")
        return found


class Executions(FakeStepFunctions):
    """They run as soon as they are started."""

    def __init__(self, world: DeployingWorld) -> None:
        super().__init__(world, world.machines.values())
        self._deploying = world

    def start_execution(self, **request: Any) -> Any:
        world = self._deploying

        def apply() -> Any:
            assert request["stateMachineArn"] == STATE_MACHINE
            name = request["name"]
            if name in world.machines:
                raise Refused(400, "ExecutionAlreadyExists", f"Execution Already Exists: '{name}'")
            machine = DeployingMachine(world, json.loads(request["input"]), name)
            world.machines[name] = machine
            world.spawn("execution", 0.1, lambda: world.run(machine))
            return {"executionArn": arn(name)}

        return world.call("StartExecution", apply)

    def describe_execution(self, **request: Any) -> Any:
        def apply() -> Any:
            return {"status": self._found(request["executionArn"]).status}

        return self._deploying.call("DescribeExecution", apply)

    def stop_execution(self, **request: Any) -> Any:
        def apply() -> Any:
            self._found(request["executionArn"]).abort()
            return {"stopDate": self._deploying.now()}

        return self._deploying.call("StopExecution", apply)

    def _found(self, execution: str) -> Machine:
        for machine in self._deploying.machines.values():
            if machine.arn == execution:
                return machine
        raise Refused(400, "ExecutionDoesNotExist", f"Execution Does Not Exist: '{execution}'")


class DeployingMachine(Machine):
    def _clients(self) -> FakeClients:
        assert isinstance(self.world, DeployingWorld)
        return HookClients(self.world, BUDGET)


class Queues(FakeQueue):
    """The watchdog's, and the hook's."""

    def __init__(self, world: DeployingWorld) -> None:
        super().__init__(world)
        self._deploying = world

    def send_message(self, **request: Any) -> dict[str, Any]:
        if request["QueueUrl"] != QUEUE:
            return super().send_message(**request)
        world = self._deploying

        def apply() -> dict[str, Any]:
            body = request["MessageBody"]
            world.spawn("hook", request["DelaySeconds"], lambda: world.deliver(body))
            return {"MessageId": "1"}

        return dict(world.call("SendHookMessage", apply))
