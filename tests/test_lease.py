"""The lease: whenever a deployer dies its split is gone within four minutes, and one that is slow
fights nobody."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deployer import lease
from deployer.aws import CALL_SECONDS, CallFailed
from deployer.decisions.errors import (
    AliasChanged,
    DeployError,
    HealthCheckFailed,
    RollbackFailed,
    RolloutInterrupted,
)
from tests.beginnings import UNSPLIT
from world.aws import WORDS
from world.delivery import REDELIVERY, arrival, deliver, deliver_all, watch
from world.faults import Killed
from world.world import World

SEED = 20261125

#: Ten steps of a minute: the last weight is reached after nine.
STEPS: dict[str, Any] = {"steps": 10, "interval": 60}


@pytest.mark.parametrize("number", range(100))
def test_whenever_a_deployer_is_killed_its_split_is_gone_within_four_minutes(number: int) -> None:
    draw = random.Random(SEED + number)
    second = draw.uniform(0, 60)
    world = GuardedWorld(
        rate=0, starts=datetime(2026, 1, 5, 12, tzinfo=UTC) + timedelta(seconds=second)
    )
    world.lateness = draw.uniform(0, 59)
    killed_at = draw.uniform(0.3, 650)
    world.at(killed_at, world.kill)
    with pytest.raises(Killed):
        world.deploy(**STEPS)
    world.dead = False
    was_split = bool(world.alias.routing)
    world.advance(240 - (world.time - killed_at))
    print(f"seed {SEED + number}, killed at {killed_at:.1f} s, moves {world.moves[-2:]}")
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)
    assert world.schedules == {}
    assert endings(world) == (["ROLLED_BACK", "RolloutInterrupted"] if was_split else [])
    if was_split:
        assert world.moves[-1][0] - killed_at < 240


def test_a_deployer_killed_between_its_rollback_and_its_word_has_left_no_split() -> None:
    world = GuardedWorld(rate=0, errors={})
    world.faults = {"DeleteSchedule": "killed"}
    with pytest.raises(Killed):
        world.deploy(steps=2, interval=20)
    world.dead = False
    world.advance(240)
    assert world.alias.version == "8" and endings(world) == ["SUCCEEDED"]


# A deployer that cannot move its lease on.
@pytest.mark.parametrize("fault", ["throttled", "broken", "denied", "lost", "unsent"])
@pytest.mark.parametrize("lateness", [0.0, 30.0, 59.0])
def test_one_that_cannot_renew_rolls_back_by_its_own_clock_before_the_watchdog_comes(
    lateness: float, fault: str
) -> None:
    world = GuardedWorld(rate=0)
    world.lateness = lateness
    world.faults = {"UpdateSchedule": fault}
    with pytest.raises(
        RolloutInterrupted, match="The lease runs out, and could not be renewed in time"
    ) as ended:
        world.deploy(**STEPS)
    assert str(ended.value).endswith("Alias 'live' of 'checkout' is on version 7.")
    assert endings(world) == ["ROLLED_BACK", "RolloutInterrupted"]
    # A renewal whose answer was lost has moved the lease on: but only an answer counts.
    assert world.moves[-1][0] < 120, "the lease of 12:00:07 runs out at 12:02"
    world.advance(240)
    assert endings(world) == ["ROLLED_BACK", "RolloutInterrupted"], "nobody tells it a second time"
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("fault", ["throttled", "broken", "lost", "unsent", "slow"])
def test_one_renewal_that_fails_does_not_cost_the_rollout(fault: str, number: int) -> None:
    world = GuardedWorld(rate=0)
    world.faults = {f"UpdateSchedule {number}": fault}
    world.deploy(**STEPS)
    assert endings(world) == ["SUCCEEDED"] and world.history[-1] == "8"


def test_a_lease_that_somebody_deleted_ends_the_rollout_before_anything_is_left_alone() -> None:
    world = GuardedWorld(rate=0)
    world.at(100, world.schedules.clear)
    with pytest.raises(RolloutInterrupted, match="ResourceNotFoundException"):
        world.deploy(**STEPS)
    assert endings(world) == ["ROLLED_BACK", "RolloutInterrupted"]


@pytest.mark.parametrize("fault", ["throttled", "broken", "denied", "lost", "unsent"])
def test_a_lease_that_cannot_be_deleted_runs_out_and_changes_and_tells_nothing(fault: str) -> None:
    world = GuardedWorld(rate=0)
    world.faults = {"DeleteSchedule": fault}
    world.deploy(**STEPS)
    before = world.alias.answer()
    world.advance(300)
    assert world.alias.answer() == before and endings(world) == ["SUCCEEDED"]


@pytest.mark.parametrize("fault", ["throttled", "broken", "denied", "late", "unsent", "slow"])
def test_while_the_watchdog_cannot_see_whether_the_deployer_lives_it_does_nothing(
    fault: str,
) -> None:
    world = World(rate=0)
    world.at(40, world.kill)
    with pytest.raises(Killed):
        world.deploy(**STEPS)
    world.dead = False
    body = arrival(world)
    world.faults = {f"GetSchedule {number}": fault for number in range(2)}
    deliveries = deliver(world, body)
    assert deliveries == (1 if fault == "slow" else 3)
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)


# A slow deployer.
@pytest.mark.parametrize("lateness", [0.0, 20.0, 59.0])
@pytest.mark.parametrize("slow_from", [0.0, 20.0, 75.0, 130.0, 200.0, 333.0])
@pytest.mark.parametrize("seconds", [3.9, 8.0, 12.5])
@pytest.mark.parametrize("errors", [{}, {"8": 1.0}])
def test_a_slow_deployer_is_never_told_of_twice_and_never_fights_its_watchdog(
    errors: dict[str, float], seconds: float, slow_from: float, lateness: float
) -> None:
    world = SlowWorld(rate=2.0, errors=errors)
    world.lateness = lateness
    world.slow_from = slow_from
    world.seconds = seconds
    ended = "SUCCEEDED"
    try:
        world.deploy(**STEPS)
    except DeployError as error:
        ended = type(error).__name__
    world.slow_from = 1e9
    world.advance(600)
    told = [status for status in endings(world) if status != "ROLLED_BACK"]
    assert len(told) == 1, told
    assert told == [ended] or "RolloutInterrupted" in (ended, *told)
    assert endings(world).count("ROLLED_BACK") <= 1
    assert world.alias.routing == {} and world.alias.description == WORDS
    assert world.alias.version == ("8" if told == ["SUCCEEDED"] else "7")
    # Nobody took a weight out that the other one put in again.
    weights = [move for move in world.history if move != "7"]
    assert weights == sorted(weights, key=lambda move: 2.0 if move == "8" else move)


def test_a_split_that_is_gone_after_its_lease_ran_out_is_the_watchdog_s_to_tell() -> None:
    """Its sandbox was frozen for minutes: a call that did not return, and no time-out that would
    have ended it."""
    world = GuardedWorld(rate=0)
    world.at(100, lambda: world.advance(250))
    with pytest.raises(RolloutInterrupted, match="The lease was lost") as ended:
        world.deploy(**STEPS)
    assert str(ended.value).endswith("Alias 'live' of 'checkout' is on version 7.")
    assert endings(world) == ["ROLLED_BACK", "RolloutInterrupted"]
    assert world.told[-1]["reason"].startswith("The deployer died")


# Late messages, and another rollout of the same payload.
@pytest.mark.parametrize("at", range(1, 640, 16))
def test_a_s_late_lease_never_touches_b_s_rollout_of_the_same_payload(at: int) -> None:
    world = World(rate=0)
    world.at(70, world.kill)
    with pytest.raises(Killed):
        world.deploy("aaaaaaaaaaaa", **STEPS)
    world.dead = False
    deliver_all(world)
    late = world.leases[0]
    since = world.time
    world.at(since + at, lambda: watch(world, late))
    world.deploy("bbbbbbbbbbbb", **STEPS)
    assert world.told[-1]["status"] == "SUCCEEDED" and world.alias.version == "8"
    assert "7" not in world.history[3:]


def test_an_operator_who_takes_it_back_is_told_by_the_deployer_that_lives() -> None:
    world = GuardedWorld(rate=0)
    world.at(100, lambda: world.update_alias(**UNSPLIT))
    with pytest.raises(AliasChanged):
        world.deploy(**STEPS)
    world.advance(300)
    assert endings(world) == ["AliasChanged"]


def test_a_rollback_that_failed_is_left_to_the_watchdog_with_the_word_that_it_was_told() -> None:
    world = Unwritable(rate=2.0, errors={"8": 1.0}, budget=145, delay=-30.0)
    with pytest.raises(RollbackFailed):
        world.deploy(type="all-at-once", interval=80, health_check={"settle": 0})
    assert endings(world) == ["RollbackFailed"]
    (left,) = world.schedules.values()
    assert json.loads(left.message)["told"] == "RollbackFailed"
    world.advance(2000)
    assert endings(world) == ["RollbackFailed", "ROLLED_BACK", "RolloutInterrupted"]
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)


def test_a_lease_that_aws_does_not_move_on_is_asked_for_now_and_then() -> None:
    world = GuardedWorld(rate=0)
    world.faults = {"UpdateSchedule": "throttled"}
    with pytest.raises(RolloutInterrupted):
        world.deploy(**STEPS)
    assert 10 <= world.calls.count("UpdateSchedule") <= 20


def test_a_write_sent_in_time_has_landed_or_never_will_when_the_watchdog_comes() -> None:
    assert lease.SAFE > CALL_SECONDS
    assert lease.AHEAD - lease.EVERY - lease.SAFE >= 3 * CALL_SECONDS


@pytest.mark.parametrize("errors", [{"8": 1.0}])
def test_a_failing_version_is_rolled_back_as_ever(errors: dict[str, float]) -> None:
    world = GuardedWorld(errors=errors)
    with pytest.raises(HealthCheckFailed):
        world.deploy(**STEPS)
    world.advance(300)
    assert endings(world) == ["ROLLED_BACK", "HealthCheckFailed"] and world.schedules == {}


# -- what the stories need ------------------------------------------------------------------------


class GuardedWorld(World):
    """A world whose watchdog is awake: what becomes due reaches it while deployers are still at
    work."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._guarding = False

    def advance(self, seconds: float) -> None:
        end = self.time + seconds
        while not self._guarding and self.due and self.due[0][0] <= end:
            super().advance(max(0.0, self.due[0][0] - self.time))
            if self.due and self.due[0][0] <= self.time:
                self._guard()
        super().advance(max(0.0, end - self.time))

    def _guard(self) -> None:
        """The watchdog has a sandbox of its own: whatever it does takes this world's time, but
        kills nobody."""
        self._guarding = True
        dead = self.dead
        self.dead = False
        try:
            body = arrival(self)
            watch(self, body)
        except (DeployError, *CallFailed):
            self.messages.append((self.time + REDELIVERY, body))
        finally:
            self._guarding = False
            self.dead = dead


class SlowWorld(GuardedWorld):
    """Every call takes as long as its time-outs allow: an attempt that times out, a pause, one that
    just succeeds."""

    slow_from = 0.0
    seconds = 12.5

    def call(self, name: str, apply: Callable[[], Any]) -> Any:
        if self.time >= self.slow_from and not self._guarding:
            self.advance(self.seconds)
        return super().call(name, apply)


def endings(world: World) -> list[str]:
    return [
        event["status"] for event in world.told if event["status"] not in ("STARTED", "SHIFTED")
    ]


class Unwritable(GuardedWorld):
    """From its first seconds on the alias cannot be written, for eleven minutes."""

    def call(self, name: str, apply: Callable[[], Any]) -> Any:
        self.down = ("denied" if name == "UpdateAlias" else "", 20.0, 700.0)
        return super().call(name, apply)
