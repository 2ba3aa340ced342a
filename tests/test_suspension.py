"""Whose a suspended alias is: its deployer's, until somebody writes it, or until its deployer has
died."""

from typing import Any

import pytest

from deployer.decisions.errors import AliasBusy, AliasChanged, RolloutInterrupted
from tests.beginnings import EVENT, UNSPLIT, left_split
from world.aws import WORDS
from world.delivery import deliver_all
from world.faults import Killed
from world.machine import Machine
from world.world import World

PAYLOAD: dict[str, Any] = {"steps": 2, "interval": 30, "health-check": {"settle": 0}}

#: Suspended at 10 s, and resumed at 70 s, if nobody interferes.
SUSPENDED = [0.5, "7", 0.5, 1.0, "8"]

#: How long after its deployer's death a suspended alias is itself again, at most.
FOUR_MINUTES = 240.0


def accused(**more: Any) -> World:
    """A world in which the new version prints what looks like a failed call, and is none."""
    world = World(**{"delay": 0.0, "rate": 2.0, **more})
    world.log_delay = 5.0
    world.at(3, lambda: world.write_failure("8"))
    return world


def deploy(world: World) -> Any:
    return world.invoke({**EVENT, **PAYLOAD})


def statuses(world: World) -> list[str]:
    return [told["status"] for told in world.told]


def test_while_it_is_suspended_the_stamp_says_so() -> None:
    world = accused()
    seen = []
    world.at(40, lambda: seen.append(world.alias.description))
    deploy(world)
    assert world.history == SUSPENDED
    assert f"{WORDS} [rollout 0123456789ab to 8 suspended at 0.5 (1/2) until" in seen[0]
    assert world.alias.description == WORDS


# A write that goes wrong.


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("fault", ["lost", "late", "unsent", "slow", "throttled", "broken"])
def test_a_suspension_or_its_end_that_goes_wrong_once_is_told_once(fault: str, number: int) -> None:
    world = accused()
    world.faults = {f"UpdateAlias {number}": fault}
    told = deploy(world)["rollout"]
    assert told["status"] == "SUCCEEDED" and told["checks"]["suspensions"] == 1
    moved = [each for each in world.history if each != "refused"]
    assert moved == SUSPENDED
    assert world.alias.description == WORDS
    assert statuses(world).count("SUSPENDED") == statuses(world).count("RESUMED") == 1


def test_a_suspension_that_is_refused_changes_nothing_and_is_tried_again() -> None:
    """A line of a log rolls nothing back, and neither does that it cannot be heeded."""
    world = accused()
    world.faults = {"UpdateAlias 1": "denied"}
    told = deploy(world)["rollout"]
    assert (told["status"], told["checks"]["suspensions"]) == ("SUCCEEDED", 1)
    assert [each for each in world.history if each != "refused"] == SUSPENDED


def test_a_suspension_that_is_always_refused_leaves_the_rollout_to_the_metrics() -> None:
    world = accused()
    for number in range(1, 40):
        world.faults[f"UpdateAlias {number}"] = "throttled"
    world.at(45, world.faults.clear)
    told = deploy(world)["rollout"]
    assert told["status"] == "SUCCEEDED"


def test_the_end_of_a_suspension_that_is_refused_is_rolled_back() -> None:
    world = accused()
    world.faults = {"UpdateAlias 2": "denied"}
    with pytest.raises(RolloutInterrupted, match=r"could not be shifted"):
        deploy(world)
    assert world.history[-1] == "7" and world.alias.description == WORDS


@pytest.mark.parametrize("tenths", range(95, 111))
def test_words_edited_beside_the_suspending_write_are_kept(tenths: int) -> None:
    """Before it the alias is ours, whatever its words; after it, whoever writes takes it back."""
    world = accused()
    world.at(tenths / 10 + 0.02, lambda: world.update_alias(Description="Mine"))
    try:
        status = deploy(world)["rollout"]["status"]
    except AliasChanged:
        status = "AliasChanged"
    suspended_at = world.moves[[each[2] for each in world.moves].index({})][0]
    edited_before = tenths / 10 + 0.02 < suspended_at
    assert status == ("SUCCEEDED" if edited_before else "AliasChanged")
    assert world.alias.routing == {} and world.alias.description == "Mine"


# Somebody comes while it is suspended.

TAKEN = {
    "taken back": UNSPLIT,
    "moved to a third version": {"FunctionVersion": "9", **UNSPLIT},
    "split by hand": {"RoutingConfig": {"AdditionalVersionWeights": {"9": 0.5}}},
    "touched": {},
}


@pytest.mark.parametrize("driver", ["loop", "machine"])
@pytest.mark.parametrize("what", TAKEN)
@pytest.mark.parametrize("at", [17.0, 25.07, 40.0, 62.0, 69.9])
def test_whoever_writes_a_suspended_alias_has_it(what: str, at: float, driver: str) -> None:
    world = accused()
    world.at(at, lambda: world.update_alias(**TAKEN[what]))
    if driver == "loop":
        with pytest.raises(AliasChanged):
            deploy(world)
    else:
        assert Machine(world, {**EVENT, **PAYLOAD}).run().error == "AliasChanged"
    version = "9" if "third" in what else "7"
    routing = {"9": 0.5} if "split" in what else {}
    assert (world.alias.version, world.alias.routing) == (version, routing)
    assert world.alias.description == WORDS, "our stamp is taken out"
    assert 0.5 not in world.history[1:] or "split" in what, "it is never split again"
    assert statuses(world)[-1] == "AliasChanged"
    assert world.time - at < 30


def test_a_take_back_while_the_suspension_s_answer_is_lost_cannot_be_told_from_it() -> None:
    """It writes what stands there: the one case in which a take-back is not seen."""
    world = accused()
    world.faults = {"UpdateAlias 1": "lost"}
    world.at(12, lambda: world.update_alias(**UNSPLIT))
    assert deploy(world)["rollout"]["status"] == "SUCCEEDED"
    for at in (9.9, 16):  # before those seconds, and after them, it is
        world = accused()
        world.faults = {"UpdateAlias 1": "lost"}
        world.at(at, lambda: world.update_alias(**UNSPLIT))  # noqa: B023
        with pytest.raises(AliasChanged):
            deploy(world)
        assert world.alias.routing == {} and world.alias.description == WORDS


# Another rollout comes.


def test_another_s_suspended_alias_is_busy_while_it_lives() -> None:
    world = left_suspended(until=500)
    before = world.alias.description
    with pytest.raises(AliasBusy, match="Rollout cccccccccccc of version 8 is suspended") as busy:
        world.deploy(steps=2, interval=30)
    assert "weight 0.3, step 3 of 10" in str(busy.value)
    assert world.writes == 0 and world.alias.description == before


def test_an_abandoned_suspension_is_rolled_back_first() -> None:
    world = left_suspended(until=-61)
    told = world.deploy(steps=2, interval=30)["rollout"]
    assert told["status"] == "SUCCEEDED"
    assert any("rolled back first" in warning for warning in told["warnings"])
    assert world.history == ["7", 0.5, 1.0, "8"] and world.alias.description == WORDS
    others = [each["status"] for each in world.told if each["rollout"] == "cccccccccccc"]
    assert others == ["ROLLED_BACK", "RolloutInterrupted"]


def left_suspended(until: float) -> World:
    """A world that starts with a suspended alias, whose deployer has ended by `until`."""
    world = left_split("8", until)
    world.alias.routing = {}
    world.alias.description = world.alias.description.replace(" at 0.3", " suspended at 0.3")
    return world


# Its deployer dies.


@pytest.mark.parametrize("at", [10.4, 11.0, 33.0, 60.01, 69.0])
def test_what_was_suspended_when_its_deployer_died_is_itself_again_in_minutes(at: float) -> None:
    world = accused()
    world.at(at, world.kill)
    with pytest.raises(Killed):
        deploy(world)
    world.dead = False
    assert "suspended at 0.5" in world.alias.description
    deliver_all(world)
    assert (world.alias.version, world.alias.routing) == ("7", {})
    assert world.alias.description == WORDS
    assert world.moves[-1][0] - at < FOUR_MINUTES
    assert statuses(world)[-2:] == ["ROLLED_BACK", "RolloutInterrupted"]


def test_what_was_suspended_when_its_execution_was_stopped_is_itself_again() -> None:
    world = accused()
    machine = Machine(world, {**EVENT, **PAYLOAD})
    world.at(40, machine.abort)
    machine.run()
    assert "suspended at 0.5" in world.alias.description
    deliver_all(world, [machine])
    assert (world.alias.version, world.alias.routing) == ("7", {})
    assert world.alias.description == WORDS
    assert statuses(world)[-2:] == ["ROLLED_BACK", "RolloutInterrupted"]


def test_a_lease_that_cannot_be_moved_on_ends_a_suspension_by_its_deployer_s_own_clock() -> None:
    world = accused(delay=600.0)
    world.at(20, lambda: world.faults.update(UpdateSchedule="denied"))
    with pytest.raises(RolloutInterrupted, match="The lease runs out"):
        deploy(world)
    assert world.history == [0.5, "7", "7"] and world.alias.description == WORDS
