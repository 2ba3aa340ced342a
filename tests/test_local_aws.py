"""The local AWS where moto alone is kinder than AWS: CloudWatch's periods, an alias's weights,
function errors."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud import FAILING, FUNCTION, HEALTHY, ORIGINAL, ROOT, SLOW, Cloud
from tests.parts import Parts

MINUTE = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def test_periods_begin_at_whole_minutes_whatever_the_start(published: Cloud) -> None:
    asked = _asked(published, MINUTE + timedelta(seconds=45), MINUTE + timedelta(minutes=3))
    assert asked == {MINUTE + timedelta(minutes=minutes): 1.0 for minutes in (2, 1, 0)}
    assert list(asked) == sorted(asked, reverse=True)


def test_the_end_is_left_out(published: Cloud) -> None:
    assert list(_asked(published, MINUTE, MINUTE + timedelta(minutes=1))) == [MINUTE]


def test_namespace_and_dimensions_must_match(published: Cloud) -> None:
    hour = MINUTE + timedelta(hours=1)
    assert _asked(published, MINUTE, hour, Namespace="Mine") == {MINUTE: 100.0}
    assert sum(_asked(published, MINUTE, hour).values()) == 3.0
    assert _asked(published, MINUTE, hour, Dimensions=[]) == {}


def test_calls_of_a_split_alias_go_to_both_versions_by_its_weight(cloud: Cloud) -> None:
    lambda_ = cloud.client("lambda")
    lambda_.create_alias(
        FunctionName=FUNCTION,
        Name="split",
        FunctionVersion=ORIGINAL,
        RoutingConfig={"AdditionalVersionWeights": {HEALTHY: 0.25}},
    )
    answers = [lambda_.invoke(FunctionName=f"{FUNCTION}:split") for _ in range(200)]
    executed = [answer["ExecutedVersion"] for answer in answers]
    bodies = [json.loads(answer["Payload"].read()) for answer in answers]
    assert {(body["version"], version) for body, version in zip(bodies, executed, strict=True)} == {
        (ORIGINAL, ORIGINAL),
        (HEALTHY, HEALTHY),
    }
    assert 20 <= executed.count(HEALTHY) <= 80  # 50 expected; the draws are seeded


def test_an_exception_is_a_function_error_with_the_log(cloud: Cloud) -> None:
    lambda_ = cloud.client("lambda")
    answers = [
        lambda_.invoke(FunctionName=FUNCTION, Qualifier=FAILING, LogType="Tail") for _ in range(40)
    ]
    failed = [answer for answer in answers if "FunctionError" in answer]
    assert failed and len(failed) < len(answers)
    assert json.loads(failed[0]["Payload"].read())["errorType"] == "RuntimeError"
    assert "The checkout is broken" in base64.b64decode(failed[0]["LogResult"]).decode()


def test_a_function_is_killed_at_its_time_out_and_that_is_an_error(cloud: Cloud) -> None:
    answer = cloud.client("lambda").invoke(FunctionName=FUNCTION, Qualifier=SLOW)
    assert answer["FunctionError"]
    message = json.loads(answer["Payload"].read())["errorMessage"]
    assert "Task timed out after 3.00 seconds" in message


@pytest.mark.parametrize("payload", [b"no JSON", b'{"Records": [}'])
@pytest.mark.parametrize("kind", ["RequestResponse", "Event"])
def test_what_is_not_json_is_refused_and_no_function_runs(
    parts: Parts,
    payload: bytes,
    kind: str,
) -> None:
    lambda_ = parts.client("lambda")

    def run() -> int:
        lambda_.invoke(FunctionName="worker", Payload=b'{"Records": []}')
        return [line for _, line in parts.log("worker")].count('{"Records": []}')

    before = run()
    with pytest.raises(ClientError) as refused:
        lambda_.invoke(FunctionName="worker", InvocationType=kind, Payload=payload)
    answer = refused.value.response
    assert answer["Error"]["Code"] == "InvalidRequestContentException"
    assert answer["Error"]["Message"].startswith("Could not parse request body into json:")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert run() == before + 1, "only the call with JSON ran"


def test_asynchronous_invocations_are_configured_not_to_be_run_again(cloud: Cloud) -> None:
    told = cloud.client("lambda").get_function_event_invoke_config(
        FunctionName="SimpleDeployFunction"
    )
    assert (told["MaximumRetryAttempts"], told["MaximumEventAgeInSeconds"]) == (0, 300)


@pytest.mark.parametrize("where", ["in the docs", "in the alarm"])
def test_what_the_watchdog_could_not_do_reaches_it_again_with_the_command_that_is_told(
    cloud: Cloud,
    where: str,
) -> None:
    command = {"in the docs": _of_the_docs, "in the alarm": _of_the_alarm}[where](cloud)
    sqs = cloud.client("sqs")
    sqs.send_message(QueueUrl=cloud.output("WatchdogDeadLetterQueueUrl"), MessageBody="{}")
    # Version 1 of the AWS CLI asks SQS itself, whatever AWS_ENDPOINT_URL says.
    done = cloud.run(f"{command} --endpoint-url $AWS_ENDPOINT_URL")
    assert (done.returncode, done.stderr) == (0, "")
    source = cloud.output("WatchdogDeadLetterQueueArn")
    (task,) = sqs.list_message_move_tasks(SourceArn=source)["Results"]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 1)
    assert task["DestinationArn"] == cloud.output("WatchdogQueueArn")


def test_nobody_moves_it_to_the_queue_of_the_leases(cloud: Cloud) -> None:
    sqs = cloud.client("sqs")
    dead = cloud.output("WatchdogDeadLetterQueueUrl")
    told = cloud.client("lambda").get_function_configuration(FunctionName="SimpleDeployFunction")
    leases = told["Environment"]["Variables"]["LEASE_QUEUE_ARN"]
    source = cloud.output("WatchdogDeadLetterQueueArn")
    sqs.send_message(QueueUrl=dead, MessageBody="{}")
    sqs.start_message_move_task(SourceArn=source, DestinationArn=leases)
    (task,) = sqs.list_message_move_tasks(SourceArn=source)["Results"]
    assert (task["Status"], task["DestinationArn"]) == ("FAILED", leases)
    (message,) = sqs.receive_message(QueueUrl=dead)["Messages"]
    sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])


@pytest.fixture(scope="module")
def published(cloud: Cloud) -> Cloud:
    def put(namespace: str, dimensions: list[Any], minute: datetime, value: float) -> None:
        datum = {
            "MetricName": "Errors",
            "Dimensions": dimensions,
            "Timestamp": minute,
            "Value": value,
        }
        cloud.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[datum])

    function = [{"Name": "FunctionName", "Value": "f"}]
    for minutes in range(3):
        put("AWS/Lambda", function, MINUTE + timedelta(minutes=minutes, seconds=20), 1.0)
    put("Mine", function, MINUTE, 100.0)
    put("AWS/Lambda", [*function, {"Name": "Resource", "Value": "f:live"}], MINUTE, 1000.0)
    return cloud


def _asked(cloud: Cloud, start: datetime, end: datetime, **metric: Any) -> dict[datetime, float]:
    dimensions = [{"Name": "FunctionName", "Value": "f"}]
    metric = {"Namespace": "AWS/Lambda", "MetricName": "Errors", "Dimensions": dimensions, **metric}
    query = {"Id": "m", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
    answer = cloud.client("cloudwatch").get_metric_data(
        MetricDataQueries=[query], StartTime=start, EndTime=end
    )
    (result,) = answer["MetricDataResults"]
    assert result["StatusCode"] == "Complete"
    return dict(zip(result["Timestamps"], result["Values"], strict=True))


def _of_the_docs(cloud: Cloud) -> str:
    (command,) = re.findall(r"aws sqs start.*", (ROOT / "docs" / "events.md").read_text())
    for name in ("WatchdogDeadLetterQueueArn", "WatchdogQueueArn"):
        command = command.replace(name, cloud.output(name))
    return str(command)


def _of_the_alarm(cloud: Cloud) -> str:
    alarms = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    (alarm,) = [each for each in alarms if "-WatchdogAlarm-" in each["AlarmName"]]
    told = alarm["AlarmDescription"]
    return str(told[told.index("aws sqs start") :])
