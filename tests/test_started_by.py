"""Who started a rollout stands wherever it is told of; and its result is what the contract says, and
nothing that AWS says of its own answering."""

import logging
from typing import Any

import pytest

from tests.beginnings import EVENT
from tests.test_told import STORIES, VALIDATOR, Story, ToldWorld, play
from world.machine import FakeStepFunctions, Machine
from world.world import FakeClients, World

WHO = "arn:aws:sts::123456789012:assumed-role/Deployers/ada"
BY_ADA = {**EVENT, "started-by": WHO}

DRIVERS = pytest.mark.parametrize("driver", ["the loop", "the state machine"])

#: As the README has it: what `UpdateAlias` answers, and ours.
ALIAS_KEYS = {"AliasArn", "Name", "FunctionVersion", "Description", "RevisionId"}

ENDS_WELL: dict[str, dict[str, Any]] = {
    "SUCCEEDED": EVENT,
    "PLANNED": {**EVENT, "dry-run": True},
    "ALREADY_DEPLOYED": {**EVENT, "new-version": "7"},
}


@DRIVERS
@pytest.mark.parametrize(
    "name",
    [name for name, story in STORIES.items() if isinstance(story.event, dict)],
)
def test_every_event_and_every_line_of_the_log_says_who_started_it(
    driver: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    story = STORIES[name]
    by_ada = Story(story.told, {**story.event, "started-by": WHO}, story.world, story.during)
    with caplog.at_level(logging.INFO):
        world, _ = play(driver, by_ada)
    assert {event.get("started-by") for event in world.told} == {WHO}
    assert not world.told.wrong
    lines = [vars(record) for record in caplog.records if record.message in story.told]
    assert [line["message"] for line in lines] == story.told
    assert {line.get("started-by") for line in lines} == {WHO}


@DRIVERS
@pytest.mark.parametrize("status", ENDS_WELL)
def test_the_result_says_who_started_it(driver: str, status: str) -> None:
    told = result(driver, {**ENDS_WELL[status], "started-by": WHO})
    assert (told["rollout"]["status"], told["rollout"]["started-by"]) == (status, WHO)


@DRIVERS
def test_where_nobody_said_it_nothing_is_told(driver: str) -> None:
    world, _ = play(driver, STORIES["good"])
    assert not [event for event in world.told if "started-by" in event]
    assert "started-by" not in result(driver, EVENT)["rollout"]


def test_the_state_machine_hands_it_from_task_to_task() -> None:
    world = World()
    machine = Machine(world, BY_ADA)
    states: list[Any] = []
    invoke = machine._invoke

    def noted(task: Any) -> Any:
        states.append(invoke(task))
        return states[-1]

    machine._invoke = noted  # type: ignore[method-assign]
    machine.run()
    *under_way, last = states
    assert len(under_way) > 4
    assert {state["started-by"] for state in under_way} == {WHO}
    assert last["rollout"]["started-by"] == WHO


@pytest.mark.usefixtures("_the_state_machine_is_known")
def test_a_rollout_that_is_handed_over_takes_it_along() -> None:
    world = ToldWorld(budget=100)
    clients = FakeClients(world)
    clients.stepfunctions = FakeStepFunctions(world)
    told = world.invoke(BY_ADA, clients=clients)
    assert (told["rollout"]["status"], told["rollout"]["started-by"]) == ("HANDED_OVER", WHO)
    assert set(told) == ALIAS_KEYS | {"rollout"}
    (started,) = clients.stepfunctions.started.values()
    assert started == BY_ADA
    execution = Machine(world, started, "request-1").run()
    assert execution.output["rollout"]["started-by"] == WHO
    assert {event["started-by"] for event in world.told} == {WHO}


@DRIVERS
@pytest.mark.parametrize("who", ["a", "x" * 128, "Änne 🚀\nand others"])
def test_any_text_of_up_to_128_letters_may_stand_there(driver: str, who: str) -> None:
    assert result(driver, {**EVENT, "started-by": who})["rollout"]["started-by"] == who


def test_an_event_with_anything_but_a_text_is_not_as_the_schema_says() -> None:
    world, _ = play("the loop", Story([], BY_ADA))
    assert VALIDATOR.is_valid(world.told[0])
    for wrong in ("", 7, None):
        assert not VALIDATOR.is_valid({**world.told[0], "started-by": wrong})


@DRIVERS
@pytest.mark.parametrize("status", ENDS_WELL)
def test_the_result_is_without_what_aws_says_of_its_answering(driver: str, status: str) -> None:
    world = World()
    assert "ResponseMetadata" in FakeClients(world).lambda_.get_alias(
        FunctionName="checkout", Name="live"
    )
    assert set(result(driver, ENDS_WELL[status])) == ALIAS_KEYS | {"rollout"}


# -- what the stories need ------------------------------------------------------------------------


def result(driver: str, event: Any) -> dict[str, Any]:
    world = World()
    if driver == "the loop":
        return world.invoke(event)
    return dict(Machine(world, event).run().output)
