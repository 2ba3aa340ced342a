"""When a rollout waits, and how long: `min-invocations` with `hold`, `every` and `settle`."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from deployer.decisions.errors import HealthCheckInconclusive
from tests.beginnings import beside_quick
from world.aws import WORDS
from world.world import World

#: A shift or a look takes a few calls of 0.05 s.
FAST = 0.5


def test_a_step_is_held_until_enough_calls_are_reported_and_later_weights_move_with_it() -> None:
    world = World(starts=datetime(2026, 1, 5, 12, 0, 7, tzinfo=UTC))
    told = world.deploy(steps=3, interval=60, health_check={"min-invocations": 50})["rollout"]
    assert world.history == [0.33, 0.67, 1.0, "8"] and told["warnings"] == []
    # A weight set at 12:00:07 has its first whole minute at 12:01, which is published at 12:03: 173
    # s later.
    assert [round(later - earlier) for earlier, later in pairwise(times(world))] == [180, 180, 180]


def test_what_has_enough_calls_in_time_is_not_held() -> None:
    world = World()
    world.deploy(steps=2, interval=240, health_check={"min-invocations": 50})
    first, second, ended = times(world)
    assert abs(second - 240) < FAST and abs(ended - 480) < FAST and first == 0


def test_only_calls_since_the_weight_took_effect_count() -> None:
    """At the first weight there are 2,000 calls; at the second one, nobody calls any more."""
    world = World()
    world.at(181, lambda: setattr(world, "rate", 0.0))
    message = inconclusive(world, {"min-invocations": 50, "hold": 150}, steps=2)
    assert world.history == [0.5, 1.0, "7"]
    assert (
        "Only 0 of the 50 calls that 'min-invocations' asks for were reported of version 8 in step 2"
        in message
    )


def test_calls_of_the_step_before_do_not_count_when_no_look_could_be_made() -> None:
    world = World()
    world.at(180.5, lambda: setattr(world, "down", ("broken", 181.0, 241.5)))
    told = world.deploy(steps=2, interval=60, health_check={"min-invocations": 300})["rollout"]
    assert world.history == [0.5, 1.0, "8"]
    assert told["checks"]["unseen"] > 3
    # The first whole minute of the second step is published at 12:06, 353 s after the start.
    assert world.moves[-1][0] > 353


@pytest.mark.parametrize("hold", [0, 45, 120])
def test_hold_seconds_beyond_the_interval_it_is_inconclusive(hold: float) -> None:
    world = World(rate=0.05)
    message = inconclusive(world, {"min-invocations": 50, "hold": hold})
    assert world.history == [0.33, "7"]
    assert (
        f"of the 50 calls that 'min-invocations' asks for were reported of version 8 in step 1, {hold} s"
        in message
    )
    assert abs(times(world)[-1] - 60 - hold) < FAST


def test_the_default_hold_is_300_seconds() -> None:
    world = World(rate=0)
    assert "Only 0 of the 1 calls" in inconclusive(world, {"min-invocations": 1}, steps=2)
    assert world.history == [0.5, "7"] and abs(times(world)[-1] - 360) < FAST


def test_too_little_time_for_the_rest_is_inconclusive_before_the_hold_is_over() -> None:
    world = World(rate=0.05)
    message = inconclusive(world, {"min-invocations": 50, "hold": 3600}, steps=5, interval=120)
    assert world.history == [0.2, "7"]
    assert message.split(" It was")[0].endswith("in step 1, before time ran short.")
    # 840 s may be used: four steps of 120 s and 120 s to settle must still fit.
    assert 840 - 600 - 15 - FAST < times(world)[-1] < 840 - 600 + FAST


def test_a_held_step_is_looked_at_as_often_as_its_interval_is_long() -> None:
    """`every` is never more than the interval: otherwise a held step would not be seen before its
    hold is over."""
    world = World()
    world.deploy(steps=2, interval=60, health_check={"min-invocations": 50, "every": 3600})
    assert world.history == [0.5, 1.0, "8"]
    assert [round(later - earlier) for earlier, later in pairwise(times(world))] == [180, 180]


def test_an_error_ends_a_held_step_at_once() -> None:
    world = World(rate=0.5)
    world.at(100, lambda: world.errors.update({"8": 1.0}))
    with pytest.raises(Exception, match="Version 8 had ") as failed:
        world.deploy(steps=2, interval=60, health_check={"min-invocations": 1000})
    assert type(failed.value).__name__ == "HealthCheckFailed" and world.history == [0.5, "7"]


@pytest.mark.parametrize("every", [1, 5, 10, 20, 60])
def test_looks_come_as_often_as_every_says(every: float) -> None:
    world = World(rate=1, latency=0.01)
    world.deploy(steps=5, interval=60, health_check={"every": every})
    gaps = [round(later - earlier, 1) for earlier, later in pairwise(world.looked[1:])]
    assert max(gaps) <= every + 0.1 and gaps.count(every) > 0.9 * len(gaps)
    assert len(gaps) >= 300 / every - 1


def test_every_is_never_more_than_the_interval() -> None:
    world = World()
    world.deploy(steps=3, interval=60, health_check={"every": 3600})
    assert world.history == [0.33, 0.67, 1.0, "8"]
    assert max(later - earlier for earlier, later in pairwise(world.looked)) <= 61


def test_settle_0_finalizes_at_once() -> None:
    world = World(delay=300)
    told = world.deploy(steps=3, interval=30, health_check={"settle": 0})["rollout"]
    assert abs(times(world)[-1] - 90) < FAST
    assert (told["checks"]["judged"], len(beside_quick(told))) == (False, 1)


def test_it_settles_for_as_long_as_settle_says() -> None:
    world = World(rate=0)
    told = world.deploy(steps=3, interval=30, health_check={"settle": 400})["rollout"]
    assert abs(times(world)[-1] - 490) < FAST and told["checks"]["judged"] is False


def test_what_is_published_late_is_waited_for_where_settle_allows_it() -> None:
    world = World(delay=300)
    told = world.deploy(steps=3, interval=30, health_check={"settle": 500})["rollout"]
    assert (told["checks"]["judged"], beside_quick(told)) == (True, [])
    assert times(world)[-1] < 90 + 400


# -- what the stories need ------------------------------------------------------------------------


def times(world: World) -> list[float]:
    """When the alias was moved, in seconds since its first move."""
    return [time - world.moves[0][0] for time, *_ in world.moves]


def inconclusive(world: World, checks: dict[str, Any], **payload: Any) -> str:
    with pytest.raises(HealthCheckInconclusive) as failed:
        world.deploy(**{"steps": 3, "interval": 60, **payload}, health_check=checks)
    assert world.history[-1] == "7" and world.alias.description == WORDS
    assert str(failed.value).endswith(
        "It was rolled back. Alias 'live' of 'checkout' is on version 7."
    )
    return str(failed.value)
