"""A rehearsal (`"finalize": false`): at the end of a healthy rollout the alias is given back to the
original version; and a `deadline`, by which a rollout has ended."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from deployer.decisions.errors import AliasChanged, RolloutInterrupted, RolloutTooLong
from tests.beginnings import EVENT, UNSPLIT
from world.aws import WORDS
from world.delivery import deliver_all
from world.faults import Killed
from world.machine import Machine
from world.world import World

REHEARSAL = {**EVENT, "finalize": False}
LONG = "x" * 250

DRIVERS = ["the loop", "the state machine"]


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("words", [WORDS, "", LONG])
def test_a_healthy_one_ends_on_the_original_version_alone_with_its_own_words(
    driver: str, words: str
) -> None:
    world = World()
    world.alias.description = words
    result = _played(driver, world)
    assert world.history == [0.33, 0.67, 1.0, "7"]
    assert (world.alias.description, world.alias.routing) == (words, {})
    assert result["rollout"]["status"] == "APPROVED"
    assert (result["FunctionVersion"], result.get("RoutingConfig")) == ("7", None)
    assert result["rollout"]["checks"]["judged"] is True
    told = world.told[-1]
    assert told["status"] == "APPROVED"
    assert told["where"] == "Alias 'live' of 'checkout' is on version 7."
    assert not world.schedules, "no lease is left"


def test_what_is_shown_of_it_is_a_weight_of_0(capsys: pytest.CaptureFixture[str]) -> None:
    World().invoke(REHEARSAL)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    weights = [line["Weight"] for line in lines if "Weight" in line]
    assert weights == [[33.0], [67.0], [100.0], [0.0]]
    assert [line["outcome"] for line in lines if "Ended" in line] == ["APPROVED"]


@pytest.mark.parametrize("words", [{}, {"Description": "Mine"}])
def test_an_operator_who_takes_it_back_while_it_is_given_back_has_stopped_it(
    words: dict[str, str],
) -> None:
    world = World()
    _just_before_the_end(world, words)
    with pytest.raises(AliasChanged, match="is on version 7"):
        world.invoke(REHEARSAL)
    assert (world.alias.version, world.alias.routing) == ("7", {})
    assert world.alias.description == words.get("Description", WORDS)
    assert world.told[-1]["status"] == "AliasChanged"


def test_one_who_promotes_it_then_has_promoted_it() -> None:
    world = World()
    _just_before_the_end(world, {"FunctionVersion": "8", "Description": "Mine"})
    result = world.invoke(REHEARSAL)
    assert result["rollout"]["status"] == "SUCCEEDED"
    assert "Promoted by hand" in result["rollout"]["warnings"][-1]
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("8", {}, "Mine")


def _just_before_the_end(world: World, request: dict[str, str]) -> None:
    """An operator comes between the last look and the write that follows it."""
    call = world.call

    def interposed(name: str, apply: Callable[[], Any]) -> Any:
        if name == "UpdateAlias" and world.writes == 3:  # after the three shifts
            world.update_alias(**{**UNSPLIT, **request})
        return call(name, apply)

    world.__dict__["call"] = interposed


def test_a_task_that_dies_when_it_has_given_it_back_is_run_again_and_approves() -> None:
    world = World()
    world.faults["UpdateAlias 3"] = "killed after"
    execution = Machine(world, REHEARSAL).run()
    assert execution.output["rollout"]["status"] == "APPROVED"
    assert world.history == [0.33, 0.67, 1.0, "7"]
    assert [told["status"] for told in world.told].count("APPROVED") == 1


def test_a_deployer_that_dies_before_it_has_given_it_back_is_rolled_back_by_the_watchdog() -> None:
    world = World()
    world.faults["UpdateAlias 3"] = "killed"
    with pytest.raises(Killed):
        world.invoke(REHEARSAL)
    world.dead = False
    deliver_all(world)
    assert world.history == [0.33, 0.67, 1.0, "7"]
    assert world.alias.description == WORDS
    assert world.told[-1]["status"] == "RolloutInterrupted"


# The deadline.


def test_what_surely_does_not_fit_is_refused_with_what_would_fit() -> None:
    world = World()
    with pytest.raises(RolloutTooLong) as refused:
        world.invoke({**EVENT, "steps": 10, "interval": 60, "deadline": _after(world, 600)})
    assert str(refused.value) == (
        "The rollout is too long: 10 × 60 s and up to 120 s besides are 720 s, "
        "but until 'deadline' 584 s are left without 15 s in reserve. "
        "With 10 weights there is room for an interval of 46 s; 60 s would fit 7 times. "
        "Make 'interval' or 'steps' smaller, or 'deadline' later. "
        "Alias 'live' of 'checkout' is on version 7."
    )
    assert world.history == []


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_api_that_does_not_answer_for_long_ends_it_at_its_deadline(driver: str) -> None:
    """Nothing but the rollback comes after it."""
    world = World()
    world.down = ("broken", 31.0, 330.0)
    event = {**EVENT, "health-check": False, "interval": 90, "deadline": _after(world, 300)}
    with pytest.raises(RolloutInterrupted):
        _played(driver, world, event)
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)
    assert world.told[-1]["status"] == "RolloutInterrupted"


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_deadline_that_has_passed_ends_it_though_all_is_well(driver: str) -> None:
    """Looks took so long that the next shift would come too late."""
    world = World(latency=12.0)
    event = {**EVENT, "interval": 15, "steps": 6, "health-check": False}
    with pytest.raises(RolloutInterrupted, match="The rollout's deadline has passed"):
        _played(driver, world, {**event, "deadline": _after(world, 180)})
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_has_begun_late_settles_for_a_shorter_time_and_is_not_rolled_back(driver: str) -> None:
    world = World(rate=0)
    world.faults |= {f"UpdateAlias {number}": "throttled" for number in range(8)}
    event = {**EVENT, "interval": 60, "steps": 1, "deadline": _after(world, 196)}
    assert _played(driver, world, event)["rollout"]["status"] == "SUCCEEDED"
    *_, (ended, _, _) = world.moves
    assert 180 <= ended < 196


def test_one_that_passes_in_the_last_step_ends_it_too() -> None:
    world = World(latency=12.0)
    event = {**EVENT, "interval": 60, "steps": 1, "health-check": False}
    with pytest.raises(RolloutInterrupted, match="The rollout's deadline has passed"):
        world.invoke({**event, "deadline": _after(world, 101)})
    assert world.history == [1.0, "7"]


def _after(world: World, seconds: float) -> str:
    return (world.starts + timedelta(seconds=seconds)).isoformat()


def _played(driver: str, world: World, event: Any = None) -> Any:
    """The result; raises the error that it ended with."""
    event = event or REHEARSAL
    if driver == "the loop":
        return world.invoke(event)
    execution = Machine(world, event).run()
    if execution.status == "SUCCEEDED":
        return execution.output
    assert execution.error == "RolloutInterrupted", (execution.error, execution.cause)
    raise RolloutInterrupted(str(execution.cause))
