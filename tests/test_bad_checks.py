"""Whatever is wrong with `health-check` is refused with the key and the remedy, before AWS is even
asked."""

import math
from typing import Any

import pytest
from hypothesis import given, settings

from deployer.decisions.checks.metrics import LIMIT_KEYS
from deployer.decisions.errors import InvalidRollout
from deployer.decisions.health import KEYS as HEALTH_KEYS
from deployer.decisions.rollout import Rollout
from tests.test_bad_input import GOOD, HUGE, JSON, refused, without
from world.aws import HERE
from world.world import World

METRIC = {
    "namespace": "Shop",
    "name": "FailedPayments",
    "dimensions": {},
    "stat": "Sum",
    "above": 3,
}


def with_checks(checks: Any) -> dict[str, Any]:
    return {**GOOD, "health-check": checks}


def with_metric(**changes: Any) -> dict[str, Any]:
    return with_checks({"metrics": [METRIC, {**METRIC, **changes}]})


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        *(("error", "errors"), ("Errors", "errors"), ("metric", "metrics"), ("alarm", "alarms")),
        *(
            ("smoke_test", "smoke-test"),
            ("smoketest", "smoke-test"),
            ("min_invocations", "min-invocations"),
        ),
        *(
            ("min-invocation", "min-invocations"),
            ("holds", "hold"),
            ("settel", "settle"),
            ("evry", "every"),
        ),
    ],
)
def test_a_misspelt_check_is_told_the_nearest_known_one(key: str, meant: str) -> None:
    message = refused(with_checks({"errors": "any", key: 1}))
    assert f"\"{key}\" is not a key of 'health-check': did you mean '{meant}'?" in message


def test_an_unknown_check_without_a_near_one_is_told_all() -> None:
    message = refused(with_checks({"qqq": 1}))
    assert all(key in message for key in HEALTH_KEYS)


@pytest.mark.parametrize("key", HEALTH_KEYS)
def test_null_is_no_value_for_any_check(key: str) -> None:
    assert f"'health-check.{key}' is null: give it a value, or leave the key out." in refused(
        with_checks({key: None})
    )


NO_SECONDS: list[Any] = ["60", "", True, [], {}, math.nan, math.inf, -1, HUGE]

#: For each check: what it is told to be, and values that it may not have.
WRONG_CHECKS: dict[str, tuple[str, list[Any]]] = {
    "errors": (
        '"any", "baseline", false, or a rate from 0.000001 to 0.999, such as 0.01',
        [
            True,
            0,
            1,
            5,
            -0.1,
            "",
            "Any",
            "none",
            "0.01",
            "1%",
            [],
            {},
            math.nan,
            math.inf,
            HUGE,
            "\ud800",
        ],
    ),
    "metrics": ("a list of 1 to 20 objects", [[], METRIC, "Duration", 1, True, [METRIC] * 21]),
    "alarms": (
        "a list of 1 to 100 names of CloudWatch alarms",
        [
            [],
            "sales",
            {"sales": "OK"},
            [""],
            [7],
            [None],
            [["sales"]],
            ["a" * 256],
            [str(n) for n in range(101)],
            1,
        ],
    ),
    "smoke-test": ("an object", ["ping", 1, True, False, [], [{}], 0.5]),
    "min-invocations": (
        "a whole number from 1 to 1000000",
        [0, -1, 1_000_001, 2.5, "10", True, False, [], {}, math.nan, math.inf, HUGE],
    ),
    "hold": ("a number of seconds from 0 to 86400", [*NO_SECONDS, 86_401]),
    "settle": ("a number of seconds from 0 to 3600", [*NO_SECONDS, 3601]),
    "every": ("a number of seconds from 1 to 3600", [*NO_SECONDS, 0, 0.5, 3601]),
    "logs": ("true or false, without quotes", ["true", "off", 0, 1, [], {}]),
}


def test_of_every_check_wrong_values_are_tried() -> None:
    assert set(WRONG_CHECKS) == set(HEALTH_KEYS)


@pytest.mark.parametrize(
    ("key", "value"),
    [(key, value) for key, (_, values) in WRONG_CHECKS.items() for value in values],
)
def test_a_wrong_check_names_its_key_and_what_it_must_be(key: str, value: Any) -> None:
    message = refused(with_checks({"min-invocations": 10, key: value}))
    assert f"'health-check.{key}' must be {WRONG_CHECKS[key][0]}" in message


WRONG_METRICS: dict[str, tuple[str, list[Any]]] = {
    "namespace": (
        "the namespace of a CloudWatch metric",
        ["", "a" * 256, "Bücher", "a\n", 7, True, [], "\ud800"],
    ),
    "name": ("the name of a CloudWatch metric", ["", "a" * 256, "\t", 7, {}]),
    "dimensions": (
        "an object of names and values, at most 30",
        [
            [],
            "FunctionName",
            {"a": ""},
            {"a": 7},
            {"a": None},
            {"a": ["b"]},
            {str(n): "x" for n in range(31)},
        ],
    ),
    "stat": (
        "a statistic of CloudWatch, such as Sum, Average, Maximum or p99",
        ["", "99", "p 99", "p" * 42, 99, ["Sum"], "Süm"],
    ),
    "above": ("a number", ["500", True, [], {}, math.nan, math.inf, HUGE]),
}


@pytest.mark.parametrize(
    ("key", "value"),
    [(key, value) for key, (_, values) in WRONG_METRICS.items() for value in values],
)
def test_a_wrong_metric_names_its_place_and_what_it_must_be(key: str, value: Any) -> None:
    message = refused(with_metric(**{key: value}))
    assert f"'health-check.metrics[1].{key}' must be {WRONG_METRICS[key][0]}" in message


@pytest.mark.parametrize("key", LIMIT_KEYS)
def test_every_key_of_a_metric_is_required_and_shown_by_an_example(key: str) -> None:
    left = {name: value for name, value in METRIC.items() if name != key}
    message = refused(with_checks({"metrics": [left]}))
    assert (
        f"'health-check.metrics[0].{key}' is required: add it, for example \"{key}\": " in message
    )


def test_a_misspelt_key_of_a_metric_is_told_the_nearest_known_one() -> None:
    assert "not a key of 'health-check.metrics[1]': did you mean 'dimensions'?" in refused(
        with_metric(dimension={})
    )
    assert "did you mean 'above'?" in refused(with_metric(abov=1))


@pytest.mark.parametrize("metric", [None, 1, "Duration", [METRIC]])
def test_a_metric_that_is_no_object_is_refused(metric: Any) -> None:
    assert "'health-check.metrics[0]' must be a JSON object" in refused(
        with_checks({"metrics": [metric]})
    )


@pytest.mark.parametrize("text", ["{typo}", "checkout:{Alias}", "{version}{new_version}"])
def test_an_unknown_placeholder_is_told_the_known_ones(text: str) -> None:
    message = refused(with_metric(dimensions={"Resource": text}))
    assert "'health-check.metrics[1].dimensions' has " in message
    assert "what is filled in is only {function}, {alias}, {version}." in message


@pytest.mark.parametrize(
    ("checks", "keys", "remedy"),
    [
        (
            {"hold": 60},
            ("health-check.hold", "health-check.min-invocations"),
            "add that, or leave 'hold' out",
        ),
        ({"errors": False}, ("health-check",), "checks nothing: leave out '\"errors\": false'"),
        ({"errors": False, "every": 5, "settle": 9}, ("health-check",), "checks nothing"),
    ],
)
def test_checks_that_contradict_each_other_are_named(
    checks: Any, keys: tuple[str, ...], remedy: str
) -> None:
    message = refused(with_checks(checks))
    assert all(f"'{key}'" in message for key in keys) and remedy in message


@pytest.mark.parametrize(
    "timeline",
    [
        {"type": "all-at-once"},
        {"weights": [1]},
        {"type": "linear", "steps": 1},
        {"type": "AllAtOnce"},
    ],
)
def test_baseline_has_nothing_to_compare_with_when_all_goes_at_once(
    timeline: dict[str, Any],
) -> None:
    message = refused({**without("steps"), **timeline, "health-check": {"errors": "baseline"}})
    assert "'health-check.errors' cannot be \"baseline\" here" in message
    assert "use more weights, or a rate" in message


@pytest.mark.parametrize("filler", ["x", "ü", '"', "🚀", "\ud800"])
def test_more_than_32_kib_are_refused(filler: str) -> None:
    for size, fits in ((5000, True), (33_000, False)):
        checks = {"smoke-test": {"text": filler * size}}
        if fits and filler in "xü":
            Rollout.from_event(with_checks(checks), HERE)
        elif not fits:
            assert "'health-check' is longer than 32 KiB as JSON: make it shorter." in refused(
                with_checks(checks)
            )


@pytest.mark.parametrize("rate", [0.9999999999999999, 0.999, 1e-6, 1e-300, 1e-310, 5e-324])
def test_a_rate_at_the_edge_is_refused_or_weighed(rate: float) -> None:
    world = World()
    event = {**with_checks({"errors": rate}), "steps": 2}
    try:
        told = world.invoke(event)["rollout"]
    except InvalidRollout as error:
        assert "'health-check.errors' must be" in error.reason and world.calls == []
        return
    assert world.history == [0.5, 1.0, "8"] and "nan" not in told["checks"]["reason"]


def test_whatever_is_right_is_taken() -> None:
    world = World()
    checks = {
        "errors": 0.5,
        "min-invocations": 10.0,
        "hold": 300.0,
        "every": 30,
        "settle": 0,
        "smoke-test": {},
    }
    result = world.invoke({**with_checks(checks), "steps": 2})
    assert result["rollout"]["status"] == "SUCCEEDED"


@settings(derandomize=True, deadline=None, max_examples=1000)
@given(JSON)
def test_any_json_is_a_health_check_or_refused(checks: Any) -> None:
    try:
        rollout = Rollout.from_event(with_checks(checks), HERE)
    except InvalidRollout as error:
        assert "health-check" in error.reason and len(error.reason) < 600
        return
    assert rollout.health_check is None or rollout.health_check.every >= 1
