"""The checks that a payload may ask for, in whole rollouts: errors, metrics, alarms, and what the
log says of each."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from logging import StreamHandler
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deployer.decisions.errors import (
    DeployError,
    HealthCheckFailed,
    HealthCheckInconclusive,
    InvalidRollout,
)
from deployer.tell import logger
from tests.test_health import AlteredCloudWatch, deploy
from world.aws import MINUTE, WORDS
from world.world import FakeClients, World

TENTHS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
MINUTES: dict[str, Any] = {"steps": 10, "interval": 60}
ON_7 = "It was rolled back. Alias 'live' of 'checkout' is on version 7."
NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)

P99 = {
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
PAYMENTS = {
    "namespace": "Shop",
    "name": "FailedPayments",
    "dimensions": {},
    "stat": "Sum",
    "above": 3,
}


def promoted(world: World, checks: Any, **payload: Any) -> dict[str, Any]:
    """What the result tells of a rollout that went through, step by step."""
    told: dict[str, Any] = world.deploy(**MINUTES | payload, health_check=checks)["rollout"]
    assert (told["status"], world.history) == ("SUCCEEDED", [*told["weights"], "8"])
    assert world.alias.description == WORDS
    return told


def rolled_back(
    world: World, checks: Any, error: type[DeployError] = HealthCheckFailed, **payload: Any
) -> str:
    """The message of a rollout that was rolled back; every weight before that was as planned."""
    with pytest.raises(error) as failed:
        world.deploy(**MINUTES | payload, health_check=checks)
    assert world.history[-1] == "7" and world.history[:-1] == TENTHS[: len(world.history) - 1] != []
    assert world.alias.description == WORDS
    message = str(failed.value)
    assert message.endswith(ON_7)
    return message


def refused(world: World, checks: Any) -> str:
    with pytest.raises(InvalidRollout) as failed:
        world.deploy(**MINUTES, health_check=checks)
    assert world.moves == [] and world.writes == 0
    assert str(failed.value).endswith("Alias 'live' of 'checkout' is on version 7.")
    return str(failed.value)


# Errors.


@pytest.mark.parametrize("checks", [True, {}, {"errors": "any"}])
def test_any_error_rolls_back_and_true_and_an_empty_object_say_the_same(checks: Any) -> None:
    plain, world = World(errors={"8": 0.02}), World(errors={"8": 0.02})
    with pytest.raises(HealthCheckFailed):
        plain.deploy(**MINUTES)
    message = rolled_back(world, checks)
    assert world.moves == plain.moves
    assert "baseline" not in message


def test_any_points_to_baseline_where_the_original_errs_as_well() -> None:
    message = rolled_back(World(errors={"7": 0.05, "8": 0.05}), {"errors": "any"})
    assert (
        'Version 7 errs, too: with "errors": "baseline" only what fails more often is rolled back.'
        in message
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_rate_rolls_back_what_is_above_it_and_lets_through_what_is_below(seed: int) -> None:
    message = rolled_back(World(errors={"8": 0.05}, rate=20, seed=seed), {"errors": 0.01})
    assert "Evidence that it fails more than 1 % of its calls: " in message
    assert "; 100 is enough." in message
    told = promoted(World(errors={"8": 0.005}, rate=20, seed=seed), {"errors": 0.01})
    assert told["warnings"] == [] and told["checks"]["new"]["errors"] > 0


def test_a_rate_lets_a_healthy_version_through() -> None:
    assert promoted(World(), {"errors": 0.01})["warnings"] == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("original", "new"),
    [(0.0, 0.0), (0.05, 0.05), (0.1, 0.1), (0.1, 0.0), (1.0, 0.0), (1.0, 1.0)],
)
def test_baseline_lets_through_what_fails_no_more_often_than_the_original(
    original: float, new: float, seed: int
) -> None:
    told = promoted(World(errors={"7": original, "8": new}, seed=seed), {"errors": "baseline"})
    assert told["warnings"] == []
    assert "Evidence that it fails more often than version 7: " in told["checks"]["reason"]


@pytest.mark.parametrize("seed", range(5))
def test_baseline_rolls_back_what_fails_more_often(seed: int) -> None:
    message = rolled_back(World(errors={"8": 0.05}, seed=seed), {"errors": "baseline"})
    assert "version 7 had 0 errors in " in message
    assert "Evidence that it fails more often than version 7: " in message


def test_what_breaks_at_full_weight_only_is_found_by_what_the_original_did_before() -> None:
    world = World()
    world.at(545, lambda: world.errors.update({"8": 0.5}))  # the last weight is set after 540 s
    message = rolled_back(world, {"errors": "baseline"})
    assert world.history == [*TENTHS, "7"]
    assert "fails more often than version 7" in message


def test_without_calls_of_the_original_baseline_says_that_it_did_not_compare() -> None:
    told = promoted(World(rate=0), {"errors": "baseline"})
    assert [
        "Not judged at full weight" in told["warnings"][0],
        "Not compared" in told["warnings"][1],
    ] == [True, True]
    assert len(told["warnings"]) == 2


def test_errors_false_lets_every_error_through_where_something_else_is_checked() -> None:
    world = World(errors={"8": 1.0})
    world.alarms = {"sales": "OK"}
    told = promoted(world, {"errors": False, "alarms": ["sales"]})
    assert told["checks"]["new"]["errors"] > 1000
    assert told["checks"]["reason"].endswith("Errors are not checked.")


# Metrics.


def values(*numbers: float) -> dict[datetime, float]:
    """A value for each minute from noon on."""
    return {NOON + minute * MINUTE: number for minute, number in enumerate(numbers)}


def test_a_metric_above_its_limit_rolls_back_and_is_named_with_its_value_and_its_limit() -> None:
    world = World()
    world.values = {"Duration p99": values(120, 130, 740.5)}
    message = rolled_back(world, {"metrics": [P99]})
    assert message.startswith(
        "AWS/Lambda Duration p99 checkout checkout:live 8 rose to 740.5, above its limit of 500. Version 8 had 0 errors"
    )
    # the third minute is published in the fourth step
    assert world.history == [0.1, 0.2, 0.3, 0.4, "7"]


def test_a_metric_at_its_limit_is_not_above_it() -> None:
    world = World()
    world.values = {"Duration p99": values(*[500.0] * 15)}
    told = promoted(world, {"metrics": [P99]})
    assert (
        told["warnings"] == []
        and "rose to 500 at most; its limit is 500." in told["checks"]["reason"]
    )


def test_a_metric_without_data_is_not_healthy_but_said() -> None:
    told = promoted(World(), {"metrics": [P99, PAYMENTS]})
    assert told["warnings"] == [
        "Not judged by AWS/Lambda Duration p99 checkout checkout:live 8: "
        "CloudWatch published no data of it. Is it named correctly?",
        "Not judged by Shop FailedPayments Sum: CloudWatch published no data of it. Is it named correctly?",
    ]
    assert "Shop FailedPayments Sum has no data yet." in told["checks"]["reason"]


def test_a_peak_between_two_looks_is_not_forgotten() -> None:
    world = World()
    world.values = {"FailedPayments Sum": values(0, 4, 0, 0)}
    assert "FailedPayments Sum rose to 4, above its limit of 3." in rolled_back(
        world, {"metrics": [PAYMENTS]}
    )


def test_every_placeholder_is_filled_in_and_all_is_asked_for_in_one_call_a_look() -> None:
    world = World()
    world.alarms = {"sales": "OK"}
    cloudwatch = AlteredCloudWatch(world, lambda number, answer: answer)
    everything = {
        "metrics": [P99, PAYMENTS],
        "alarms": ["sales"],
        "errors": "baseline",
        "smoke-test": {},
    }
    event = {"function-name": "checkout", "alias-name": "live", "new-version": "8", **MINUTES}
    checks = world.invoke(
        {**event, "health-check": everything}, clients=FakeClients(world, cloudwatch=cloudwatch)
    )["rollout"]["checks"]
    # One before the first shift, and one that counts the calls of the hour before.
    assert world.calls.count("DescribeAlarms") == checks["looks"] + 1
    assert world.calls.count("GetMetricData") == len(cloudwatch.asked) == checks["looks"] + 2
    for request in [cloudwatch.asked[0], *cloudwatch.asked[2:]]:
        *_, duration, payments = [query["MetricStat"] for query in request["MetricDataQueries"]]
        filled = {pair["Name"]: pair["Value"] for pair in duration["Metric"]["Dimensions"]}
        assert filled == {
            "FunctionName": "checkout",
            "Resource": "checkout:live",
            "ExecutedVersion": "8",
        }
        assert (payments["Metric"]["Dimensions"], payments["Stat"], payments["Period"]) == (
            [],
            "Sum",
            60,
        )


def test_a_statistic_that_cloudwatch_does_not_know_is_refused_in_its_words() -> None:
    world = World()

    def validated(number: int, answer: Any) -> Any:
        told: Any = {
            "Error": {
                "Code": "ValidationError",
                "Message": "The value p999x for parameter Stat is not valid.",
            },
            "ResponseMetadata": {"HTTPStatusCode": 400},
        }
        raise ClientError(told, "GetMetricData")

    with pytest.raises(
        InvalidRollout, match="ValidationError: The value p999x for parameter Stat is not valid"
    ):
        deploy(
            world, validated, **MINUTES, **{"health-check": {"metrics": [{**P99, "stat": "p999x"}]}}
        )
    assert world.moves == [] and world.calls.count("GetMetricData") == 1


# Alarms.


def alarmed(second: float, state: str = "ALARM", **alarms: str) -> World:
    """A world whose alarms are OK, and all go into that state then; by name, the states from the
    start on."""
    world = World()
    world.alarms = alarms or {"sales": "OK"}
    world.at(second, lambda: world.alarms.update(dict.fromkeys(world.alarms, state)))
    return world


@pytest.mark.parametrize("name", ["sales", "composite-of-all"])
def test_an_alarm_that_goes_off_rolls_back_within_one_look(name: str) -> None:
    world = alarmed(130, **{name: "OK"})
    assert rolled_back(world, {"alarms": [name]}).startswith(
        f"Alarm {name} went into ALARM. Version 8 had 0 errors"
    )
    assert world.history == [0.1, 0.2, 0.3, "7"]
    assert 130 < world.moves[-1][0] < 130 + 15.3


def test_no_alarm_no_harm_and_insufficient_data_is_no_alarm() -> None:
    world = alarmed(130, "INSUFFICIENT_DATA")
    assert promoted(world, {"alarms": ["sales"]})["warnings"] == []


def test_an_unknown_alarm_is_refused_before_the_start_by_its_name() -> None:
    world = World()
    world.alarms = {"sales": "OK"}
    message = refused(world, {"alarms": ["sales", "slaes"]})
    assert "CloudWatch has no metric alarm and no composite alarm named slaes here: " in message


def test_an_alarm_on_logs_is_refused_before_the_start_and_the_message_says_so() -> None:
    world = World()
    world.alarms = {"logs-of-checkout": "OK"}
    message = refused(world, {"alarms": ["logs-of-checkout"]})
    assert "no metric alarm and no composite alarm named logs-of-checkout here" in message
    assert "takes no other kinds, such as alarms on logs" in message


def test_an_alarm_of_before_the_start_does_not_block_the_fix_and_is_said() -> None:
    world = World(errors={"7": 0.5})
    world.alarms = {"sales": "ALARM"}
    told = promoted(world, {"alarms": ["sales"]})
    assert told["warnings"] == [
        "Alarm sales was in ALARM before the start: it cannot judge the new version until it has left ALARM."
    ]
    assert (
        "Alarm sales has been in ALARM since before the start, so it does not count."
        in told["checks"]["reason"]
    )


@pytest.mark.parametrize("left", ["OK", "INSUFFICIENT_DATA"])
def test_an_alarm_that_left_alarm_counts_again(left: str) -> None:
    world = alarmed(130, left, sales="ALARM")
    world.at(200, lambda: world.alarms.update({"sales": "ALARM"}))
    assert "Alarm sales went into ALARM." in rolled_back(world, {"alarms": ["sales"]})
    assert 200 < world.moves[-1][0] < 200 + 15.3


def test_an_alarm_of_before_the_start_does_not_mute_the_others() -> None:
    world = World()
    world.alarms = {"old": "ALARM", "new": "OK"}
    world.at(70, lambda: world.alarms.update({"new": "ALARM"}))
    message = rolled_back(world, {"alarms": ["old", "new"]})
    assert message.startswith("Alarm new went into ALARM.") and "Alarm old went" not in message


def test_an_alarm_that_is_deleted_in_mid_rollout_cannot_judge_any_more() -> None:
    world = World()
    world.alarms = {"sales": "OK"}
    world.at(140, world.alarms.clear)
    message = rolled_back(world, {"alarms": ["sales"]}, HealthCheckInconclusive)
    assert "CloudWatch has no metric alarm and no composite alarm named sales here" in message
    # the third step had one good look, the fourth had none
    assert world.history == [0.1, 0.2, 0.3, 0.4, "7"]


def test_describealarms_that_is_throttled_is_not_a_failed_check() -> None:
    world = World()
    world.alarms = {"sales": "OK"}
    world.faults = {"DescribeAlarms 1": "throttled", "DescribeAlarms 2": "broken"}
    told = promoted(world, {"alarms": ["sales"]})
    assert told["checks"]["unseen"] == 2 and told["warnings"] == []


def test_alarms_without_permission_refuse_the_rollout() -> None:
    world = World()
    world.faults = {"DescribeAlarms": "denied"}
    assert "cloudwatch:DescribeAlarms" in refused(world, {"alarms": ["sales"]})
    assert world.calls[:3] == ["GetAlias", "GetFunctionConfiguration", "DescribeAlarms"]


# Combined, and what the log says.


BREAKS: dict[str, tuple[Callable[[World], None], str]] = {
    "nothing": (lambda world: None, ""),
    "errors": (lambda world: world.errors.update({"8": 0.3}), "Version 8 had "),
    "metric": (
        lambda world: world.values.update({"FailedPayments Sum": values(*[9.0] * 12)}),
        "Shop FailedPayments",
    ),
    "alarm": (
        lambda world: world.at(100, lambda: world.alarms.update({"sales": "ALARM"})),
        "Alarm sales went",
    ),
    "smoke": (
        lambda world: setattr(world, "smoke", lambda payload: b'{"errorMessage": "no"}'),
        "The smoke test",
    ),
}


@pytest.mark.parametrize("what", BREAKS)
def test_all_checks_together_find_whatever_breaks_and_say_it_first(what: str) -> None:
    world = World()
    world.alarms = {"sales": "OK"}
    breaks, first = BREAKS[what]
    breaks(world)
    together: dict[str, Any] = {
        "errors": "baseline",
        "metrics": [PAYMENTS],
        "alarms": ["sales"],
        "smoke-test": {},
    }
    together |= {"min-invocations": 5, "hold": 120, "settle": 150, "every": 10}
    slow: dict[str, Any] = {"steps": 3, "interval": 60}
    if what == "nothing":
        assert promoted(world, together, **slow)["checks"]["judged"] is True
        return
    with pytest.raises(HealthCheckFailed) as failed:
        world.deploy(**slow, health_check=together)
    assert str(failed.value).startswith(first)
    assert world.history in ([], [0.33, "7"], [0.33, 0.67, "7"])
    assert str(failed.value).endswith("Alias 'live' of 'checkout' is on version 7.")


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The log's lines so far."""
    written = io.StringIO()
    handler = StreamHandler(written)
    handler.setFormatter(logger.registered_formatter)
    logger.addHandler(handler)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    logger._logger.removeHandler(handler)


def test_every_look_is_one_line_with_the_numbers_behind_it(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    world = World(errors={"7": 0.02, "8": 0.02})
    world.alarms = {"sales": "OK"}
    world.values = {"FailedPayments Sum": values(*[2.0] * 12)}
    told = promoted(world, {"errors": "baseline", "metrics": [PAYMENTS], "alarms": ["sales"]})
    looked = [line for line in lines() if line["message"] == "LOOKED"]
    assert len(looked) == told["checks"]["looks"] == len(world.looked) - 2
    assert [line["step"] for line in looked] == sorted(line["step"] for line in looked)
    assert {line["weight"] for line in looked} == set(TENTHS)
    last = looked[-1]
    assert (last["verdict"], last["threshold"], last["alarms"]) == (
        "SUCCEEDED",
        100,
        {"sales": "OK"},
    )
    assert last["metrics"] == {"Shop FailedPayments Sum": 2.0} and 0 <= last["evidence"] < 100
    for who in ("original", "new"):
        assert last[who] == {key: told["checks"][who][key] for key in ("invocations", "errors")}
        assert last[who]["errors"] > 0
    assert told["checks"]["reason"] == last["reason"]


@pytest.mark.parametrize("checks", [True, {"errors": 0.01}, {"errors": "baseline"}])
def test_the_error_says_what_the_last_line_says(
    lines: Callable[[], list[dict[str, Any]]], checks: Any
) -> None:
    message = rolled_back(World(errors={"8": 0.1}), checks)
    last = [line for line in lines() if line["message"] == "LOOKED"][-1]
    assert last["verdict"] == "FAILED" and message == f"{last['reason']} {ON_7}"
    if checks is True:
        assert "evidence" not in last and "threshold" not in last
    else:
        assert last["evidence"] >= last["threshold"] == 100
