"""Every payload in events/ is a rollout that ends well, and the published schema says what the
function says."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from deployer.decisions.checks.metrics import LIMIT_KEYS
from deployer.decisions.errors import InvalidRollout, RolloutTooLong
from deployer.decisions.health import KEYS as HEALTH_KEYS
from deployer.decisions.rollout import KEYS, Rollout
from local.cloud import ROOT
from world.aws import HERE
from world.machine import Machine
from world.world import World

SCHEMA = json.loads((ROOT / "events" / "payload.schema.json").read_text())
EVENTS = sorted(
    path for path in (ROOT / "events").glob("*.json") if not path.name.endswith(".schema.json")
)
_valid = Draft202012Validator(SCHEMA).is_valid


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
    world.alarms = dict.fromkeys(_checks_of(event).get("alarms", ()), "OK")
    if driver == "the state machine":
        ended = Machine(world, event).run().output
    elif path.stem in HANDED_OVER:
        with pytest.raises(RolloutTooLong):
            world.invoke(event)
        return
    else:
        ended = world.invoke(event)
    status = "SUCCEEDED"
    version = event["new-version"]
    if event.get("dry-run"):
        status = "PLANNED"
        version = "1"
    if not event.get("finalize", True):
        status = "APPROVED"
        version = "1"
    assert ended["rollout"]["status"] == status
    assert (world.alias.version, world.alias.routing) == (version, {})
    smoke_test = _checks_of(event).get("smoke-test")
    assert [json.loads(payload) for payload in world.smoked] == (
        [] if smoke_test is None else [smoke_test]
    )


def test_the_schema_is_a_schema_and_knows_the_same_keys() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == set(KEYS)
    assert set(SCHEMA["$defs"]["health-check"]["properties"]) == set(HEALTH_KEYS)
    assert set(_CHECK_VALUES) >= set(HEALTH_KEYS), "of every key some values are tried"
    limit = SCHEMA["$defs"]["health-check"]["properties"]["metrics"]["items"]
    assert set(limit["properties"]) == set(LIMIT_KEYS)


def test_every_check_has_an_example() -> None:
    """So that whoever needs one can copy it; `every`, `settle` and `hold` among them."""
    shown = [key for path in EVENTS for key in _checks_of(json.loads(path.read_text()))]
    assert set(shown) == set(HEALTH_KEYS)


_METRIC = {
    "namespace": "AWS/Lambda",
    "name": "Duration",
    "dimensions": {
        "FunctionName": "{function}",
        "Resource": "{function}:{alias}",
        "ExecutedVersion": "{version}",
    },
    "stat": "p99",
    "above": 500,
}
_OTHER: dict[str, list[Any]] = {
    "namespace": ["Checkout", "a" * 255, "", "a" * 256, "Bücher", 7, None],
    "name": ["Failed payments", "", "a" * 256, "\t", [], None],
    "dimensions": [
        *({}, {"a": "x{y"}, {"a": "{ {version} }"}, {"a": "{}"}, {str(n): "x" for n in range(30)}),
        *(
            {str(n): "x" for n in range(31)},
            {"a": ""},
            {"a": 1},
            {"a": "{typo}"},
            {"a": "x{Version}{alias}"},
        ),
        *({"a": None}, [], "a", None),
    ],
    "stat": [
        "Sum",
        "Average",
        "tm99",
        "TM(10%:90%)",
        "PR(:300)",
        "",
        "99",
        "p 99",
        "p" * 42,
        99,
        None,
    ],
    "above": [0, -1, 0.5, 1e300, 1e301, "1", True, None],
    "unit": ["Milliseconds"],
}
_METRICS = st.one_of(
    st.just(_METRIC),
    st.sampled_from([(key, value) for key, values in _OTHER.items() for value in values]).map(
        lambda change: {**_METRIC, change[0]: change[1]}
    ),
    st.sampled_from(sorted(_METRIC)).map(
        lambda left_out: {k: v for k, v in _METRIC.items() if k != left_out}
    ),
    st.sampled_from([{}, [], 1, None]),
)
_CHECK_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "errors": st.sampled_from(
        [
            *("any", "baseline", False, 0.01, 1e-6, 0.999),
            *(True, 0, 1, 1.5, -0.1, "Any", "0.01", "", [], {}, None),
        ]
    ),
    "metrics": st.lists(_METRICS, max_size=2)
    | st.sampled_from([[_METRIC] * 20, [_METRIC] * 21, _METRIC, "x", None]),
    "alarms": st.sampled_from(
        [
            *(["a"], ["a", "a"], ["a" * 255], [str(n) for n in range(100)], ["über allem"]),
            *(
                [],
                [""],
                ["a" * 256],
                [str(n) for n in range(101)],
                [1],
                [["a"]],
                "a",
                {"a": 1},
                None,
            ),
        ]
    ),
    "smoke-test": st.sampled_from(
        [{}, {"a": [None, {"b": 1}]}, {"x": "x" * 40_000}, [], "ping", True, 1, None]
    ),
    "min-invocations": st.sampled_from([1, 100, 1e6, 10.0, 0, -1, 1e6 + 1, 2.5, "10", True, None]),
    "hold": st.sampled_from([0, 0.5, 300, 86_400, -1, 86_401, "60", True, None]),
    "settle": st.sampled_from([0, 0.5, 120, 3600, -1, 3601, "60", False, None]),
    "every": st.sampled_from([1, 1.5, 15, 3600, 0.9, 0, -1, 3601, "15", True, None]),
    "logs": st.sampled_from([True, False, "false", 0, 1, None, {}]),
    "erors": st.just("any"),
}


def _some_of(
    values: dict[str, st.SearchStrategy[Any]], most: int
) -> st.SearchStrategy[list[tuple[str, Any]]]:
    pairs = {key: st.tuples(st.just(key), value) for key, value in values.items()}
    return st.lists(st.sampled_from(sorted(values)).flatmap(pairs.__getitem__), max_size=most)


_CHECKS = _some_of(_CHECK_VALUES, 3).map(dict)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "function-name": st.sampled_from(
        ["checkout", "", "checkout:live", "123456789012:function:checkout", 7]
    ),
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
    "health-check": st.sampled_from(
        [
            True,
            False,
            {},
            {"errors": "baseline"},
            {"errors": 0.01, "every": 5},
            "true",
            1,
            [],
            {"errors": 1},
            None,
        ]
    ),
    "weights": st.sampled_from(
        [[1], [0.5, 1], [0.5, 0.4, 1], [0.5], [], [True, 1], [0, 1], "1", None]
    ),
    "hand-over": st.sampled_from([True, False, 0, None]),
    "dry-run": st.sampled_from([False, True, None, "no"]),
    "finalize": st.sampled_from([False, True, None, "no"]),
    "deadline": st.sampled_from(
        [
            "2030-01-05T12:00:00Z",
            "2030-01-05T12:00+05:30",
            "2030-01-05T12:00:07.25-01:00",
            "2030-01-05T12:00:00",
            "2030-13-05T12:00:00Z",
            "2030-02-30T12:00:00Z",
            "2030-01-05",
            "tomorrow",
            1767614400,
            None,
        ]
    ),
    "unknown": st.just(1),
}
_GOOD = {
    "function-name": "checkout",
    "alias-name": "live",
    "new-version": "8",
    "steps": 10,
    "interval": 60,
}


@settings(max_examples=5000, derandomize=True, deadline=None, database=None)
@given(_some_of(_VALUES, 4), st.sets(st.sampled_from(sorted(_GOOD)), max_size=2))
def test_the_schema_and_the_function_take_and_refuse_the_same(
    changes: list[tuple[str, Any]], left_out: set[str]
) -> None:
    _compare({key: value for key, value in _GOOD.items() if key not in left_out} | dict(changes))


@settings(max_examples=2000, derandomize=True, deadline=None, database=None)
@given(_CHECKS)
def test_the_schema_and_the_function_take_and_refuse_the_same_health_checks(
    checks: dict[str, Any],
) -> None:
    _compare({**_GOOD, "health-check": checks})


# -- what the stories need ------------------------------------------------------------------------


def _refusal(event: Any) -> str | None:
    try:
        Rollout.from_event(event, HERE)
    except InvalidRollout as error:
        return error.reason
    return None


def _checks_of(event: Any) -> dict[str, Any]:
    wanted = event.get("health-check", True)
    return wanted if isinstance(wanted, dict) else {}


#: What no schema can say: the function refuses it all the same.
_BEYOND_THE_SCHEMA = (
    "leave 'steps' out",
    "leave 'interval' out",
    "must be a list of numbers that rise",
    "must end with 1",
    "without a version or an alias",
    "'function-name' is of the account",
    "with one weight there is nothing to compare with",
    'it is "2030-02-30T',  # no such day
    "'health-check' is longer than 32 KiB",
)


def _compare(event: dict[str, Any]) -> None:
    refusal = _refusal(event)
    if refusal is None:
        assert _valid(event), event
    elif _valid(event):
        assert any(words in refusal for words in _BEYOND_THE_SCHEMA), (event, refusal)
