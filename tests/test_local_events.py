"""The local AWS: EventBridge's rules and schedules, SNS, and the end of Step Functions'
executions."""

import itertools
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local import policies, transformers
from local.events import Schedules, seconds
from tests.parts import Parts, until

KEYS = [
    "version",
    "id",
    "detail-type",
    "source",
    "account",
    "time",
    "region",
    "resources",
    "detail",
]
DETAIL = {"status": "FAILED", "target": {"name": "checkout", "alias": "live"}, "weights": [0.1, 1]}


def test_an_event_that_matches_reaches_the_queue_and_the_topic_as_it_is(parts: Parts) -> None:
    function = "arn:aws:lambda:us-east-1:012345678912:function:checkout"
    answer = _put(parts, DETAIL, Resources=[function])
    assert answer["FailedEntryCount"] == 0
    event = parts.heard("heard")
    assert list(event) == KEYS
    assert event["id"] == answer["Entries"][0]["EventId"]
    assert event["account"] == "012345678912"
    assert (event["source"], event["detail-type"]) == ("test.rollouts", "Rollout ended")
    assert event["detail"] == DETAIL
    assert event["time"].endswith("Z")
    assert event["resources"] == [function]
    posted = parts.heard("mailbox")
    assert (posted["Type"], posted["TopicArn"]) == ("Notification", parts.output("Topic"))
    assert json.loads(posted["Message"]) == event


@pytest.mark.parametrize(
    ("detail", "entry"),
    [
        (DETAIL | {"status": "SUCCEEDED"}, {}),
        (DETAIL | {"target": {"name": "orders"}}, {}),
        (DETAIL | {"target": {}}, {}),
        (DETAIL, {"Source": "test.others"}),
        (DETAIL, {"DetailType": "Rollout began"}),
    ],
)
def test_an_event_that_does_not_match_reaches_nobody(
    parts: Parts, detail: Any, entry: dict[str, Any]
) -> None:
    assert _put(parts, detail, **entry)["FailedEntryCount"] == 0
    assert parts.empty("heard") and parts.empty("mailbox")


def test_a_queue_without_a_policy_gets_nothing(parts: Parts) -> None:
    _put(parts, DETAIL)
    parts.heard("heard")
    parts.heard("mailbox")
    assert parts.empty("deaf")


def test_sources_of_aws_are_refused(parts: Parts) -> None:
    answer = _put(parts, DETAIL, Source="aws.states")
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"


def test_a_pattern_with_an_unknown_matcher_is_refused(parts: Parts) -> None:
    pattern = json.dumps({"source": [{"begins": "aws"}]})
    with pytest.raises(ClientError, match="Unrecognized match type begins"):
        parts.client("events").put_rule(Name="wrong", EventPattern=pattern)


def test_mail_is_accepted_and_never_sent(parts: Parts) -> None:
    told = parts.client("sns").list_subscriptions_by_topic(TopicArn=parts.output("Topic"))[
        "Subscriptions"
    ]
    assert {(each["Protocol"], each["Endpoint"].rpartition(":")[2]) for each in told} == {
        ("email", "operator@example.org"),
        ("sqs", "mailbox"),
    }


def test_a_schedule_reaches_its_queue(parts: Parts) -> None:
    rule = parts.client("events").describe_rule(Name="tick")
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(15 minutes)", "ENABLED")
    parts.cloud.fire("tick")
    event = parts.heard("heard")
    assert (event["detail-type"], event["resources"]) == ("Scheduled Event", [rule["Arn"]])


def test_a_schedule_fires_at_its_rate_from_when_it_is_there() -> None:
    schedules = Schedules()
    rule = SimpleNamespace(name="r", state="ENABLED", scheduled_expression="rate(15 minutes)")
    fired = [now for now in range(1000, 4000, 100) if schedules.due([rule], now)]
    assert fired == [1900, 2800, 3700]
    rule.state = "DISABLED"
    assert not schedules.due([rule], 10_000)


@pytest.mark.parametrize(
    ("rate", "period"),
    [
        ("rate(1 minute)", 60),
        ("rate(15 minutes)", 900),
        ("rate(2 days)", 172_800),
        ("cron(0 * * * ? *)", 0),
        (None, 0),
    ],
)
def test_rates(rate: str | None, period: int) -> None:
    assert seconds(rate) == period


@pytest.mark.parametrize(
    "rate", ["rate(1 minutes)", "rate(15 minute)", "rate(0 minutes)", "rate(90 seconds)"]
)
def test_a_rate_that_aws_does_not_take_is_refused(parts: Parts, rate: str) -> None:
    with pytest.raises(ClientError, match="ScheduleExpression is not valid"):
        parts.client("events").put_rule(Name="wrong", ScheduleExpression=rate)


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ({}, True),
        ({"Principal": "*", "Action": ["sqs:*"]}, True),
        ({"Principal": {"AWS": "*"}}, False),
        ({"Principal": {"Service": ["sns.amazonaws.com"]}}, False),
        ({"Action": "sqs:ReceiveMessage"}, False),
        ({"Resource": "arn:aws:sqs:us-east-1:1:another"}, False),
        ({"Effect": "Deny"}, False),
        ({"Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:events:*:*:rule/mine-*"}}}, True),
        (
            {
                "Condition": {
                    "ArnEquals": {"aws:SourceArn": "arn:aws:events:us-east-1:1:rule/another"}
                }
            },
            False,
        ),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": "999999999999"}}}, False),
    ],
)
def test_what_a_policy_allows(statement: dict[str, Any], allowed: bool) -> None:
    queue = "arn:aws:sqs:us-east-1:1:mine"
    usual = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "SQS:SendMessage",
        "Resource": queue,
    }
    known = policies.of_service("arn:aws:events:us-east-1:1:rule/mine-1", "1")
    request = policies.Request("events.amazonaws.com", "sqs:SendMessage", queue, known)
    assert (policies.says({"Statement": [usual | statement]}, request) == "Allow") is allowed


EVENT = {
    "id": "1",
    "time": "2026-01-05T12:00:00Z",
    "source": "test.rollouts",
    "detail": {**DETAIL, "count": 2, "quoted": 'he said "no"'},
}


@pytest.mark.parametrize(
    ("paths", "template", "made"),
    [
        ({"s": "$.detail.status"}, '"It <s>."', '"It FAILED."'),
        ({"s": "$.detail.status"}, '"It <s>."\n"Twice: <s>"\n', '"It FAILED."\n"Twice: FAILED"'),
        ({"s": "$.detail.absent"}, '"It <s>."', '"It ."'),
        ({}, '"It <s>."', '"It <s>."'),
        ({"s": "$.detail.target.name"}, '{"name": <s>}', '{"name": "checkout"}'),
        ({"s": "$.detail.target"}, '{"of": <s>}', '{"of": {"name": "checkout", "alias": "live"}}'),
        ({"s": "$.detail.weights[1]"}, '{"a": <s>, "b": "<s>"}', '{"a": 1, "b": "1"}'),
        ({"s": "$.detail.status"}, '{\n"a":\n"x <s>"\n}', '{\n"a":\n"x FAILED"\n}'),
        ({}, '"<aws.events.rule-name>"', '"mine"'),
        ({}, '"at <aws.events.event.ingestion-time>"', '"at 2026-01-05T12:00:00Z"'),
    ],
)
def test_a_target_s_input_is_made_of_the_event(
    paths: dict[str, str], template: str, made: str
) -> None:
    transformer = {"InputPathsMap": paths, "InputTemplate": template}
    assert transformers.transformed(transformer, EVENT, "arn:mine", "mine") == made


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("$.detail.quoted", '"<s>"'),  # nothing is escaped
        ("$.detail.quoted", '{"a": "<s>"}'),
        ("$.detail.absent", '{"a": <s>}'),
        ("$.detail.status", "It <s>."),
        ("$.detail.status", '"One line"\nand <s>'),
        ("$.detail['status']", '"<s>"'),
    ],
)
def test_what_does_not_come_out_valid_is_not_sent(path: str, template: str) -> None:
    transformer = {"InputPathsMap": {"s": path}, "InputTemplate": template}
    with pytest.raises(transformers.Invalid):
        transformers.transformed(transformer, EVENT, "arn:mine", "mine")


def test_a_rule_sends_what_its_transformer_makes_and_what_is_not_valid_to_nobody(
    parts: Parts,
) -> None:
    events = parts.client("events")
    events.put_rule(Name="told", EventPattern=json.dumps({"source": ["test.told"]}))
    queue = parts.client("sqs").get_queue_attributes(
        QueueUrl=parts.url("heard"), AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    made = {"InputPathsMap": {"s": "$.detail.status"}, "InputTemplate": '"It <s>."'}
    lost = {**made, "InputTemplate": "It <s>."}
    targets = [
        {"Id": "lost", "Arn": queue, "InputTransformer": lost},
        {"Id": "made", "Arn": queue, "InputTransformer": made},
    ]
    events.put_targets(Rule="told", Targets=targets)
    _put(parts, DETAIL, Source="test.told")
    assert parts.heard("heard") == "It FAILED."
    assert parts.empty("heard")


class TestExecutions:
    """Each ends in its own way; the last two tests look back at the others."""

    def _started(self, parts: Parts, name: str, **event: Any) -> str:
        start = parts.client("stepfunctions").start_execution
        machine = parts.output("Machine")
        started = start(stateMachineArn=machine, name=name, input=json.dumps(event))
        return str(started["executionArn"])

    def _ended(self, parts: Parts, arn: str) -> dict[str, Any]:
        describe = parts.client("stepfunctions").describe_execution
        return dict(
            until(lambda: describe(executionArn=arn), lambda told: told["status"] != "RUNNING")
        )

    def _event(self, parts: Parts, arn: str, status: str) -> dict[str, Any]:
        event = parts.heard("ended", lambda event: event["detail"]["executionArn"] == arn)
        assert (event["source"], event["resources"]) == ("aws.states", [arn])
        assert event["detail"]["status"] == status
        return dict(event["detail"])

    def test_one_that_succeeds(self, parts: Parts) -> None:
        arn = self._started(parts, "good")
        began = self._event(parts, arn, "RUNNING")
        assert (began["stopDate"], began["output"], began["input"]) == (None, None, "{}")
        told = self._ended(parts, arn)
        detail = self._event(parts, arn, "SUCCEEDED")
        assert json.loads(detail["output"]).keys() == {"result"}
        assert detail["output"] == told["output"]
        assert detail["name"] == "good" and detail["stateMachineArn"] == parts.output("Machine")
        assert detail["inputDetails"] == detail["outputDetails"] == {"included": True}
        assert detail["stopDate"] == int(told["stopDate"].timestamp() * 1000) >= detail["startDate"]
        assert (detail["error"], detail["cause"]) == (None, None)

    def test_one_that_fails(self, parts: Parts) -> None:
        arn = self._started(parts, "bad", fail=True)
        told = self._ended(parts, arn)
        assert (told["status"], told["error"]) == ("FAILED", "ValueError")
        assert "as it was told" in told["cause"]
        self._event(parts, arn, "RUNNING")
        detail = self._event(parts, arn, "FAILED")
        assert (detail["error"], detail["cause"]) == (told["error"], told["cause"])
        assert detail["output"] is None

    def test_one_that_is_stopped_ends_at_once_and_its_task_goes_on(self, parts: Parts) -> None:
        parts.client("sqs").purge_queue(QueueUrl=parts.url("ended"))
        before = len(parts.log("slow"))
        arn = self._started(parts, "stopped", seconds=2)
        until(lambda: parts.cloud.sandboxes("slow"))
        parts.client("stepfunctions").stop_execution(
            executionArn=arn, error="Enough", cause="by hand"
        )
        told = parts.client("stepfunctions").describe_execution(executionArn=arn)
        assert (told["status"], told["error"], told["cause"]) == ("ABORTED", "Enough", "by hand")
        self._event(parts, arn, "RUNNING")
        assert self._event(parts, arn, "ABORTED")["cause"] == "by hand"
        until(
            lambda: [line for _, line in parts.log("slow")[before:] if line == "went on to its end"]
        )
        until(lambda: not parts.cloud.sandboxes("slow"))
        time.sleep(0.3)
        again = parts.client("stepfunctions").describe_execution(executionArn=arn)
        assert (again["status"], again["stopDate"]) == ("ABORTED", told["stopDate"])
        assert self._types(parts, arn)[-1] == "ExecutionAborted"
        assert parts.empty("ended")

    def test_one_that_takes_too_long(self, parts: Parts) -> None:
        arn = self._started(parts, "late", seconds=4)
        told = self._ended(parts, arn)
        assert told["status"] == "TIMED_OUT" and told["stopDate"] and parts.cloud.sandboxes("slow")
        assert self._types(parts, arn)[-1] == "ExecutionTimedOut"
        self._event(parts, arn, "RUNNING")
        assert self._event(parts, arn, "TIMED_OUT")["stopDate"]

    def _types(self, parts: Parts, arn: str, **asked: Any) -> list[str]:
        history = parts.client("stepfunctions").get_execution_history(executionArn=arn, **asked)
        return [event["type"] for event in history["events"]]

    def test_they_are_listed_by_status(self, parts: Parts) -> None:
        states = parts.client("stepfunctions")
        machine = parts.output("Machine")

        def names(**asked: Any) -> list[str]:
            told = states.list_executions(stateMachineArn=machine, **asked)
            assert all("stopDate" in each for each in told["executions"])
            found = [each["name"] for each in told["executions"]]
            return [name for name in found if name in ("late", "stopped", "bad", "good")]

        assert names() == ["late", "stopped", "bad", "good"], "the newest first"
        assert names(statusFilter="TIMED_OUT") == ["late"]
        assert names(statusFilter="ABORTED") == ["stopped"]
        assert names(statusFilter="FAILED") == ["bad"]
        assert names(statusFilter="SUCCEEDED") == ["good"]
        assert names(statusFilter="RUNNING") == []
        pages = states.get_paginator("list_executions").paginate(
            stateMachineArn=machine, PaginationConfig={"PageSize": 3}
        )
        sizes = [len(page["executions"]) for page in pages]
        assert max(sizes) == 3 and sum(sizes) >= 4

    def test_the_history_backwards_in_part_and_without_data(self, parts: Parts) -> None:
        arn = parts.output("Machine").replace(":stateMachine:", ":execution:") + ":good"
        states = parts.client("stepfunctions")
        types = self._types(parts, arn)
        assert types[:3] == ["ExecutionStarted", "TaskStateEntered", "LambdaFunctionScheduled"]
        assert self._types(parts, arn, reverseOrder=True) == types[::-1]
        assert self._types(parts, arn, reverseOrder=True, maxResults=1) == ["ExecutionSucceeded"]
        pages = states.get_paginator("get_execution_history").paginate(
            executionArn=arn, maxResults=3
        )
        events = itertools.chain.from_iterable(page["events"] for page in pages)
        assert [event["type"] for event in events] == types
        with_data = states.get_execution_history(executionArn=arn)["events"]
        assert with_data[0]["executionStartedEventDetails"]["input"] == "{}"
        assert [event["id"] for event in with_data] == list(range(1, len(types) + 1))
        without = states.get_execution_history(executionArn=arn, includeExecutionData=False)
        words = str(without["events"]).split("'")
        assert "input" not in words and "output" not in words


def _put(parts: Parts, detail: Any, **entry: Any) -> dict[str, Any]:
    entry = {
        "Source": "test.rollouts",
        "DetailType": "Rollout ended",
        "Detail": json.dumps(detail),
        **entry,
    }
    return dict(parts.client("events").put_events(Entries=[entry]))
