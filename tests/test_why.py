"""A version that failed is rolled back, and then its log is read for why: kinds of errors and a
request to look at, and not a word of what a user sent or a function wrote."""

import json
import re
from typing import Any

import pytest

from deployer.decisions.errors import HealthCheckFailed
from tests.beginnings import EVENT
from world.faults import Killed
from world.logs import SECRET
from world.machine import Machine
from world.world import World

DRIVERS = ["the loop", "the state machine"]

REQUEST = "8f3a1c2e-0000-4000-8000-[0-9]{12}"

MINUTES = {"steps": 10, "interval": 60}


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_error_and_the_event_say_what_the_log_has(driver: str) -> None:
    world = logged(errors={"8": 0.3})
    message = failed(world, driver)
    assert "It was rolled back. In its log: " in message
    assert re.search(
        rf" × KeyError; such as request {REQUEST}, stream 2026/01/05/\[8\]0123456789abcdef", message
    )
    assert message.endswith(" Alias 'live' of 'checkout' is on version 7.")
    (ending,) = [told for told in world.told if told["status"] == "HealthCheckFailed"]
    assert ending["reason"] + " " + ending["where"] == message


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_alias_is_back_before_the_log_is_asked_why(driver: str) -> None:
    world = logged(errors={"8": 0.3})
    failed(world, driver)
    last_write = len(world.calls) - 1 - world.calls[::-1].index("UpdateAlias")
    assert "GetMetricData" not in world.calls[last_write:]
    assert "FilterLogEvents" in world.calls[last_write:]


@pytest.mark.parametrize("driver", DRIVERS)
def test_where_the_payload_says_so_it_is_not_read(driver: str) -> None:
    world = logged(errors={"8": 0.3})
    message = failed(world, driver, {"logs": False})
    assert "FilterLogEvents" not in world.calls and "log" not in message


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_log_that_may_not_be_read_is_said_with_the_remedy_and_changes_nothing_else(
    driver: str,
) -> None:
    plain = World(errors={"8": 0.3})
    failed(plain, driver)
    world = logged(errors={"8": 0.3})
    world.log_fault = "denied"
    message = failed(world, driver)
    assert (
        "Its log /aws/lambda/checkout could not be read: allow it to the deployer with" in message
    )
    assert "TargetLogGroups, or set 'logs' to false. AWS says AccessDeniedException" in message
    assert world.history == plain.history


@pytest.mark.parametrize("fault", ["throttled", "broken", "lost", "unsent", "slow"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_log_that_cannot_be_read_now_costs_the_explanation_and_nothing_else(
    driver: str, fault: str
) -> None:
    plain = logged(errors={"8": 0.3})
    failed(plain, driver)
    world = logged(errors={"8": 0.3})
    world.faults = {f"FilterLogEvents {plain.calls.count('FilterLogEvents') - 1}": fault}
    message = failed(world, driver)
    assert ("could not be read. AWS says" in message) == (fault != "slow")
    assert world.moves == plain.moves
    assert world.alias.routing == {} and world.alias.version == "7"


def test_a_version_that_has_written_nothing_has_no_log_to_speak_of() -> None:
    world = logged(errors={"8": 0.3})
    world.at(30, lambda: setattr(world, "log_group", "/aws/lambda/elsewhere"))
    assert "log" not in failed(world, "the loop")


def test_a_group_of_another_name_is_read_by_the_streams_that_bear_the_function_s() -> None:
    world = logged(errors={"8": 0.3})
    world.log_group = "/shop/all"
    assert "stream 2026/01/05/checkout[8]0123" in failed(world, "the loop")


@pytest.mark.parametrize("driver", DRIVERS)
def test_streams_of_the_day_before_are_read_after_midnight(driver: str) -> None:
    world = logged(errors={"8": 0.3})
    world.starts = world.starts.replace(hour=23, minute=59, second=30)
    assert "stream 2026/01/05/[8]0123" in failed(world, driver)
    assert world.now().day == 6


@pytest.mark.parametrize("driver", DRIVERS)
def test_nobody_s_data_come_out_of_the_log(driver: str, capsys: pytest.CaptureFixture[str]) -> None:
    world = logged(errors={"8": 1.0})
    message = failed(world, driver)
    told = message + said(world) + capsys.readouterr().out + json.dumps(world.leases)
    assert "KeyError" in told
    for word in SECRET.split():
        assert word not in told


def test_a_deployer_that_dies_while_it_reads_has_rolled_back_and_the_watchdog_has_nothing_to_do() -> (
    None
):
    plain = logged(errors={"8": 0.3})
    failed(plain, "the loop")
    world = logged(errors={"8": 0.3})
    world.faults = {f"FilterLogEvents {plain.calls.count('FilterLogEvents') - 1}": "killed"}
    with pytest.raises(Killed):
        world.invoke({**EVENT, **MINUTES})
    assert world.alias.routing == {} and world.alias.version == "7"


# -- what the stories need ------------------------------------------------------------------------


def failed(world: World, driver: str, check: Any = True) -> str:
    """The message of a rollout that the health check failed."""
    event = {**EVENT, **MINUTES, "health-check": check}
    if driver == "the loop":
        with pytest.raises(HealthCheckFailed) as told:
            world.invoke(event)
        return str(told.value)
    machine = Machine(world, event).run()
    assert machine.error == "HealthCheckFailed"
    return machine.cause


def said(world: World) -> str:
    return json.dumps(world.told, ensure_ascii=False)


def logged(**settings: Any) -> World:
    """A world whose function writes of its failed calls."""
    world = World(**settings)
    world.log_delay = 5.0
    return world
