"""Every payload in events/ is a rollout that ends well, and the published schema says what the function says."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from deployer.errors import InvalidRollout, RolloutTooLong
from deployer.rollout import KEYS, Rollout
from local.cloud import ROOT
from tests.test_parity import DEFINITION
from tests.world import HERE, World

SCHEMA = json.loads((ROOT / "events" / "payload.schema.json").read_text())
EVENTS = sorted(path for path in (ROOT / "events").glob("*.json") if path.name != "payload.schema.json")
_valid = Draft202012Validator(SCHEMA).is_valid


def _refusal(event: Any) -> str | None:
    try:
        Rollout.from_event(event, HERE)
    except InvalidRollout as error:
        return error.reason
    return None


#: Too long for one invocation.
HANDED_OVER = {"sample"}


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
def test_a_payload_of_events_ends_well(path: Path, driver: str) -> None:
    event = json.loads(path.read_text())
    assert _valid(event)
    world = World()
    world.alias.version = "1"
    world.states = {version: ["Active"] for version in ("1", "2", "3")}
    world.roles = dict.fromkeys(world.states, "role")
    if driver == "the state machine":
        ended = world.execute(DEFINITION, event).output
    elif path.stem in HANDED_OVER:
        with pytest.raises(RolloutTooLong):
            world.invoke(event)
        return
    else:
        ended = world.invoke(event)
    assert ended["rollout"]["status"] == "SUCCEEDED"
    assert (world.alias.version, world.alias.routing) == (event["new-version"], {})


def test_the_schema_is_a_schema_and_knows_the_same_keys() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == set(KEYS)


_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "function-name": st.sampled_from(["checkout", "", "checkout:live", "123456789012:function:checkout", 7]),
    "alias-name": st.sampled_from(["live", "7", "$LATEST", "", None, "a" * 129]),
    "new-version": st.sampled_from(["8", 8, "08", "$LATEST", 0, -1, 8.5, True, None]),
    "steps": st.sampled_from([1, 2, 10, 10.0, 1000, 1001, 0, -1, 2.5, "10", True, None]),
    "interval": st.sampled_from([0, 0.5, 60, 300, -1, 1e9, "60", False, None]),
    "type": st.sampled_from(
        [
            "linear",
            "exponential",
            "canary",
            "all-at-once",
            "AllAtOnce",
            "Canary10Percent5Minutes",
            "Linear",
            "",
            1,
            None,
        ]
    ),
    "health-check": st.sampled_from([True, False, "true", 1, {}, None]),
    "weights": st.sampled_from([[1], [0.5, 1], [0.5, 0.4, 1], [0.5], [], [True, 1], [0, 1], "1", None]),
    "hand-over": st.sampled_from([True, False, 0, None]),
    "dry-run": st.sampled_from([False, True, None, "no"]),
    "unknown": st.just(1),
}
_GOOD = {"function-name": "checkout", "alias-name": "live", "new-version": "8", "steps": 10, "interval": 60}


#: What no schema can say: the function refuses it all the same.
_BEYOND_THE_SCHEMA = (
    "leave 'steps' out",
    "leave 'interval' out",
    "must be a list of numbers that rise",
    "must end with 1",
    "without a version or an alias",
    "'function-name' is of the account",
)

_CHANGES = st.lists(
    st.sampled_from(sorted(_VALUES)).flatmap(lambda key: st.tuples(st.just(key), _VALUES[key])), max_size=4
)


@settings(max_examples=5000, derandomize=True, deadline=None, database=None)
@given(_CHANGES, st.sets(st.sampled_from(sorted(_GOOD)), max_size=2))
def test_the_schema_and_the_function_take_and_refuse_the_same(
    changes: list[tuple[str, Any]], left_out: set[str]
) -> None:
    event = {key: value for key, value in _GOOD.items() if key not in left_out} | dict(changes)
    refusal = _refusal(event)
    if refusal is None:
        assert _valid(event), event
    elif _valid(event):
        assert any(words in refusal for words in _BEYOND_THE_SCHEMA), (event, refusal)
