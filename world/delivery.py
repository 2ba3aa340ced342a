"""The watchdog's messages: time goes on until one is due, and it is delivered until it is
accepted."""

from collections.abc import Iterable
from datetime import timedelta

from deployer import watchdog
from deployer.aws import CallFailed
from deployer.decisions.errors import DeployError
from world.machine import FakeStepFunctions, Machine
from world.world import FakeClients, World

#: For how long the queue hides a message that was not accepted.
REDELIVERY = 360.0


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
    machines = list(machines)
    deliveries = 0
    for machine in machines:
        if machine.status in ("FAILED", "ABORTED", "TIMED_OUT"):
            due_at = machine.stopped + timedelta(seconds=watchdog.SAFE)
            world.messages.append(((due_at - world.starts).total_seconds(), machine.event))
    for _ in range(50):
        if not world.due:
            return deliveries
        deliveries += deliver(world, arrival(world), machines)
    raise AssertionError("The watchdog never comes to an end.")
