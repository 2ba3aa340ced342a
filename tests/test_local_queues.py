"""The local AWS: messages in queues run functions, as with Lambda's event source mappings."""

import itertools
import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.parts import Parts, until

ARN = "arn:aws:sqs:us-east-1:012345678912:{}"


def test_a_message_runs_the_function_and_is_deleted(parts: Parts) -> None:
    attribute = {"DataType": "String", "StringValue": "blue"}
    message = parts.send("jobs", {"any": "thing"}, MessageAttributes={"colour": attribute})
    ((_, record),) = until(lambda: parts.records(message))
    assert record["body"] == '{"any": "thing"}'
    assert (record["eventSource"], record["awsRegion"]) == ("aws:sqs", "us-east-1")
    assert record["eventSourceARN"] == "arn:aws:sqs:us-east-1:012345678912:jobs"
    assert record["messageAttributes"]["colour"]["stringValue"] == "blue"
    assert record["attributes"]["ApproximateReceiveCount"] == "1" and record["receiptHandle"]
    assert until(lambda: parts.empty("jobs"))


def test_a_delayed_message_runs_it_when_it_is_due(parts: Parts) -> None:
    sent = time.time()
    message = parts.send("jobs", "later", DelaySeconds=2)
    ((at, _),) = until(lambda: parts.records(message))
    assert 1.9 <= at - sent <= 3.5


def test_what_fails_is_visible_again_after_the_time_out_and_ends_in_the_dead_letter_queue(
    parts: Parts,
) -> None:
    message = parts.send("jobs", "raise")
    body = parts.received("dead", lambda body: body == "raise")
    assert body["MessageId"] == message
    times = [at for at, _ in parts.records(message)]
    assert len(times) == 2, "maxReceiveCount"
    assert all(later - earlier >= 0.9 for earlier, later in itertools.pairwise(times)), (
        "the visibility time-out"
    )
    assert parts.empty("jobs")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FilterCriteria", {"Filters": [{"Pattern": "{}"}]}),
        ("FunctionResponseTypes", ["ReportBatchItemFailures"]),
        ("ScalingConfig", {"MaximumConcurrency": 2}),
    ],
)
def test_what_is_not_known_of_a_mapping_is_refused(parts: Parts, name: str, value: Any) -> None:
    create = parts.client("lambda").create_event_source_mapping
    with pytest.raises(ClientError, match=f"{name} is not known here"):
        create(EventSourceArn=ARN.format("jobs"), FunctionName="worker", **{name: value})


def test_the_queue_s_visibility_time_out_must_cover_the_function_s(parts: Parts) -> None:
    queue = ARN.format("jobs")
    with pytest.raises(
        ClientError, match="Queue visibility timeout: 1 seconds is less than Function timeout: 5"
    ):
        parts.client("lambda").create_event_source_mapping(
            EventSourceArn=queue, FunctionName="slow"
        )
    found = parts.client("lambda").list_event_source_mappings(EventSourceArn=queue)[
        "EventSourceMappings"
    ]
    assert [mapping["FunctionArn"].rpartition(":")[2] for mapping in found] == ["worker"]


def test_nothing_is_lost_or_run_twice_when_many_come_at_once(parts: Parts) -> None:
    messages = {parts.send("jobs", number) for number in range(30)}

    def seen() -> Any:
        return [*itertools.chain.from_iterable(parts.records(message) for message in messages)]

    assert len(until(seen, lambda records: len(records) >= 30)) == 30
    assert until(lambda: parts.empty("jobs"))


# Who may send, and what an operator moves.


@pytest.fixture(scope="module")
def guarded(parts: Parts) -> str:
    """A queue that denies everybody but one role, by its ARN."""
    sqs = parts.client("sqs")
    arn = ARN.format("guarded")
    denied = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::012345678912:role/one"}},
    }
    policy = json.dumps({"Statement": [denied]})
    sqs.create_queue(QueueName="guarded", Attributes={"Policy": policy})
    return arn


def test_a_queue_s_policy_keeps_an_operator_out(parts: Parts, guarded: str) -> None:
    sqs = parts.client("sqs")
    url = parts.url("guarded")
    entries = [{"Id": "1", "MessageBody": "{}"}]
    for call, request in (
        (sqs.send_message, {"MessageBody": "{}"}),
        (sqs.send_message_batch, {"Entries": entries}),
    ):
        with pytest.raises(
            ClientError, match="not authorized to perform: sqs:SendMessage"
        ) as refused:
            call(QueueUrl=url, **request)
        assert refused.value.response["Error"]["Code"] == "AccessDenied"
    assert parts.empty("guarded")


def test_an_operator_moves_what_is_in_a_dead_letter_queue_to_a_queue_that_does_not_deny_it(
    parts: Parts, guarded: str
) -> None:
    sqs = parts.client("sqs")
    dead = ARN.format("dead")

    def moved(to: str) -> tuple[str, int]:
        sqs.start_message_move_task(SourceArn=dead, DestinationArn=to)
        (task,) = sqs.list_message_move_tasks(SourceArn=dead)["Results"]
        assert task["DestinationArn"] == to
        return task["Status"], task.get("ApproximateNumberOfMessagesMoved", 0)

    parts.send("dead", "left behind")
    assert moved(guarded) == ("FAILED", 0)
    assert not parts.empty("dead") and parts.empty("guarded")
    assert moved(ARN.format("deaf")) == ("COMPLETED", 1)
    assert parts.heard("deaf") == "left behind" and parts.empty("dead")


def test_only_a_dead_letter_queue_s_messages_are_moved(parts: Parts) -> None:
    start = parts.client("sqs").start_message_move_task
    with pytest.raises(ClientError, match="must be configured as a Dead Letter Queue"):
        start(SourceArn=ARN.format("heard"), DestinationArn=ARN.format("deaf"))
    with pytest.raises(ClientError, match="does not exist"):
        start(SourceArn=ARN.format("dead"), DestinationArn=ARN.format("none"))
