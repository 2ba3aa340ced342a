"""The weights of every `type`: above 0, strictly rising, the last one 1."""

import inspect
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.decisions.errors import InvalidRollout
from deployer.decisions.rollout import LONGEST_INTERVAL, Rollout
from deployer.decisions.weights import BY_STEPS, FIXED, MOST_STEPS, linear, progression
from lambda_rollout import options
from local.cloud import ROOT
from world.aws import FUNCTION, HERE

PREFIXES = ("CodeDeployDefault.Lambda", "Lambda", "")

#: What CodeDeploy has ready-made for Lambda: its weights, and its interval in minutes.
PREDEFINED = {
    "Canary10Percent5Minutes": ((0.1, 1.0), 5),
    "Canary10Percent10Minutes": ((0.1, 1.0), 10),
    "Canary10Percent15Minutes": ((0.1, 1.0), 15),
    "Canary10Percent30Minutes": ((0.1, 1.0), 30),
    "Linear10PercentEvery1Minute": (linear(10), 1),
    "Linear10PercentEvery2Minutes": (linear(10), 2),
    "Linear10PercentEvery3Minutes": (linear(10), 3),
    "Linear10PercentEvery10Minutes": (linear(10), 10),
    "AllAtOnce": ((1.0,), 1),
}


def test_linear_weights_rise_to_one_for_any_number_of_steps() -> None:
    for steps in range(1, MOST_STEPS + 1):
        weights = linear(steps)
        assert len(weights) == steps
        assert_rising_to_one(weights)
        assert all(abs(weight - (k + 1) / steps) <= 0.0051 for k, weight in enumerate(weights))


def test_up_to_a_hundred_linear_steps_are_rounded_as_the_sample_rounds_them() -> None:
    for steps in range(1, 101):
        assert linear(steps) == tuple(round(k / steps, 2) for k in range(1, steps + 1))


def test_the_sample_s_ten_steps_are_tenths() -> None:
    assert linear(10) == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def test_each_exponential_weight_is_twice_the_one_before() -> None:
    assert progression("exponential", 4) == ((0.125, 0.25, 0.5, 1.0), None)
    for steps in range(1, 21):
        weights, interval = progression("exponential", steps)
        assert len(weights) == steps and interval is None
        assert_rising_to_one(weights)
        assert all(after == 2 * before for before, after in pairwise(weights))


def test_canary_and_all_at_once_need_no_steps() -> None:
    assert progression("canary", None) == ((0.1, 1.0), None)
    assert progression("all-at-once", None) == ((1.0,), None)


def test_every_type_is_in_the_schema_the_readme_the_command_s_help_and_an_example() -> None:
    types = [*BY_STEPS, *FIXED]
    schema = json.loads((ROOT / "events" / "payload.schema.json").read_text())
    assert schema["properties"]["type"]["anyOf"][0]["enum"] == types
    (row,) = [
        line
        for line in (ROOT / "README.md").read_text().splitlines()
        if line.startswith("| `type`")
    ]
    said = inspect.getsource(options)
    examples = [json.loads(path.read_text()) for path in (ROOT / "events").glob("*.json")]
    for name in types:
        assert f"`{name}`" in row and name in said
        assert name == "linear" or name in [example.get("type") for example in examples]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", PREDEFINED)
def test_codedeploy_s_ready_made_names_mean_what_they_mean_there(prefix: str, name: str) -> None:
    weights, minutes = PREDEFINED[name]
    assert progression(prefix + name, None) == (weights, 60.0 * minutes)


def test_any_other_codedeploy_name_of_the_same_shape_is_taken() -> None:
    assert progression("Canary25Percent7Minutes", None) == ((0.25, 1.0), 420.0)
    assert progression("Canary1Percent1Minute", None) == ((0.01, 1.0), 60.0)
    assert progression("Linear30PercentEvery4Minutes", None) == ((0.3, 0.6, 0.9, 1.0), 240.0)
    assert progression("Linear50PercentEvery1Minute", None) == ((0.5, 1.0), 60.0)


@pytest.mark.parametrize("percent", range(1, 100))
def test_codedeploy_s_linear_weights_rise_to_one_for_any_percentage(percent: int) -> None:
    weights, _ = progression(f"Linear{percent}PercentEvery1Minute", None)
    assert_rising_to_one(weights)


@pytest.mark.parametrize(
    "kind",
    [
        *(
            "Canary0Percent5Minutes",
            "Canary100Percent5Minutes",
            "Canary10Percent0Minutes",
            "canary10percent5minutes",
        ),
        *(
            "Linear10PercentEvery5",
            "Linear10PercentEveryMinute",
            "ECSLinear10PercentEvery1Minutes",
            "Lambda",
            "LINEAR",
        ),
        *("CodeDeployDefault.AllAtOnce", "AllAtOnce ", "linear\n", "all_at_once", "blue-green"),
    ],
)
def test_other_names_are_refused_with_the_names_that_are_taken(kind: str) -> None:
    with pytest.raises(InvalidRollout, match='\'type\' must be "linear", "exponential"'):
        progression(kind, 10)


def test_linear_and_exponential_need_steps_and_not_too_many() -> None:
    for kind, steps in (
        ("linear", None),
        ("exponential", None),
        ("linear", 1001),
        ("exponential", 21),
    ):
        with pytest.raises(InvalidRollout, match="'steps'"):
            progression(kind, steps)


# The normalised payload.
WEIGHTS = st.sets(st.floats(0, 1, exclude_min=True, exclude_max=True), max_size=20)
INTERVALS = st.integers(0, LONGEST_INTERVAL) | st.floats(0, LONGEST_INTERVAL)
TIMELINES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries(
        {"weights": WEIGHTS.map(lambda weights: [*sorted(weights), 1]), "interval": INTERVALS}
    ),
    st.fixed_dictionaries({"steps": st.integers(1, MOST_STEPS), "interval": INTERVALS}),
    st.fixed_dictionaries(
        {"type": st.just("exponential"), "steps": st.integers(1, 20), "interval": INTERVALS}
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["canary", "all-at-once"]), "interval": INTERVALS}
    ),
    st.fixed_dictionaries({"type": st.sampled_from([*PREDEFINED, "Canary99Percent99999Minutes"])}),
)
TARGETS = st.fixed_dictionaries(
    {
        "function-name": st.sampled_from(["checkout", FUNCTION]),
        "alias-name": st.from_regex(r"[a-z][a-zA-Z0-9_-]{0,127}", fullmatch=True),
        "new-version": st.integers(1, 10**10 - 1) | st.integers(1, 10**10 - 1).map(str),
    },
    optional={"health-check": st.booleans(), "hand-over": st.booleans(), "dry-run": st.just(False)},
)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(TARGETS, TIMELINES)
def test_a_rollout_comes_back_from_its_normalised_payload(
    target: dict[str, Any], timeline: dict[str, Any]
) -> None:
    rollout = Rollout.from_event({**target, **timeline}, HERE)
    normalised = json.loads(json.dumps(rollout.to_event()))
    assert Rollout.from_event(normalised, HERE) == rollout
    assert Rollout.from_event(normalised, HERE).to_event() == normalised


# -- what the stories need ------------------------------------------------------------------------


def assert_rising_to_one(weights: tuple[float, ...]) -> None:
    assert all(before < after for before, after in zip((0.0, *weights), weights, strict=False))
    assert weights[-1] == 1.0
