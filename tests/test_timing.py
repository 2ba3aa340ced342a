"""When the weights are set, how often is looked, and what happens to rollouts that do not fit into
their time."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from deployer.decisions.errors import RolloutInterrupted, RolloutTooLong
from deployer.decisions.weights import linear
from world.aws import WORDS
from world.world import World

TENTHS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]

#: A shift and a look need up to five calls of the API, the lease's among them, 0.05 s each in this
#: world.
FAST = 0.3


def test_the_sample_s_ten_steps_are_set_on_time_and_end_on_the_new_version() -> None:
    world = TimedWorld()
    result = world.deploy(steps=10, interval=60)
    assert_on_time(world, TENTHS, 60)
    assert result["rollout"]["status"] == "SUCCEEDED"
    assert result["rollout"]["weights"] == TENTHS
    assert (result["FunctionVersion"], result["Description"], result.get("RoutingConfig")) == (
        "8",
        WORDS,
        None,
    )
    # The last weight is set at 12:09:07; its minute ends at 12:10 and is published at 12:11.
    *_, ended = times(world)
    published = (datetime(2026, 1, 5, 12, 11, tzinfo=UTC) - world.starts).total_seconds()
    assert published < world.moves[-1][0] <= published + 15 + FAST
    assert abs(ended - (600 + 60)) <= 6.6  # four looks to settle; 1 % of the whole


def test_without_a_health_check_it_ends_when_the_last_interval_ends() -> None:
    world = TimedWorld()
    result = world.deploy(steps=10, interval=60, health_check=False)
    assert world.history == [*TENTHS, "8"]
    assert abs(times(world)[-1] - 600) <= 1
    assert "GetMetricData" not in world.calls
    assert (result["rollout"]["started"], result["rollout"]["ended"]) == (
        "2026-01-05T12:00:07+00:00",
        "2026-01-05T12:10:07+00:00",
    )


def test_one_getmetricdata_and_one_getalias_a_look() -> None:
    world = TimedWorld()
    checks = world.deploy(steps=10, interval=60)["rollout"]["checks"]
    # One more of each comes before the first shift, and the calls of the hour before are counted.
    assert world.calls.count("GetAlias") == checks["looks"] + 1
    assert world.calls.count("GetMetricData") == checks["looks"] + 2
    assert world.numbered[:6] == [
        "GetAlias",
        "GetFunctionConfiguration",
        "GetMetricData",
        "GetMetricData",
        "FilterLogEvents",
        "UpdateAlias",
    ]
    # The lease is the last call before the first shift.
    assert world.calls.index("CreateSchedule") == 5 and world.calls.count("CreateSchedule") == 1


@pytest.mark.parametrize("second", range(0, 60, 7))
@pytest.mark.parametrize(
    "interval", [0, 0.5, 1, 4, 5, 14, 15, 16, 29, 30, 31, 50, 59, 60, 61, 90, 119, 120, 240, 719]
)
def test_every_interval_keeps_its_times(interval: float, second: int) -> None:
    steps = min(10, int(719 / max(interval, 1)))
    world = TimedWorld(starts=datetime(2026, 1, 5, 12, 0, second, tzinfo=UTC))
    result = world.deploy(steps=steps, interval=interval)
    assert_on_time(world, list(linear(steps)), interval)
    assert result["rollout"]["checks"]["judged"] is True


@pytest.mark.parametrize(
    ("payload", "weights", "interval"),
    [
        ({"type": "linear", "steps": 4, "interval": 30}, [0.25, 0.5, 0.75, 1.0], 30),
        ({"type": "exponential", "steps": 4, "interval": 30}, [0.125, 0.25, 0.5, 1.0], 30),
        ({"type": "canary", "interval": 45}, [0.1, 1.0], 45),
        ({"type": "canary", "steps": 2, "interval": 45}, [0.1, 1.0], 45),
        ({"type": "all-at-once", "interval": 45}, [1.0], 45),
        ({"type": "AllAtOnce"}, [1.0], 60),
        ({"type": "CodeDeployDefault.LambdaCanary10Percent5Minutes"}, [0.1, 1.0], 300),
        ({"type": "LambdaLinear10PercentEvery1Minute", "interval": 60, "steps": 10}, TENTHS, 60),
        ({"weights": [0.01, 0.05, 0.25, 1], "interval": 30}, [0.01, 0.05, 0.25, 1.0], 30),
        ({"weights": [1 / 3, 1], "steps": 2, "interval": 20}, [1 / 3, 1.0], 20),
    ],
)
def test_every_type_keeps_its_weights_and_times(
    payload: dict[str, Any], weights: list[float], interval: float
) -> None:
    world = TimedWorld()
    assert world.deploy(**payload)["rollout"]["weights"] == weights
    assert_on_time(world, weights, interval)


def test_a_thousand_weights_are_set_one_by_one() -> None:
    world = World()
    world.deploy(steps=1000, interval=0)
    assert world.history == [*linear(1000), "8"]
    assert world.alias.description == WORDS


@pytest.mark.parametrize("latency", [0.5, 1.0, 2.0, 3.0, 5.0])
@pytest.mark.parametrize("interval", [5, 10, 30, 60])
def test_no_weight_is_short_however_slow_the_api_is(interval: float, latency: float) -> None:
    world = World(latency=latency)
    world.deploy(steps=5, interval=interval)
    assert world.history == [0.2, 0.4, 0.6, 0.8, 1.0, "8"]
    assert all(after - before >= 0.9 * interval for before, after in pairwise(times(world)))


def test_the_time_of_slow_calls_is_not_added_up() -> None:
    world = World(latency=1.0)
    world.deploy(steps=10, interval=60)
    assert all(abs(time - 60 * step) <= 4 for step, time in enumerate(times(world)[:-1]))


def test_a_slow_call_in_one_step_does_not_shorten_the_next_below_nine_tenths() -> None:
    world = World()
    world.faults = dict.fromkeys(range(4, 12), "slow")  # 3.5 s each
    world.deploy(steps=5, interval=10)
    assert world.history == [0.2, 0.4, 0.6, 0.8, 1.0, "8"]
    assert all(after - before >= 9 for before, after in pairwise(times(world)))


@pytest.mark.parametrize(
    ("steps", "interval"), [(10, 120), (2, 400), (1, 841), (1000, 1), (10, 73)]
)
def test_a_rollout_that_does_not_fit_is_refused_with_what_would_fit(
    steps: int, interval: int
) -> None:
    world = World()
    with pytest.raises(RolloutTooLong) as refused:
        world.deploy(steps=steps, interval=interval)
    assert world.writes == 0 and world.moves == []
    message = str(refused.value)
    assert "'interval' or 'steps'" in message
    assert message.endswith("Alias 'live' of 'checkout' is on version 7.")

    # What the message says does fit, and not a second or a step more.
    longest = re.search(r"an interval of (\d+) s", message)
    most = re.search(r"would fit (\d+) times", message)
    for fits, more in (
        ((steps, int(longest[1])) if longest else None, (0, 1)),
        ((int(most[1]), interval) if most and int(most[1]) else None, (1, 0)),
    ):
        if fits:
            World(rate=1).deploy(steps=fits[0], interval=fits[1])
            with pytest.raises(RolloutTooLong):
                World().deploy(steps=fits[0] + more[0], interval=fits[1] + more[1])


def test_the_sample_s_own_example_is_told_its_longest_interval_and_most_steps() -> None:
    with pytest.raises(
        RolloutTooLong, match=r"With 10 weights .* an interval of 71 s; 120 s would fit 5 times"
    ):
        World().deploy(steps=10, interval=120)


def test_a_rollout_of_a_single_long_step_that_does_not_fit_is_told_so() -> None:
    with pytest.raises(RolloutTooLong, match=r"an interval of 719 s; 900 s would fit 0 times"):
        World().deploy(type="all-at-once", interval=900)


@pytest.mark.parametrize("latency", [4.0, 5.0, 6.0, 8.0])
def test_when_time_runs_out_on_a_slow_api_the_alias_is_rolled_back_in_time(latency: float) -> None:
    world = World(latency=latency, budget=280 + 8 * latency)
    with pytest.raises(RolloutInterrupted, match="Time ran out") as interrupted:
        world.deploy(steps=10, interval=10)
    assert world.history == [*TENTHS[: len(world.history) - 1], "7"]
    assert world.alias.description == WORDS
    assert str(interrupted.value).endswith("Alias 'live' of 'checkout' is on version 7.")
    assert world.budget - 60 <= world.time <= world.budget


def test_time_that_runs_out_while_it_settles_rolls_back_too() -> None:
    world = World(rate=0, budget=60 + 50 + 120 + 6, latency=1.0)
    with pytest.raises(RolloutInterrupted, match="Time ran out"):
        world.deploy(steps=5, interval=10)
    assert world.history == [0.2, 0.4, 0.6, 0.8, 1.0, "7"]


# -- what the stories need ------------------------------------------------------------------------


class TimedWorld(World):
    """It notes when each API call is made."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.called: list[tuple[float, str]] = []

    def call(self, name: str, apply: Callable[[], Any]) -> Any:
        self.called.append((self.time, name))
        return super().call(name, apply)

    def looks(self) -> list[float]:
        """When CloudWatch was read since the first shift."""
        first = self.moves[0][0]
        return [time for time, name in self.called if name == "GetMetricData" and time >= first]


def times(world: World) -> list[float]:
    """When the alias was moved, in seconds since its first move."""
    return [time - world.moves[0][0] for time, _, _ in world.moves]


def assert_on_time(world: TimedWorld, weights: list[float], interval: float) -> None:
    """A whole rollout: its history, each weight within a second of its time, and never long without
    a look."""
    assert world.history == [*weights, "8"]
    assert world.writes == len(weights) + 1
    assert world.alias.description == WORDS
    *shifts, ended = times(world)
    for step, time in enumerate(shifts):
        # Even with an interval of 0 a step has its shift and its look.
        assert abs(time - step * interval) < 1 or time <= step * (interval + FAST)
    assert all(after - before >= 0.9 * interval for before, after in pairwise(shifts))
    # It settles for 120 s at most.
    full = len(weights) * max(interval, FAST)
    assert len(weights) * interval <= ended <= 1.01 * (full + 120) + FAST
    gaps = pairwise([world.moves[0][0], *world.looks(), world.moves[-1][0]])
    assert all(after - before <= 15 + FAST for before, after in gaps)
