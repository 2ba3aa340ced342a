"""The log never falls silent unnoticed: each line says when the next look is due, and as long as the
deployer lives the next line has come by then, also where the health check is switched off."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from deployer.decisions.errors import DeployError
from deployer.tell import logger
from tests.beginnings import EVENT
from world.machine import Machine
from world.world import World

#: Seconds that a look, or a shift that follows it, may take beyond the time that was told; the
#: state machine waits in whole seconds.
LATE = 2.0

PAYLOAD: dict[str, Any] = {"steps": 3, "interval": 60}


class Line(NamedTuple):
    """A line of the log, and the time at which it was written."""

    time: float
    said: dict[str, Any]

    def tells(self, key: str) -> float:
        return datetime.fromisoformat(self.said[key]).timestamp()


@pytest.fixture
def listen() -> Iterator[Callable[[World], list[Line]]]:
    """The lines that are logged in a world from now on."""
    handlers: list[logging.Handler] = []

    def begin(world: World) -> list[Line]:
        heard: list[Line] = []

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                said = json.loads(logger.registered_formatter.format(record))
                heard.append(Line(world.now().timestamp(), said))

        handlers.append(Handler())
        logger.addHandler(handlers[-1])
        return heard

    yield begin
    for handler in handlers:
        logger._logger.removeHandler(handler)


def roll_out(world: World, driver: str, check: Any) -> None:
    event = {**EVENT, **PAYLOAD, "health-check": check}
    if driver == "the state machine":
        Machine(world, event).run()
        return
    with suppress(DeployError):
        world.invoke(event)


def rolled_out(listen: Callable[[World], list[Line]], check: Any = True) -> list[Line]:
    """The lines of a healthy rollout through the loop."""
    world = World()
    heard = listen(world)
    roll_out(world, "the loop", check)
    return heard


def _healthy(world: World) -> None:
    """Nothing happens."""


def _unseen(world: World) -> None:
    world.at(50, lambda: world.faults.update(dict.fromkeys(["GetMetricData 4"], "throttled")))


def _failing(world: World) -> None:
    world.errors = {"8": 1.0}


def _suspended(world: World) -> None:
    world.log_delay = 5.0
    world.at(20, lambda: world.write_failure("8"))


@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
@pytest.mark.parametrize("check", [True, False, {"min-invocations": 200, "hold": 100}])
@pytest.mark.parametrize("during", [_healthy, _unseen, _failing, _suspended])
def test_no_line_comes_later_than_the_one_before_it_said(
    listen: Callable[[World], list[Line]],
    driver: str,
    check: Any,
    during: Callable[[World], None],
) -> None:
    world = World()
    during(world)
    heard = listen(world)
    roll_out(world, driver, check)
    due = [line for line in heard if "next-look" in line.said]
    assert len(due) >= 4, "shifts and looks say when the next look is due"
    for line in due:
        after = [
            each for each in heard[heard.index(line) + 1 :] if each.said["message"] != "LEASED"
        ]
        assert after, "an ending comes last"
        assert after[0].time <= line.tells("next-look") + LATE, line.said


def test_a_step_that_is_over_says_that_what_follows_comes_at_once(
    listen: Callable[[World], list[Line]],
) -> None:
    heard = rolled_out(listen)
    over = [line for line in heard if line.said.get("phase") == "OVER"]
    assert len(over) == 3 and all(line.said["verdict"] == "SUCCEEDED" for line in over)
    for line in over:
        assert line.tells("next-look") == pytest.approx(line.time, abs=1)


def test_a_shift_says_when_its_step_ends(listen: Callable[[World], list[Line]]) -> None:
    heard = rolled_out(listen)
    shifts = [line for line in heard if line.said["message"] == "SHIFTED"]
    assert [line.tells("step-ends") - line.time for line in shifts] == pytest.approx(
        [60, 60, 60], abs=1
    )
    (started,) = [line.said for line in heard if line.said["message"] == "STARTED"]
    assert (started["interval"], started["settle"], started["hold"]) == (60, 120, 0)


def test_a_switched_off_health_check_leaves_a_line_for_every_look_all_the_same(
    listen: Callable[[World], list[Line]],
) -> None:
    heard = rolled_out(listen, check=False)
    looked = [line.said for line in heard if line.said["message"] == "LOOKED"]
    assert len(looked) == 12
    assert {line["reason"] for line in looked} == {"The health check is switched off."}
    assert [line["verdict"] for line in looked].count("SUCCEEDED") == 3


def test_the_lease_says_until_when_its_deployer_may_be_silent_and_alive(
    listen: Callable[[World], list[Line]],
) -> None:
    heard = rolled_out(listen)
    leased = [line for line in heard if line.said["message"] == "LEASED"]
    assert len(leased) >= 5
    for line in leased:
        assert 90 <= line.tells("until") - line.time <= 150
    gaps = [after.time - line.time for line, after in pairwise(leased)]
    assert max(gaps) <= 31
