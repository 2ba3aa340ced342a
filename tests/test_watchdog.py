"""The deployer died: its split is rolled back when its lease runs out, and nothing else is
touched."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from deployer import watchdog
from deployer.aws import CallFailed
from deployer.decisions.errors import (
    DeployError,
    HealthCheckFailed,
    InvalidRollout,
    RollbackFailed,
    RolloutInterrupted,
)
from tests.beginnings import STEPS, UNSPLIT, killed
from world.aws import WORDS
from world.delivery import arrival, deliver, deliver_all, watch
from world.faults import Killed
from world.world import World

DESCRIPTIONS = ["", WORDS, "a" * 256, "🚀" * 128, "[rollout of the new checkout]", " two\nlines "]


def split(weights: dict[str, float]) -> dict[str, Any]:
    return {"RoutingConfig": {"AdditionalVersionWeights": weights}}


# The lease.
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("denied", InvalidRollout),
        ("throttled", RolloutInterrupted),
        ("broken", RolloutInterrupted),
        ("unsent", RolloutInterrupted),
        ("lost", RolloutInterrupted),
    ],
)
def test_no_lease_no_rollout(fault: str, error: type[DeployError]) -> None:
    world = World()
    world.faults = {"CreateSchedule": fault}
    with pytest.raises(
        error, match=r"The lease could not be taken, so nothing was started\. AWS says"
    ) as failed:
        world.deploy(**STEPS)
    assert type(failed.value) is error
    assert str(failed.value).endswith("Alias 'live' of 'checkout' is on version 7.")
    assert world.moves == [] and world.writes == 0
    assert [event["status"] for event in world.told] == [error.__name__]
    if fault == "lost":  # it was taken all the same
        assert_nothing_is_done(world)


@pytest.mark.parametrize("second", range(0, 60, 7))
@pytest.mark.parametrize("every", [1, 15, 40, 200])
def test_the_lease_never_runs_out_while_its_deployer_lives(every: float, second: int) -> None:
    world = LeaseWorld(rate=0, starts=datetime(2026, 1, 5, 12, 0, second, tzinfo=UTC))
    world.deploy(steps=2, interval=200, health_check={"every": every})
    assert world.history == [0.5, 1.0, "8"]
    assert min(world.rest) > 45, "at its latest, in seconds, before it runs out"
    assert max(world.rest_after) <= 150
    assert world.schedules == {}, "it is deleted at the end"
    assert 14 <= world.calls.count("UpdateSchedule") <= 20


def test_the_lease_is_taken_before_the_first_shift_and_deleted_after_the_ending() -> None:
    world = LeaseWorld(rate=0)
    world.deploy(**STEPS)
    calls = [name for name in world.calls if name not in ("GetAlias", "GetMetricData")]
    assert calls.index("CreateSchedule") == calls.index("UpdateAlias") - 1
    assert calls[-2:] == ["UpdateAlias", "DeleteSchedule"]
    assert world.told_at_deletion == ["STARTED", "SHIFTED", "SHIFTED", "SHIFTED", "SUCCEEDED"]


def test_the_message_holds_what_a_rollback_needs_and_no_payload() -> None:
    world = killed(40)
    message = json.loads(world.leases[0])
    assert set(message) == {"function-name", "alias-name", "new-version", "weights", "progress"}
    assert message["progress"] == {"id": "0123456789ab", "original": "7", "words": WORDS, "step": 0}
    (schedule,) = world.schedules.values()
    assert json.loads(schedule.message)["progress"]["step"] == 1, (
        "moved on after the first shift, and at 30 s"
    )


def test_the_longest_rollout_s_message_fits_into_the_schedule() -> None:
    world = World(rate=0)
    world.alias.description = "🚀" * 128
    weights = [(number + 0.123456789012345) / 1001 for number in range(999)] + [1]
    world.deploy(weights=weights, interval=0)
    assert len(world.leases[0].encode()) < 256 * 1024


# It arrives after a kill.
@pytest.mark.parametrize("words", DESCRIPTIONS)
@pytest.mark.parametrize("time", [5, 40, 85])
def test_a_dead_rollout_s_split_is_rolled_back_and_the_description_comes_back_exactly(
    time: float, words: str
) -> None:
    world = killed(time, words=words)
    assert world.alias.routing
    assert deliver_all(world) == 1
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, words)
    told = world.told[-2:]
    assert [event["status"] for event in told] == ["ROLLED_BACK", "RolloutInterrupted"]
    assert (
        told[1]["reason"]
        == "The deployer died, or its execution was stopped, before the rollout had ended. It was rolled back."
    )
    for event in told:
        assert (event["rollout"], event["function"], event["alias"]) == (
            "0123456789ab",
            "checkout",
            "live",
        )
        assert event["where"] == "Alias 'live' of 'checkout' is on version 7."


def test_a_deployer_killed_before_its_first_shift_has_left_nothing() -> None:
    world = World(rate=0)
    world.faults = {"UpdateAlias": "killed"}
    with pytest.raises(Killed):
        world.deploy(**STEPS)
    world.dead = False
    assert_nothing_is_done(world)


def test_a_message_that_is_delivered_twice_is_effective_once() -> None:
    world = killed(40)
    deliver_all(world)
    assert_nothing_is_done(world)


def test_a_write_that_was_on_its_way_when_the_deployer_died_is_undone_too() -> None:
    world = World(rate=0)
    world.faults = {"UpdateAlias 0": "late"}
    world.at(2, world.kill)
    with pytest.raises(Killed):
        world.deploy(**STEPS)
    world.dead = False
    assert world.alias.routing == {}
    world.advance(30)
    assert world.alias.routing == {"8": 0.33}
    deliver_all(world)
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)


# It arrives after a rollout that ended as it should.
def test_after_a_good_end_the_message_does_nothing() -> None:
    world = World(rate=0)
    world.deploy(**STEPS)
    assert_nothing_is_done(world)
    assert world.alias.version == "8"


def test_after_a_rollback_the_message_does_nothing() -> None:
    world = World(errors={"8": 1.0})
    with pytest.raises(HealthCheckFailed):
        world.deploy(**STEPS)
    assert_nothing_is_done(world)


def test_after_a_rollback_that_failed_the_watchdog_goes_on() -> None:
    world = World(rate=0)
    world.down = ("throttled", 40, 900)
    with pytest.raises(RollbackFailed):
        world.deploy(**STEPS)
    assert world.alias.routing == {"8": 0.67}
    assert deliver_all(world) == 2, "the lease had run out long before AWS answered again"
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)


@pytest.mark.parametrize("first_is", ["killed", "ended"])
def test_while_another_rollout_runs_the_message_of_an_earlier_one_does_nothing(
    first_is: str,
) -> None:
    world = World(rate=0)
    if first_is == "killed":
        killed(40, world)
        world.update_alias(**UNSPLIT, Description=WORDS)  # an operator has had enough
    else:
        world.down = ("broken", 40, 80)
        with pytest.raises(DeployError):
            world.deploy(**STEPS)
    body = world.leases[0]
    world.at(
        world.time + 45, lambda: watch(world, body)
    )  # the second one is in the midst of its second step
    world.deploy("bbbbbbbbbbbb", **STEPS)
    assert world.history[-4:] == [0.33, 0.67, 1.0, "8"]
    assert world.alias.description == WORDS


# Others have touched the alias before it arrives.
@pytest.mark.parametrize(
    ("request_", "version", "routing"),
    [
        ({**UNSPLIT}, "7", {}),
        ({**UNSPLIT, "FunctionVersion": "8"}, "8", {}),
        ({**UNSPLIT, "FunctionVersion": "9"}, "9", {}),
        ({"FunctionVersion": "9"}, "9", {}),  # our weight beside their version is ours
        (split({"9": 0.5}), "7", {"9": 0.5}),
        (split({"8": 0.5}), "7", {"8": 0.5}),
        ({**split({"8": 0.5}), "FunctionVersion": "9"}, "9", {"8": 0.5}),
    ],
)
@pytest.mark.parametrize("words", [*DESCRIPTIONS, None])
def test_what_somebody_else_made_of_the_alias_stays_and_ours_is_taken_out(
    words: str | None, request_: dict[str, Any], version: str, routing: dict[str, float]
) -> None:
    """With the stamp left standing as `update-alias` leaves it; with words of their own where
    `words` is None."""
    world = killed(40, words=WORDS if words is None else words)
    world.update_alias(**request_, **({} if words is not None else {"Description": "Mine"}))
    theirs = world.alias.answer()
    ours_beside_theirs = words is None and world.alias.routing == {"8": 0.67}
    assert deliver_all(world) == (2 if ours_beside_theirs else 1)
    if ours_beside_theirs:
        assert world.alias.answer() == theirs
        assert world.told[-1]["status"] == "AliasChanged"
        assert "may be the deployer's or theirs" in world.told[-1]["reason"]
    elif words is None and routing == world.alias.routing:
        assert world.alias.answer() == theirs
    elif words is not None:
        assert (world.alias.version, world.alias.routing, world.alias.description) == (
            version,
            routing,
            words,
        )
        endings = {"7": "RolloutInterrupted", "8": "SUCCEEDED", "9": "AliasChanged"}
        assert world.told[-1]["status"] == ("AliasChanged" if routing else endings[version])


@pytest.mark.parametrize("words", ["", "Mine", "b" * 256])
def test_words_that_somebody_edited_beside_the_stamp_are_kept(words: str) -> None:
    world = killed(40)
    stamp = world.alias.description.removeprefix(WORDS)
    room = 256 - len(stamp)
    world.update_alias(Description=(words[:room] + stamp).strip())
    deliver_all(world)
    assert (world.alias.version, world.alias.routing, world.alias.description) == (
        "7",
        {},
        words[:room],
    )


def test_somebody_who_comes_in_the_midst_of_the_watchdog_s_work_is_respected() -> None:
    world = killed(40)
    body = arrival(world)
    world.at(
        world.time + 0.12,
        lambda: world.update_alias(FunctionVersion="9", Description="Mine", **UNSPLIT),
    )
    watch(world, body)
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("9", {}, "Mine")
    assert world.told[-1]["status"] == "SHIFTED", "nothing of ours was left: whoever came knows"


@pytest.mark.parametrize("after", [0.0, 0.07])
def test_a_deleted_alias_is_no_error(after: float) -> None:
    """AWS says the same of a deleted function."""
    world = killed(40)
    body = arrival(world)
    world.at(world.time + after, lambda: setattr(world.alias, "name", "gone"))
    watch(world, body)
    assert len(world.moves) == 2  # the two shifts


# It cannot do what it should.
@pytest.mark.parametrize("fault", ["throttled", "broken", "denied", "unsent", "lost"])
def test_what_cannot_be_read_is_raised_so_that_the_message_comes_again(fault: str) -> None:
    world = killed(40)
    body = arrival(world)
    world.down = (fault, world.time, world.time + 900)
    with pytest.raises((DeployError, *CallFailed)):
        watch(world, body)
    assert deliver(world, body) > 1
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)


@pytest.mark.parametrize("fault", ["throttled", "broken", "denied", "unsent"])
@pytest.mark.parametrize(
    "request_", [None, {"FunctionVersion": "9"}, {"FunctionVersion": "8", **UNSPLIT}]
)
def test_what_cannot_be_written_is_told_once_and_tried_again(
    request_: dict[str, Any] | None, fault: str
) -> None:
    """Also where only our weight or our stamp is left to be taken out."""
    world = ReadOnly(rate=0)
    killed(40, world)
    if request_:
        world.update_alias(**request_)
    told = len(world.told)
    world.refused = fault
    watch(world, arrival(world))
    for _ in range(3):  # it comes again and again
        with pytest.raises(RollbackFailed):
            watch(world, world.due[0][1])
        world.advance(360)
    version = (request_ or {}).get("FunctionVersion", "7")
    ending = {"7": "RollbackFailed", "8": "SUCCEEDED", "9": "AliasChanged"}[version]
    assert [event["status"] for event in world.told[told:]] == [ending]
    world.refused = ""
    assert deliver_all(world) == 1
    assert (world.alias.version, world.alias.routing, world.alias.description) == (
        version,
        {},
        WORDS,
    )
    then = ["ROLLED_BACK", "RolloutInterrupted"] if ending == "RollbackFailed" else []
    assert [event["status"] for event in world.told[told:]] == [ending, *then]


def test_a_lease_from_the_dead_letter_queue_is_understood_when_it_is_moved_back() -> None:
    world = killed(40)
    body = arrival(world)
    watch(world, json.dumps({"MessageBody": body, "QueueUrl": "https://sqs.test/leases"}))
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)


def test_what_cannot_be_remembered_comes_again_and_is_not_lost() -> None:
    world = ReadOnly(rate=0)
    killed(40, world)
    world.refused = "denied"
    world.faults = {"SendMessage": "denied"}
    body = arrival(world)
    with pytest.raises(CallFailed):
        watch(world, body)
    world.refused = ""
    assert deliver(world, body) == 1
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)


# Its stamp is gone.
@pytest.mark.parametrize("words", ["", "Mine", "b" * 256])
def test_a_split_whose_whole_description_was_replaced_is_rolled_back_all_the_same(
    words: str,
) -> None:
    """The deployer was killed before it could stamp it again, or was dead already."""
    world = killed(40)
    world.update_alias(Description=words)
    assert deliver_all(world) == 2, "seen, and seen again a minute later"
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, words)
    assert [event["status"] for event in world.told[-2:]] == ["ROLLED_BACK", "RolloutInterrupted"]


def test_a_late_lease_leaves_alone_another_rollout_of_the_same_payload() -> None:
    world = killed(40)
    deliver_all(world)
    late = world.leases[0]
    since = world.time
    for at in (5, 8, 20, 33, 60, 80):
        world.at(since + at, lambda: world.update_alias(Description="Mine"))
        world.at(since + at + 2, lambda: watch(world, late))
    again = [(since + at + 2 + watchdog.STAMPED_AGAIN, late) for at in (5, 8, 20, 33, 60, 80)]
    for time, _ in again:
        world.at(time, lambda: deliver_due(world))
    world.deploy("bbbbbbbbbbbb", **STEPS)
    assert world.alias.version == "8" and world.told[-1]["status"] == "SUCCEEDED"
    assert world.history[-1] == "8" and "7" not in world.history[3:]
    assert world.alias.description == "Mine"


# The lease of a deployer that lives, or is slow.
def test_the_watchdog_drops_the_message_of_a_lease_that_runs_out_later() -> None:
    world = World(rate=0)
    for at in range(3, 90, 7):
        world.at(at, lambda: watch(world, world.leases[0]))
    world.deploy(**STEPS)
    assert world.history == [0.33, 0.67, 1.0, "8"]


@pytest.mark.parametrize(
    "fault", ["throttled", "broken", "lost", "late", "unsent", "denied", "killed", "killed after"]
)
@pytest.mark.parametrize("number", range(5))
def test_the_watchdog_itself_is_struck_at_any_call(number: int, fault: str) -> None:
    world = killed(40)
    body = arrival(world)
    world.faults = {len(world.numbered) + number: fault}
    try:
        deliver(world, body)
    except Killed:
        world.dead = False
        world.advance(360)
        deliver(world, body)
    world.advance(60)
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)


# -- what the stories need ------------------------------------------------------------------------


class LeaseWorld(World):
    """It notes how many seconds the lease had left, before and after it was moved on, and what was
    told by its end."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.rest: list[float] = []
        self.rest_after: list[float] = []
        self.told_at_deletion: list[str] = []

    def call(self, name: str, apply: Callable[[], Any]) -> Any:
        if name == "DeleteSchedule":
            self.told_at_deletion = [event["status"] for event in self.told]
        if name == "UpdateSchedule":
            self.rest += [each.due - self.time for each in self.schedules.values()]
        answer = super().call(name, apply)
        if name in ("CreateSchedule", "UpdateSchedule"):
            self.rest_after += [each.due - self.time for each in self.schedules.values()]
        return answer


class ReadOnly(World):
    """A world in which every write meets the fault `refused`."""

    refused = ""

    def call(self, name: str, apply: Callable[[], Any]) -> Any:
        self.down = (self.refused if name == "UpdateAlias" else "", 0.0, math.inf)
        return super().call(name, apply)


def assert_nothing_is_done(world: World) -> None:
    """When the message arrives; also the description and the revision stay."""
    before = world.alias.answer()
    told = len(world.told)
    world.advance(1000)
    assert deliver(world, world.leases[0]) == 1
    assert world.alias.answer() == before
    assert len(world.told) == told


def deliver_due(world: World) -> None:
    """Whatever has reached the watchdog by now, once."""
    for time, message in list(world.messages):
        if time <= world.time:
            world.messages.remove((time, message))
            watch(world, message)
