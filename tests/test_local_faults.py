"""The local AWS: sandboxes that are killed, an API that is out of order, and what becomes of failed
invocations."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import botocore.exceptions
import pytest

from tests.parts import Parts, until


def test_a_sandbox_that_is_killed_ends_its_invocation_as_an_error_and_nothing_of_it_goes_on(
    parts: Parts, running: Any
) -> None:
    before = len(parts.log("slow"))
    future = running(seconds=1.5)
    (sandbox,) = parts.cloud.sandboxes("slow")
    assert (sandbox["function"], sandbox["version"], len(sandbox["pids"])) == ("slow", "$LATEST", 2)
    parts.cloud.kill("slow")
    answer = future.result()
    kind, message = _error(answer)
    assert (kind, sandbox["request-id"] in message) == ("Runtime.ExitError", True)
    assert answer["ResponseMetadata"]["RequestId"] == sandbox["request-id"]
    time.sleep(1.5)
    assert "went on to its end" not in [line for _, line in parts.log("slow")[before:]]
    again = parts.client("lambda").invoke(FunctionName="slow")
    assert json.loads(again["Payload"].read())["id"] == again["ResponseMetadata"]["RequestId"], (
        "the next one is well"
    )


def test_a_state_machine_s_task_whose_sandbox_is_killed_fails_as_a_runtime_that_has_exited(
    parts: Parts,
) -> None:
    states = parts.client("stepfunctions")
    machine = parts.output("Machine")
    request = {"stateMachineArn": machine, "input": json.dumps({"seconds": 2})}
    execution = states.start_execution(**request)["executionArn"]
    until(lambda: parts.cloud.sandboxes("slow"))
    parts.cloud.kill("slow")
    told = until(
        lambda: states.describe_execution(executionArn=execution),
        lambda told: told["status"] != "RUNNING",
    )
    assert (told["status"], told["error"]) == ("FAILED", "Runtime.ExitError")
    assert json.loads(told["cause"])["errorType"] == "Runtime.ExitError"


def test_the_time_out_of_the_configuration_holds_from_the_next_sandbox_on(parts: Parts) -> None:
    lambda_ = parts.client("lambda")
    _configured(parts, Timeout=1)
    try:
        began = time.monotonic()
        kind, message = _error(
            lambda_.invoke(FunctionName="slow", Payload=json.dumps({"seconds": 4}))
        )
        assert (kind, "timed out after 1.00 seconds" in message) == ("Sandbox.Timedout", True)
        assert time.monotonic() - began < 3
        assert 500 <= int(parts.log("slow")[-1][1].rpartition(" ")[2]) <= 1000
    finally:
        _configured(parts, Timeout=5)


def test_a_sandbox_can_be_killed_before_the_time_that_its_context_promises(parts: Parts) -> None:
    _configured(parts, Environment={"Variables": {"LOCAL_KILLED_AFTER": "0.7"}})
    try:
        answer = parts.client("lambda").invoke(
            FunctionName="slow", Payload=json.dumps({"seconds": 3})
        )
        assert _error(answer)[0] == "Runtime.ExitError"
        assert int(parts.log("slow")[-1][1].rpartition(" ")[2]) > 4000
    finally:
        _configured(parts, Environment={"Variables": {}})


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("lambda", "list_functions", "ServiceException"),
        ("cloudwatch", "describe_alarms", "ServiceException"),
        ("sqs", "list_queues", "ServiceException"),
        ("scheduler", "list_schedules", "ServiceException"),
        ("stepfunctions", "list_state_machines", "ServiceException"),
        ("cloudformation", "list_stacks", "503"),
    ],
)
def test_the_api_refuses_while_it_is_out_of_order(
    parts: Parts, service: str, call: str, code: str
) -> None:
    client = parts.client(service)
    parts.cloud.outage(60)
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        getattr(client, call)()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    parts.cloud.outage(0)
    getattr(client, call)()


def test_sandboxes_go_on_while_the_api_is_away_and_it_comes_back_by_itself(
    parts: Parts, running: Any
) -> None:
    future = running(seconds=1)
    began = time.monotonic()
    parts.cloud.outage(0.6, how="drop")
    with pytest.raises(botocore.exceptions.ConnectionClosedError):
        parts.client("lambda").list_functions()
    assert parts.cloud.sandboxes("slow")
    time.sleep(max(0, began + 0.7 - time.monotonic()))
    parts.client("lambda").list_functions()
    assert "FunctionError" not in future.result()


def test_an_outage_of_one_service_leaves_the_others_alone(parts: Parts) -> None:
    parts.cloud.outage(60, services=["monitoring"])
    parts.client("lambda").list_functions()
    with pytest.raises(botocore.exceptions.ClientError):
        parts.client("cloudwatch").describe_alarms()


@pytest.mark.parametrize(
    ("how", "error"), [("refuse", "Lambda.ServiceException"), ("drop", "Lambda.SdkClientException")]
)
def test_a_task_s_error_has_aws_s_name_when_lambda_is_out_of_order(
    parts: Parts, how: str, error: str
) -> None:
    states = parts.client("stepfunctions")
    machine = parts.output("Machine")
    parts.cloud.outage(60, how=how, services=["lambda"])
    arn = states.start_execution(stateMachineArn=machine, name=f"{how}-{time.time_ns()}")[
        "executionArn"
    ]
    ended = until(
        lambda: states.describe_execution(executionArn=arn),
        lambda told: told["status"] != "RUNNING",
    )
    assert (ended["status"], ended["error"]) == ("FAILED", error)


def test_an_answer_can_be_lost_after_the_work_was_done(parts: Parts) -> None:
    url = parts.url("deaf")
    parts.cloud.outage(60, how="lose")
    with pytest.raises(botocore.exceptions.ConnectionClosedError):
        parts.client("sqs").send_message(QueueUrl=url, MessageBody='"lost"')
    parts.cloud.outage(0)
    assert parts.heard("deaf") == "lost"


def test_a_failed_asynchronous_invocation_is_told_to_its_destination(parts: Parts) -> None:
    invoked = parts.client("lambda").invoke(
        FunctionName="slow", InvocationType="Event", Payload=json.dumps({"fail": True})
    )
    record = parts.heard("dead", lambda body: isinstance(body, dict))
    assert record.pop("timestamp").endswith("Z")
    response = record.pop("responsePayload")
    assert (response["errorType"], response["errorMessage"]) == ("ValueError", "as it was told")
    assert record == {
        "version": "1.0",
        "requestContext": {
            "requestId": invoked["ResponseMetadata"]["RequestId"],
            "functionArn": "arn:aws:lambda:us-east-1:012345678912:function:slow:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 1,
        },
        "requestPayload": {"fail": True},
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled",
        },
    }


def test_a_killed_one_is_told_too_and_a_good_one_is_not(parts: Parts) -> None:
    lambda_ = parts.client("lambda")
    lambda_.invoke(FunctionName="slow", InvocationType="Event", Payload=b"{}")
    lambda_.invoke(FunctionName="slow", InvocationType="Event", Payload=json.dumps({"seconds": 4}))
    until(lambda: len(parts.cloud.sandboxes("slow")) == 1)
    time.sleep(0.3)
    parts.cloud.kill("slow")
    record = parts.heard("dead", lambda body: isinstance(body, dict))
    assert record["requestPayload"] == {"seconds": 4}
    assert record["responsePayload"]["errorType"] == "Runtime.ExitError"
    assert parts.empty("dead")


def test_a_destination_may_be_a_topic(parts: Parts) -> None:
    lambda_ = parts.client("lambda")
    before = lambda_.get_function_event_invoke_config(FunctionName="slow")["DestinationConfig"]
    to_topic = {"OnFailure": {"Destination": parts.output("Topic")}}
    _destined(parts, to_topic)
    try:
        event = json.dumps({"fail": "topic"})
        lambda_.invoke(FunctionName="slow", InvocationType="Event", Payload=event)
        record = json.loads(parts.heard("mailbox")["Message"])
        assert record["requestPayload"] == {"fail": "topic"}
        assert record["responsePayload"]["errorType"] == "ValueError"
    finally:
        _destined(parts, before)


@pytest.fixture(autouse=True)
def all_well(parts: Parts) -> Iterator[None]:
    """Nothing of another test runs on, and afterwards the API is there again, whatever a test has
    broken."""
    until(lambda: not parts.cloud.sandboxes())
    yield
    parts.cloud.outage(0)


@pytest.fixture
def running(parts: Parts) -> Any:
    """Starts an invocation of the slow function, as a user does; it runs by the time one has it."""
    with ThreadPoolExecutor() as executor:

        def start(**event: Any) -> "Future[Any]":
            call = {"FunctionName": "slow", "Payload": json.dumps(event)}
            future = executor.submit(parts.client("lambda").invoke, **call)
            until(lambda: parts.cloud.sandboxes("slow"))
            return future

        yield start


def _error(answer: Any) -> tuple[str, str]:
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    body = json.loads(answer["Payload"].read())
    return body["errorType"], body["errorMessage"]


def _configured(parts: Parts, **configuration: Any) -> None:
    parts.client("lambda").update_function_configuration(FunctionName="slow", **configuration)


def _destined(parts: Parts, config: Any) -> None:
    parts.client("lambda").put_function_event_invoke_config(
        FunctionName="slow", MaximumRetryAttempts=0, DestinationConfig=config
    )
