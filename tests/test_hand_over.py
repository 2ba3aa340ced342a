"""A rollout that does not fit into one invocation goes to the state machine: checked first, and
only once."""

from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from deployer.aws import id_of
from deployer.decisions.errors import AliasBusy, InvalidRollout, RolloutInterrupted, RolloutTooLong
from deployer.decisions.rollout import Rollout
from world.aws import HERE
from world.faults import client_error
from world.machine import FakeStepFunctions, Machine, arn
from world.world import FakeClients, World

EXECUTION = arn("request-1")

#: The sample's own example, which takes 20 minutes.
SAMPLE = {
    "function-name": "checkout",
    "alias-name": "live",
    "new-version": "8",
    "steps": 10,
    "interval": 120,
    "type": "linear",
}


pytestmark = pytest.mark.usefixtures("_the_state_machine_is_known")


def test_the_sample_s_own_example_is_handed_over_and_completes() -> None:
    world = World()
    told, stepfunctions = _invoked(world, SAMPLE)
    assert world.time < 5 and world.writes == 0
    assert told["rollout"]["status"] == "HANDED_OVER"
    assert told["rollout"]["execution-arn"] == EXECUTION
    assert told["rollout"]["id"] == id_of(EXECUTION)
    assert told["FunctionVersion"] == "7"
    assert stepfunctions.started == {"request-1": SAMPLE}
    begun = world.time
    execution = Machine(world, stepfunctions.started["request-1"], "request-1").run()
    assert execution.output["rollout"]["status"] == "SUCCEEDED"
    assert world.history == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, "8"]
    assert 1200 <= world.time - begun <= 1200 * 1.01 + 120


def test_a_duplicate_delivery_is_one_execution() -> None:
    world = World()
    first, stepfunctions = _invoked(world, SAMPLE)
    second, _ = _invoked(world, SAMPLE, stepfunctions)
    assert len(stepfunctions.started) == 1
    assert second["rollout"]["execution-arn"] == first["rollout"]["execution-arn"]


def test_what_fits_is_not_handed_over() -> None:
    world = World()
    told, stepfunctions = _invoked(world, {**SAMPLE, "interval": 60})
    assert (told["rollout"]["status"], stepfunctions.started) == ("SUCCEEDED", {})


def test_without_hand_over_it_is_too_long() -> None:
    with pytest.raises(RolloutTooLong, match="an interval of 71 s; 120 s would fit 5 times"):
        _invoked(World(), {**SAMPLE, "hand-over": False})


@pytest.mark.parametrize(
    ("payload", "elsewhere", "offered"),
    [
        ({"hand-over": False}, True, True),
        ({"hand-over": False}, False, False),  # there is no state machine
        ({"hand-over": False, "interval": 4_000_000}, True, False),  # which could not do it either
        ({}, True, False),  # there is nothing to leave out
    ],
)
def test_to_leave_out_hand_over_is_offered_where_the_state_machine_could_do_it(
    payload: dict[str, Any], elsewhere: bool, offered: bool
) -> None:
    rollout = Rollout.from_event({**SAMPLE, **payload}, HERE)
    with pytest.raises(RolloutTooLong) as refused:
        rollout.must_fit(840, 60, elsewhere)
    remedy = "Make 'interval' or 'steps' smaller"
    rest = ", or leave out 'hand-over': false." if offered else "."
    assert refused.value.reason.endswith(remedy + rest)


def test_without_a_state_machine_it_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEPLOY_STATE_MACHINE_ARN")
    with pytest.raises(RolloutTooLong):
        _invoked(World(), SAMPLE)


def test_more_than_364_days_are_too_long_for_anything() -> None:
    with pytest.raises(RolloutTooLong, match="364 days"):
        _invoked(World(), {**SAMPLE, "interval": 4_000_000})


def test_where_holding_alone_takes_too_long_no_interval_fits() -> None:
    held = {"min-invocations": 1, "hold": 86_400}
    with pytest.raises(RolloutTooLong, match="120 s would fit 0 times"):
        _invoked(World(), {**SAMPLE, "steps": 1000, "health-check": held})


def test_it_is_checked_before_it_is_handed_over() -> None:
    world = World()
    for event in (
        {**SAMPLE, "new-version": "77"},
        {**SAMPLE, "alias-name": "absent"},
        {**SAMPLE, "steps": 0},
    ):
        with pytest.raises(InvalidRollout):
            _invoked(world, event)
    world.update_alias(RoutingConfig={"AdditionalVersionWeights": {"9": 0.5}})
    with pytest.raises(AliasBusy):
        _invoked(world, SAMPLE)


def test_what_is_deployed_already_is_not_handed_over() -> None:
    told, stepfunctions = _invoked(World(), {**SAMPLE, "new-version": "7"})
    assert (told["rollout"]["status"], stepfunctions.started) == ("ALREADY_DEPLOYED", {})


def test_a_version_that_is_still_pending_is_waited_for() -> None:
    world = World()
    world.states["8"] = ["Pending"] * 3 + ["Active"]
    told, _ = _invoked(world, SAMPLE)
    assert told["rollout"]["status"] == "HANDED_OVER"


def test_a_hand_over_that_fails_says_so_and_where_the_alias_is() -> None:
    world = World()

    class Deleted(FakeStepFunctions):
        def start_execution(self, **request: Any) -> Any:
            raise client_error("StartExecution", 400, "StateMachineDoesNotExist", "no")

    with pytest.raises(RolloutInterrupted) as failed:
        _invoked(world, SAMPLE, Deleted(world))
    assert "could not be handed over" in str(failed.value)
    assert str(failed.value).endswith("Alias 'live' of 'checkout' is on version 7.")


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_hand_over_whose_answer_was_lost_is_asked_for_again_and_is_one_execution(
    lost: int,
) -> None:
    world = World()
    told, stepfunctions = _invoked(world, SAMPLE, Unanswering(world, lost))
    assert told["rollout"]["status"] == "HANDED_OVER" and len(stepfunctions.started) == 1


def test_a_hand_over_that_aws_never_confirms_is_said_with_a_command_to_look() -> None:
    world = World()
    with pytest.raises(
        RolloutInterrupted, match="AWS did not answer whether it was handed over"
    ) as failed:
        _invoked(world, SAMPLE, Unanswering(world, 99))
    assert f"aws stepfunctions describe-execution --execution-arn {EXECUTION}" in str(failed.value)
    assert "could not be handed over" not in str(failed.value)


@pytest.mark.parametrize("pending", [30, 100])
def test_what_no_longer_fits_after_a_slow_preflight_is_handed_over(pending: int) -> None:
    """10 × 60 s fit into 900 s when it was invoked, and no longer when the version became
    Active."""
    world = World(rate=0)
    world.states["8"] = ["Pending"] * pending + ["Active"]
    told, stepfunctions = _invoked(world, {**SAMPLE, "interval": 60})
    assert world.time > 5 * pending
    assert told["rollout"]["status"] == "HANDED_OVER" and len(stepfunctions.started) == 1


def test_what_is_too_long_only_because_it_must_not_be_handed_over_is_told_so() -> None:
    with pytest.raises(RolloutTooLong, match="or leave out 'hand-over': false"):
        _invoked(World(), {**SAMPLE, "hand-over": False})


# -- what the stories need ------------------------------------------------------------------------


def _invoked(
    world: World, event: Any, stepfunctions: FakeStepFunctions | None = None
) -> tuple[Any, FakeStepFunctions]:
    clients = FakeClients(world)
    clients.stepfunctions = stepfunctions or FakeStepFunctions(world)
    return world.invoke(event, clients=clients), clients.stepfunctions


class Unanswering(FakeStepFunctions):
    """The first answers are lost; what was asked for is done."""

    def __init__(self, world: World, lost: int) -> None:
        super().__init__(world)
        self.asked = 0
        self._lost = lost

    def start_execution(self, **request: Any) -> dict[str, Any]:
        self.asked += 1
        if request["name"] not in self.started:  # the same name and input: the same execution
            super().start_execution(**request)
        if self.asked <= self._lost:
            raise ReadTimeoutError(endpoint_url="https://states.test")
        return {"executionArn": EXECUTION}
