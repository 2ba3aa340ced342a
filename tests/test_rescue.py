"""An execution of the state machine ended badly: its split is rolled back, by its event or by the
schedule."""

import json
from typing import Any

import pytest

from deployer import watchdog
from deployer.aws import CallFailed
from tests.beginnings import EVENT, killed
from world.aws import WORDS
from world.delivery import deliver_all, watch
from world.execution import Event
from world.machine import Machine
from world.world import World

SCHEDULED = json.dumps({"detail-type": "Scheduled Event"})


STATES = ["UpdateWeight", "Wait", "HealthCheck", "VerifyHealthCheck", "IsFullyWeighted"]


@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT", "FAILED"])
@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("words", [WORDS, "🚀" * 128])
def test_an_execution_that_ended_badly_is_rolled_back_whatever_state_it_was_in(
    words: str, state: str, times: int, status: str
) -> None:
    world = World(rate=0)
    world.alias.description = words
    machine = AbortedIn(world, state, times, status).run()
    assert machine.status == status
    assert deliver_all(world, [machine]) == 1
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, words)


def test_an_execution_aborted_as_it_rolls_back_or_finalizes_has_done_so() -> None:
    for state, errors, version in (("Finalize", {}, "8"), ("Rollback", {"8": 1.0}, "7")):
        world = World(errors=errors)
        machine = AbortedIn(world, state).run()
        assert machine.status == "ABORTED"
        deliver_all(world, [machine])
        assert (world.alias.version, world.alias.routing, world.alias.description) == (
            version,
            {},
            WORDS,
        )


def test_before_calculate_weights_has_ended_there_is_nothing_to_roll_back() -> None:
    world = World(rate=0)
    aborted = AbortedIn(world, "CalculateWeights").run()
    refused = Machine(world, {**EVENT, "new-version": "99"}, "refused").run()
    assert (aborted.status, refused.error) == ("ABORTED", "InvalidRollout")
    made = len(world.calls)
    deliver_all(world, [aborted, refused])
    assert set(world.calls[made:]) == {"GetExecutionHistory"}


@pytest.mark.parametrize(
    "progress", [1, None, [], {}, {"id": 1}, {"id": "x", "original": "7", "words": ""}]
)
def test_a_key_of_the_user_s_that_is_called_progress_misleads_nobody(progress: Any) -> None:
    world = World(rate=0)
    refused = Machine(world, {**EVENT, "weights": [1], "progress": progress}).run()
    assert refused.error == "InvalidRollout"
    deliver_all(world, [refused])
    assert world.writes == 0


def test_a_refused_payload_that_names_a_running_rollout_does_not_end_it() -> None:
    world = killed(40)
    progress = {"id": "0123456789ab", "original": "7", "words": ""}
    refused = Machine(world, {**EVENT, "weights": [0.33, 0.67, 1], "progress": progress}).run()
    before = world.alias.answer()
    assert refused.error == "InvalidRollout"
    watch(world, refused.event, [refused])
    assert world.alias.answer() == before


def test_an_execution_whose_rollback_failed_is_rolled_back_later() -> None:
    world = World(rate=0)
    world.down = ("denied", 40, 20_000)
    machine = Machine(world, EVENT).run()
    assert (machine.error, world.alias.routing) == ("RollbackFailed", {"8": 0.67})
    assert deliver_all(world, [machine]) > 1
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)


def test_an_execution_whose_rollback_died_at_every_try_is_rolled_back_by_a_history_of_many_pages() -> (
    None
):
    world = World(rate=0)
    world.down = ("killed", 40, 1e9)
    machine = Machine(world, EVENT).run()
    world.down = ("", 0, 0)
    assert (machine.error, world.alias.routing) == ("Runtime.ExitError", {"8": 0.67})
    assert machine.entered[-2:] == ["Rollback", "Fail"]
    assert machine.types[-125:].count("LambdaFunctionFailed") == 41
    assert deliver_all(world, [machine]) == 1
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)


def test_what_a_task_still_writes_after_its_execution_was_aborted_is_undone() -> None:
    """The message is delayed for longer than a task can last."""
    world = World(rate=0)
    world.down = ("throttled", 30, 55)
    machine = AbortedIn(world, "UpdateWeight", times=2).run()
    aborted = (machine.stopped - world.starts).total_seconds()
    assert (
        world.alias.routing == {"8": 0.67}
        and aborted + 20 < world.moves[-1][0] < aborted + watchdog.SAFE
    )
    deliver_all(world, [machine])
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)


# The schedule.
@pytest.mark.usefixtures("_the_state_machine_is_known")
@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT", "FAILED"])
@pytest.mark.parametrize(
    ("ago", "found"), [(100, False), (179, False), (181, True), (3700, True), (3800, False)]
)
def test_the_schedule_finds_executions_that_ended_some_minutes_ago(
    status: str, ago: float, found: bool
) -> None:
    world = World(rate=0)
    machine = AbortedIn(world, "Wait", 3, status).run()
    world.advance(ago - (world.now() - machine.stopped).total_seconds())
    watch(world, SCHEDULED, [machine])
    assert world.alias.routing == ({} if found else {"8": 0.67})


@pytest.mark.usefixtures("_the_state_machine_is_known")
def test_an_execution_that_cannot_be_rescued_keeps_none_from_the_others() -> None:
    world = World(rate=0)
    others = [Machine(world, None, f"unreadable-{number}").run() for number in range(120)]
    machine = AbortedIn(world, "Wait", 3, "FAILED").run()
    more = [Machine(world, None, f"unreadable-too-{number}").run() for number in range(120)]
    world.advance(200)
    machines = [*others, machine, *more]
    unreadable = [each.arn for each in machines if each is not machine]
    with pytest.raises(CallFailed):
        watch(world, SCHEDULED, machines, unreadable)
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)


@pytest.mark.usefixtures("_the_state_machine_is_known")
def test_executions_that_ended_well_are_left_alone_by_the_schedule() -> None:
    world = World(rate=0)
    machine = Machine(world, EVENT).run()
    before = world.alias.answer()
    world.advance(600)
    watch(world, SCHEDULED, [machine])
    assert machine.status == "SUCCEEDED" and world.alias.answer() == before


@pytest.mark.usefixtures("_the_state_machine_is_known")
def test_a_user_s_key_called_progress_keeps_the_schedule_from_no_other_execution() -> None:
    world = World(rate=0)
    machine = AbortedIn(world, "Wait", 3, "FAILED").run()
    refused = Machine(world, {**EVENT, "weights": [1], "progress": 1}, "refused").run()
    world.advance(200)
    watch(world, SCHEDULED, [machine, refused])
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)


# -- what the stories need ------------------------------------------------------------------------


ENDS = {status: kind for kind, status in Machine.STATUSES.items()}


class AbortedIn(Machine):
    """It ends badly as it enters a state for the n-th time; the state's task goes on to its end."""

    def __init__(
        self, world: World, state: str, times: int = 1, status: str = "ABORTED", event: Any = EVENT
    ) -> None:
        super().__init__(world, event)
        self._in = state
        self._times = times
        self._ends = ENDS[status]

    def note(self, event: Event) -> None:
        super().note(event)
        begun = event["type"] in ("WaitStateEntered", "ChoiceStateEntered", "LambdaFunctionStarted")
        if begun and self.entered[-1] == self._in and self.entered.count(self._in) == self._times:
            super().note({"type": self._ends})
