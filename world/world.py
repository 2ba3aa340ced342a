"""A deployer in the virtual AWS: what it works with, and how a story starts it."""

import os
from typing import Any

from deployer import simple
from deployer.aws import Means
from deployer.clock import Clock
from world.aws import HERE, SETTINGS, Aws
from world.cloudwatch import FakeCloudWatch
from world.lambda_ import FakeLambda
from world.logs import FakeLogs
from world.messages import FakeBus, FakeQueue, FakeScheduler


class World(Aws):
    """The virtual AWS with SimpleDeployFunction in it."""

    def deploy(self, rollout_id: str = "0123456789ab", **payload: Any) -> dict[str, Any]:
        event = {"function-name": "checkout", "alias-name": "live", "new-version": "8"}
        event |= {key.replace("_", "-"): value for key, value in payload.items()}
        return self.invoke(event, rollout_id)

    def invoke(
        self, event: Any, rollout_id: str = "0123456789ab", clients: "FakeClients | None" = None
    ) -> dict[str, Any]:
        return simple.deploy(event, clients or FakeClients(self), rollout_id, "request-1")


class WorldClock(Clock):
    """The clock that a deployer is given."""

    def __init__(self, world: Aws, budget: float) -> None:
        self._end = world.time + budget
        super().__init__(lambda: round((self._end - world.time) * 1000))
        self._world = world

    def time(self) -> float:
        return self._world.starts.timestamp() + self._world.time

    def sleep(self, seconds: float) -> None:
        self._world.advance(max(0.0, seconds))

    def spread(self, seconds: float) -> None:
        self.sleep(self._world.draw.uniform(0.0, seconds))

    def pause(self, attempt: int) -> None:
        self.sleep(min(0.5 * 2**attempt, 4.0))


class FakeClients(Means):
    """What a deployer works with, for one invocation of `budget` seconds."""

    def __init__(
        self, world: Aws, lambda_: Any = None, cloudwatch: Any = None, budget: float | None = None
    ) -> None:
        self.lambda_: Any = lambda_ or FakeLambda(world)
        self.once: Any = self.lambda_
        self.stepfunctions: Any = None  # given by those who need it
        self.scheduler: Any = FakeScheduler(world)
        self.sqs: Any = FakeQueue(world)
        self.events: Any = FakeBus(world)
        self.cloudwatch: Any = cloudwatch or FakeCloudWatch(world)
        self.logs: Any = FakeLogs(world)
        self.settings = SETTINGS._replace(
            state_machine=os.environ.get("DEPLOY_STATE_MACHINE_ARN", "")
        )
        self.clock = WorldClock(world, world.budget if budget is None else budget)
        self.here = HERE
