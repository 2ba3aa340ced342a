"""What AWS's answers may hide: weights of fewer digits, a `GetAlias` that lags, and answers that
have grown old."""

from typing import Any

import pytest

from deployer import workflow
from deployer.decisions.errors import (
    AliasBusy,
    HealthCheckFailed,
    InvalidRollout,
    RolloutInterrupted,
)
from local.rules import StoredAlias
from tests.beginnings import EVENT, left_split
from tests.test_faults import LaggingLambda
from world.aws import FUNCTION, WORDS
from world.delivery import deliver_all
from world.faults import Killed
from world.machine import Machine
from world.world import FakeClients, World

# Weights of fewer digits.
THIRDS = {key: value for key, value in EVENT.items() if key != "steps"}
THIRDS |= {"weights": [0.0012345, 1 / 3, 0.66666, 1]}


@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
@pytest.mark.parametrize("digits", [2, 3, 4, 15])
def test_a_rollout_goes_on_though_aws_keeps_fewer_digits_of_its_weights(
    digits: int, driver: str
) -> None:
    world = rounding(digits, rate=0)
    assert run(driver, world, THIRDS) == "SUCCEEDED"
    weights = [round(weight, digits) for weight in (0.0012345, 1 / 3, 0.66666)]
    assert [routing["8"] for _, _, routing in world.moves[:3]] == weights
    failing = rounding(digits, errors={"8": 1.0})
    assert run(driver, failing, THIRDS) == "HealthCheckFailed"
    assert (failing.alias.version, failing.alias.routing, failing.alias.description) == (
        "7",
        {},
        WORDS,
    )


@pytest.mark.parametrize("unstamped", [True, False])
@pytest.mark.parametrize("digits", [2, 4])
def test_a_dead_rollout_s_split_is_known_though_aws_kept_fewer_digits(
    digits: int, unstamped: bool
) -> None:
    world = rounding(digits, rate=0)
    world.at(45, world.kill)
    with pytest.raises(Killed):
        world.invoke(THIRDS)
    world.dead = False
    assert world.alias.routing == {"8": round(1 / 3, digits)}
    if unstamped:
        world.update_alias(Description=WORDS)
    deliver_all(world)
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)


# A GetAlias that lags.
@pytest.mark.parametrize("errors", [{}, {"8": 1.0}])
@pytest.mark.parametrize("lag", [0.5, 3, 12, 40])
def test_a_getalias_that_lags_behind_the_writes_of_earlier_tasks_misleads_no_task(
    lag: float, errors: dict[str, float]
) -> None:
    """A task has no memory but the state: in it are the revisions that were replaced."""
    world = World(errors=errors)
    lagging = LaggingLambda(world, lag)

    class Lagging(Machine):
        def _clients(self) -> FakeClients:
            return FakeClients(world, lagging, budget=120)

    machine = Lagging(world, EVENT).run()
    assert machine.error == ("HealthCheckFailed" if errors else "")
    assert world.history == [0.33, 0.67, 1.0, "7" if errors else "8"]
    assert world.alias.description == WORDS


# Answers that have grown old.
def test_where_the_alias_is_is_read_again_after_a_version_was_pending_for_minutes() -> None:
    world = World(rate=0)
    world.states["8"] = ["Pending"] * 60 + ["Failed"]
    world.at(100, lambda: world.update_alias(FunctionVersion="6"))
    with pytest.raises(InvalidRollout) as refused:
        world.invoke(EVENT)
    assert world.time > 250
    assert str(refused.value).endswith("Alias 'live' of 'checkout' is on version 6.")


def test_an_alias_that_moved_while_the_version_was_pending_is_not_taken_over() -> None:
    world = World(rate=0)
    world.states["8"] = ["Pending"] * 20 + ["Active"]
    world.at(50, lambda: world.update_alias(RoutingConfig={"AdditionalVersionWeights": {"9": 0.5}}))
    with pytest.raises(AliasBusy) as busy:
        world.invoke(EVENT)
    assert "50 % of its calls to version 9" in str(busy.value)
    assert world.alias.routing == {"9": 0.5} and world.alias.description == WORDS


# A dry run beside an abandoned split.
@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
@pytest.mark.parametrize("version", ["7", "8"])
def test_a_dry_run_says_that_the_real_run_would_roll_back_an_abandoned_split(
    version: str, driver: str
) -> None:
    """Also where the alias's own version is the one that is asked for."""
    world = left_split("9", until=-100)
    event = {**EVENT, "new-version": version, "dry-run": True}
    told = world.invoke(event) if driver == "the loop" else Machine(world, event).run().output
    assert told["rollout"]["status"] == ("PLANNED" if version == "8" else "ALREADY_DEPLOYED")
    said = "A rollout that had died has left the alias split: it would be rolled back first."
    assert said in told["rollout"]["warnings"] and world.writes == 0


def test_the_dead_rollout_s_ending_is_told_by_the_one_that_finds_its_split() -> None:
    world = left_split("9", until=-100)
    world.invoke(EVENT)
    told = [(event["status"], event["rollout"], event["new-version"]) for event in world.told[:3]]
    dead = "cccccccccccc"
    mine = "0123456789ab"
    assert told == [
        ("ROLLED_BACK", dead, "9"),
        ("RolloutInterrupted", dead, "9"),
        ("STARTED", mine, "8"),
    ]
    assert "It was rolled back." in world.told[1]["reason"]


def test_a_dead_rollout_s_split_with_shortened_words_is_left_to_its_watchdog() -> None:
    words = "w" * 250
    world = World(rate=0)
    world.alias.description = words
    world.at(45, world.kill)
    with pytest.raises(Killed):
        world.invoke(EVENT)
    world.dead = False
    world.advance(3000)
    with pytest.raises(AliasBusy):
        world.deploy("bbbbbbbbbbbb", steps=3, interval=30)
    deliver_all(world)
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, words)


# A rollback that fails, in the state machine.
def test_the_state_machine_tells_a_rollback_that_fails_once_however_often_it_is_tried() -> None:
    world = World(rate=0)
    world.at(40, lambda: setattr(world, "down", ("denied", 40.0, 4000.0)))
    machine = Machine(world, EVENT).run()
    told = [event["status"] for event in world.told]
    assert told.count("RollbackFailed") == 1 and told[-2:] == ["ROLLED_BACK", machine.error]
    assert machine.error in ("HealthCheckInconclusive", "RolloutInterrupted")
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)
    tries = machine.entered.count("Rollback")
    assert 10 < tries <= workflow.MOST_ROLLBACKS


def test_a_rollback_whose_sandbox_dies_before_it_could_tell_is_told_by_the_next_try() -> None:
    """What was told stands in the state, which the task that died did not return."""
    world = World(rate=0)
    world.at(40, lambda: setattr(world, "down", ("denied", 40.0, 700.0)))
    killed: list[float] = []

    class Dying(Machine):
        def _invoke(self, task: Any) -> Any:
            if task["task"] == "Rollback" and not killed:
                killed.append(world.time)
                world.at(world.time + 30, world.kill)
            return super()._invoke(task)

    Dying(world, EVENT).run()
    assert [event["status"] for event in world.told].count("RollbackFailed") == 1


@pytest.mark.parametrize("name", ["CalculateWeights", "UpdateWeight", "HealthCheck", "Finalize"])
def test_one_sandbox_that_dies_does_not_undo_a_healthy_rollout(name: str) -> None:
    world = World(rate=0)
    killed: list[str] = []

    class Dying(Machine):
        def _invoke(self, task: Any) -> Any:
            if task["task"] == name and not killed:
                killed.append(name)
                self.world.faults = {len(self.world.numbered): "killed after"}
            return super()._invoke(task)

    machine = Dying(world, EVENT).run()
    assert killed == [name] and machine.status == "SUCCEEDED"
    assert world.history[-1] == "8"


# -- what the stories need ------------------------------------------------------------------------


class RoundedAlias(StoredAlias):
    """AWS keeps so many digits of a weight."""

    digits = 2

    def update(self, request: Any, versions: Any, roles: Any) -> None:
        super().update(request, versions, roles)
        self.routing = {
            version: round(weight, self.digits) for version, weight in self.routing.items()
        }


def rounding(digits: int, **settings: Any) -> World:
    world = World(**settings)
    world.alias = RoundedAlias(f"{FUNCTION}:live", "live", "7", WORDS)
    world.alias.digits = digits
    return world


def run(driver: str, world: World, event: Any) -> str:
    """Its status, or its error's name."""
    if driver == "the state machine":
        machine = Machine(world, event).run()
        return machine.error or str(machine.output["rollout"]["status"])
    try:
        return str(world.invoke(event)["rollout"]["status"])
    except (HealthCheckFailed, RolloutInterrupted, AliasBusy) as error:
        return type(error).__name__
