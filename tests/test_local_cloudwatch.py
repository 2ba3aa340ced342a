"""The local AWS: CloudWatch's alarms, its statistics, and the metrics that Lambda publishes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.metrics import _data, statistic
from local.sandbox import Sandbox
from tests.parts import Parts

MINUTE = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
BOTH = ["MetricAlarm", "CompositeAlarm"]


def test_without_types_only_metric_alarms_are_told(parts: Parts) -> None:
    assert _names(parts) == (["filling"], [])
    assert _names(parts, AlarmNames=["any", "filling"]) == (["filling"], [])
    assert _names(parts, AlarmTypes=["CompositeAlarm"]) == ([], ["any"])
    assert _names(parts, AlarmTypes=BOTH) == (["filling"], ["any"])


def test_unknown_names_are_left_out(parts: Parts) -> None:
    assert _names(parts, AlarmNames=["filling", "nobody"], AlarmTypes=BOTH) == (["filling"], [])
    assert _names(parts, AlarmNames=["nobody"], AlarmTypes=BOTH) == ([], [])


def test_an_alarm_has_the_state_that_it_was_given(parts: Parts) -> None:
    cloudwatch = parts.client("cloudwatch")
    for name in ("filling", "any"):
        assert _alarm(parts, name)["StateValue"] == "INSUFFICIENT_DATA", "before there is any data"
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="by hand")
        told = _alarm(parts, name)
        assert (told["StateValue"], told["StateReason"]) == ("ALARM", "by hand")
    assert _names(parts, StateValue="ALARM", AlarmTypes=BOTH) == (["filling"], ["any"])
    assert _names(parts, StateValue="OK", AlarmTypes=BOTH) == ([], [])
    assert _alarm(parts, "any")["AlarmRule"] == 'ALARM("filling")'
    assert _alarm(parts, "filling")["AlarmArn"] == parts.output("Alarm")


def test_alarms_are_put_by_the_api_too(parts: Parts) -> None:
    cloudwatch = parts.client("cloudwatch")
    metric = {
        "Namespace": "N",
        "MetricName": "M",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
    }
    cloudwatch.put_metric_alarm(
        AlarmName="made", Threshold=1, ComparisonOperator="GreaterThanThreshold", **metric
    )
    cloudwatch.put_composite_alarm(AlarmName="made-of", AlarmRule="ALARM(made) OR ALARM(any)")
    with pytest.raises(ClientError, match="do not exist"):
        cloudwatch.put_composite_alarm(AlarmName="made-of-nothing", AlarmRule="ALARM(nobody)")
    assert _names(parts, AlarmNamePrefix="made", AlarmTypes=BOTH) == (["made"], ["made-of"])
    cloudwatch.delete_alarms(AlarmNames=["made-of", "made"])
    assert _names(parts, AlarmNamePrefix="made", AlarmTypes=BOTH) == ([], [])


@pytest.mark.parametrize(
    ("stat", "value"),
    [
        ("Sum", 5150.0),
        ("SampleCount", 101.0),
        ("Average", 5150 / 101),
        ("Minimum", 1.0),
        ("Maximum", 100.0),
        ("p50", 51.0),
        ("p99", 100.0),
        ("p99.9", 100.0),
        ("p100", 100.0),
        ("p0", 1.0),
        ("p10", 11.0),
    ],
)
def test_statistics_of_any_namespace(published: Parts, stat: str, value: float) -> None:
    assert _asked(published, stat) == [pytest.approx(value)]


def test_another_unit_has_no_data(published: Parts) -> None:
    assert _asked(published, "p99", Unit="Milliseconds") == [100.0]
    assert _asked(published, "p99", Unit="Seconds") == []


@pytest.mark.parametrize(("stat", "more"), [("p101", {}), ("median", {}), ("Sum", {"Period": 45})])
def test_what_cloudwatch_does_not_know_is_refused(
    published: Parts, stat: str, more: dict[str, Any]
) -> None:
    with pytest.raises(ClientError) as caught:
        _asked(published, stat, **more)
    assert caught.value.response["Error"]["Code"] == "ValidationError"


def test_a_call_s_duration_is_published_with_its_count_under_the_same_dimensions() -> None:
    data = _data(("f", "live", "2", MINUTE), [10.0, 20.0, 60.0], errors=1)
    told: dict[tuple[str, ...], dict[str, float]] = {}
    for datum in data:
        dimensions = tuple(sorted(dimension.name for dimension in datum.dimensions))
        told.setdefault(dimensions, {})[datum.name] = sum(datum.values)
    sums = {"Invocations": 3, "Errors": 1, "Duration": 90}
    assert told == {
        ("FunctionName",): sums,
        ("FunctionName", "Resource"): sums,
        ("ExecutedVersion", "FunctionName", "Resource"): sums,
    }
    durations = [datum for datum in data if datum.name == "Duration"]
    assert {datum.unit for datum in durations} == {"Milliseconds"}
    assert statistic("p50", durations[:1]) == 20.0 and statistic("Average", durations[:1]) == 30.0
    assert statistic("SampleCount", [each for each in data if each.name == "Errors"][:1]) == 3.0


def test_a_duration_is_without_the_start_of_the_runtime(tmp_path: Path) -> None:
    code = "import time\ntime.sleep(0.4)\ndef handler(event, context): time.sleep(event['seconds'])"
    (tmp_path / "app.py").write_text(code)
    sandbox = Sandbox(tmp_path, "app.handler", "f", 2, {}, print)
    try:
        took = [
            sandbox.invoke(b'{"seconds": %g}' % seconds, "id").duration
            for seconds in (0.1, 0.2, 9, 0.1)
        ]
    finally:
        sandbox.close()
    assert took == [pytest.approx(each, abs=90) for each in (100, 200, 2000, 100)]


@pytest.fixture(scope="module", autouse=True)
def composite(parts: Parts) -> None:
    """An alarm of alarms beside the stack's own, `filling`."""
    parts.client("cloudwatch").put_composite_alarm(AlarmName="any", AlarmRule='ALARM("filling")')


def _names(parts: Parts, **asked: Any) -> tuple[list[str], list[str]]:
    told = parts.client("cloudwatch").describe_alarms(**asked)
    metric = [alarm["AlarmName"] for alarm in told.get("MetricAlarms", [])]
    composite = [alarm["AlarmName"] for alarm in told.get("CompositeAlarms", [])]
    return metric, composite


def _alarm(parts: Parts, name: str) -> dict[str, Any]:
    told = parts.client("cloudwatch").describe_alarms(AlarmNames=[name], AlarmTypes=BOTH)
    (alarm,) = told.get("MetricAlarms", []) + told.get("CompositeAlarms", [])
    return dict(alarm)


@pytest.fixture(scope="module")
def published(parts: Parts) -> Parts:
    datum = {
        "MetricName": "Latency",
        "Dimensions": [{"Name": "Version", "Value": "2"}],
        "Timestamp": MINUTE,
        "Values": [float(value) for value in range(1, 101)],
        "Counts": [1.0] * 99 + [2.0],
        "Unit": "Milliseconds",
    }
    parts.client("cloudwatch").put_metric_data(Namespace="Mine", MetricData=[datum])
    return parts


def _asked(parts: Parts, stat: str, **more: Any) -> list[float]:
    metric = {
        "Namespace": "Mine",
        "MetricName": "Latency",
        "Dimensions": [{"Name": "Version", "Value": "2"}],
    }
    query = {"Id": "m", "MetricStat": {"Metric": metric, "Period": 60, "Stat": stat, **more}}
    end = MINUTE + timedelta(minutes=5)
    answer = parts.client("cloudwatch").get_metric_data(
        MetricDataQueries=[query], StartTime=MINUTE, EndTime=end
    )
    return list(answer["MetricDataResults"][0]["Values"])
