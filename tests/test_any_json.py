"""The three handlers take any JSON at all: it is refused, or quietly none of theirs, and nothing is
ever written."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deployer import simple, watchdog, workflow
from deployer.decisions import errors
from deployer.decisions.errors import InvalidRollout
from deployer.decisions.rollout import KEYS
from tests.beginnings import EVENT, killed
from world.aws import FUNCTION
from world.machine import FakeStepFunctions, Machine, arn
from world.world import FakeClients, World

WORDS = [
    "checkout",
    "live",
    "8",
    "7",
    "linear",
    "arn:aws",
    FUNCTION,
    arn("run"),
    arn("gone"),
    "$LATEST",
    "0123456789ab",
]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=10)
    | st.sampled_from(
        [*WORDS, 10**400, 1e308, [0.5, 1], "InvalidRollout", "Lambda.Unknown", "__class__", "count"]
    )
)
PAYLOAD_KEYS = [
    *KEYS,
    "progress",
    "id",
    "original",
    "words",
    "error",
    "Error",
    "Cause",
    "reason",
    "status",
    "alias",
]
EVENT_KEYS = [
    "Records",
    "body",
    "detail-type",
    "detail",
    "executionArn",
    "source",
    "task",
    "state",
    "execution",
]
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(PAYLOAD_KEYS) | st.text(max_size=5), inner, max_size=5)
        | st.dictionaries(st.sampled_from(EVENT_KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)

#: What the drivers expect, with anything instead of one part or more.
NEARLY_EVENT = st.dictionaries(st.sampled_from([*KEYS, "progress"]), JSON, max_size=3).map(
    lambda changes: {**EVENT, **changes}
)
PROGRESS = st.fixed_dictionaries({"id": LEAVES, "original": LEAVES, "words": LEAVES}) | JSON
NEARLY_STATE = st.tuples(NEARLY_EVENT, PROGRESS, JSON).map(
    lambda parts: {**parts[0], "weights": [0.5, 1], "progress": parts[1], "reason": parts[2]}
)
NEARLY_MESSAGE = st.fixed_dictionaries(
    {
        "detail-type": st.sampled_from(
            ["Scheduled Event", "Step Functions Execution Status Change"]
        )
        | JSON,
        "detail": JSON | st.fixed_dictionaries({"executionArn": LEAVES}),
    }
)
many = settings(derandomize=True, deadline=None, max_examples=1000)


@many
@given(JSON | NEARLY_EVENT)
def test_the_loop_refuses_any_json(event: Any) -> None:
    assert_refused(lambda means: simple.deploy(event, means, "0123456789ab", "request-1"))


@many
@given(JSON | NEARLY_EVENT | NEARLY_STATE)
def test_calculate_weights_refuses_any_json(state: Any) -> None:
    task = {"task": "CalculateWeights", "execution": arn("run"), "state": state}

    def run(means: FakeClients) -> None:
        answer = workflow.task(task, means)
        assert answer.keys() == {"Error", "Cause"}, "what `Fail` takes, and nothing else"
        raise getattr(errors, answer["Error"])(answer["Cause"])

    assert_refused(run)


@many
@given(JSON | NEARLY_EVENT | NEARLY_STATE)
def test_rollback_answers_after_calculate_weights_refused_any_json(payload: Any) -> None:
    world = elsewhere()
    ended = Machine(world, json.loads(json.dumps(payload))).run()
    assert ended.status == "FAILED" and ended.cause
    assert ended.error in ("InvalidRollout", "RolloutTooLong")
    assert world.writes == 0


@many
@given(
    st.fixed_dictionaries(
        {"Error": st.sampled_from(["InvalidRollout", "Lambda.Unknown", "__class__"]) | st.text()}
    )
    | st.fixed_dictionaries({"Error": st.text(), "Cause": st.text() | JSON.map(json.dumps)})
)
def test_rollback_answers_any_error_of_calculate_weights(caught: Any) -> None:
    """The state machine hands it such a state and no other; nobody else invokes it."""
    world = elsewhere()
    answer = workflow.task(
        {"task": "Rollback", "execution": arn("run"), "state": caught}, FakeClients(world)
    )
    assert set(answer) == {"Error", "Cause"} and isinstance(getattr(errors, answer["Error"]), type)
    assert world.calls == []


@pytest.mark.usefixtures("_the_state_machine_is_known")
class TestTheWatchdog:
    """It takes any message for none of its own."""

    @many
    @given(JSON)
    def test_any_json_as_the_event(self, event: Any) -> None:
        assert_nothing_of_mine(event)

    @many
    @given(st.text(max_size=50) | LEAVES)
    def test_any_text_as_the_message(self, body: Any) -> None:
        assert_nothing_of_mine({"Records": [{"body": body}]})

    @many
    @given(JSON | NEARLY_EVENT | NEARLY_STATE | NEARLY_MESSAGE)
    @example(
        {
            "detail-type": "Step Functions Execution Status Change",
            "detail": {"executionArn": arn("gone")},
        }
    )
    @example(
        {"detail-type": "Step Functions Execution Status Change", "detail": {"executionArn": "x"}}
    )
    @example({"detail-type": "Scheduled Event"})
    def test_any_json_as_the_message(self, message: Any) -> None:
        progress = message.get("progress") if isinstance(message, dict) else None
        if isinstance(progress, dict) and progress.get("id") == "0123456789ab":
            del progress["id"]  # it would be its own
        assert_nothing_of_mine({"Records": [{"body": json.dumps(message)}]})

    def test_json_nested_deeper_than_python_reads(self) -> None:
        assert_nothing_of_mine({"Records": [{"body": "[" * 100_000}]})


# -- what the stories need ------------------------------------------------------------------------


def elsewhere() -> World:
    """A world in which no payload's alias exists, so that not even a sound one is a rollout."""
    world = World(rate=0)
    world.alias.name = "elsewhere"
    return world


def assert_refused(run: Callable[[FakeClients], Any]) -> None:
    world = elsewhere()
    with pytest.raises(InvalidRollout) as refused:
        run(FakeClients(world))
    assert world.writes == 0 and world.messages == []
    assert str(refused.value).encode() and json.dumps(world.told)


#: An alias that a dead rollout left split, and an execution whose user wrote "progress" into the
#: payload.
LEFT = killed(40)
MISLED = Machine(
    LEFT, {**EVENT, "progress": {"id": "0123456789ab", "original": "7", "words": ""}}
).run()


def assert_nothing_of_mine(event: Any) -> None:
    LEFT.advance(600)
    clients = FakeClients(LEFT, budget=120)
    clients.stepfunctions = FakeStepFunctions(LEFT, [MISLED])
    before = LEFT.alias.answer()
    watchdog.watch(event, clients)
    assert LEFT.alias.answer() == before
