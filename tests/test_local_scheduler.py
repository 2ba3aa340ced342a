"""The local AWS: EventBridge Scheduler, its role, and the policies that it meets."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.iam.models import iam_backends
from moto.scheduler.models import scheduler_backends

from local import policies, roles, scheduler
from local.sandbox import ACCOUNT, REGION
from tests.parts import Parts

ONE_O_CLOCK = datetime(2030, 1, 5, 13, 0, tzinfo=UTC).timestamp()
ROLE = "arn:aws:iam::012345678912:role/timer"
QUEUE = "arn:aws:sqs:us-east-1:012345678912:timed"
FAR = "at(2099-01-01T00:00:00)"
SENDS = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}


# When it fires.


@pytest.mark.parametrize("number", range(50))
def test_it_fires_within_the_minute_that_it_names_each_at_its_own_second(number: int) -> None:
    schedule = _schedule("at(2030-01-05T13:00:00)", arn=str(number))
    fires = scheduler.fires_at(schedule, latest=59.0)
    assert fires is not None and ONE_O_CLOCK <= fires <= ONE_O_CLOCK + 59
    assert fires == scheduler.fires_at(schedule, latest=59.0)
    assert not [*scheduler.due([schedule], fires - 0.001, 59.0)]
    assert [*scheduler.due([schedule], fires, 59.0)] == [schedule]


def test_some_fire_at_once_and_some_almost_a_minute_late() -> None:
    schedules = [_schedule("at(2030-01-05T13:00:00)", arn=str(number)) for number in range(50)]
    late = [(scheduler.fires_at(each, latest=59.0) or 0) - ONE_O_CLOCK for each in schedules]
    assert min(late) < 5 and max(late) > 54
    assert {scheduler.fires_at(each, latest=0.0) for each in schedules} == {ONE_O_CLOCK}


@pytest.mark.parametrize(
    ("at", "zone"),
    [
        ("at(2030-01-05T13:00:00)", "UTC"),
        ("at(2030-01-05T13:00:42)", "UTC"),  # it knows no finer times
        ("at(2030-01-05T14:00:00)", "Europe/Berlin"),
        ("at(2030-01-05T08:00:00)", "America/New_York"),
    ],
)
def test_a_minute_is_the_grain_and_the_time_zone_counts(at: str, zone: str) -> None:
    assert scheduler.minute(at, zone) == ONE_O_CLOCK


@pytest.mark.parametrize(
    "changes",
    [{"fired": True}, {"state": "DISABLED"}, {"last_modified_date": ONE_O_CLOCK + 1}],
)
def test_it_never_fires_twice_nor_disabled_nor_for_a_time_that_was_past(changes: Any) -> None:
    assert scheduler.fires_at(_schedule("at(2030-01-05T13:00:00)", **changes), 59.0) is None


def test_the_loop_fires_what_is_due_by_its_clock_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    group = scheduler_backends[ACCOUNT][REGION].create_schedule_group("clocked", [])
    times = {"first": "at(2030-01-05T13:00:00)", "second": "at(2030-01-05T13:01:00)"}
    for name, at in times.items():
        group.schedules[name] = _schedule(
            at,
            name=name,
            arn=name,
            group_name="clocked",
            action_after_completion="DELETE",
            target={"RoleArn": ROLE},
        )
    times_of_looks = iter(ONE_O_CLOCK + after for after in (-1, 0, 59, 60))
    timers = scheduler.Timers(latest=0.0, clock=lambda: next(times_of_looks))
    left = []
    for _ in range(4):
        timers.look()
        left.append([*group.schedules])
    assert left == [["first", "second"], ["second"], ["second"], []]
    told = capsys.readouterr().err.splitlines()
    assert [line.split(" was not delivered")[0] for line in told] == [
        "local AWS: first",
        "local AWS: second",
    ], "there is no such role here"


def test_what_was_moved_on_in_the_last_moment_does_not_fire() -> None:
    group = scheduler_backends[ACCOUNT][REGION].create_schedule_group("moved", [])
    about = {"name": "lease", "group_name": "moved", "action_after_completion": "DELETE"}
    before = _schedule("at(2030-01-05T13:00:00)", **about)
    after = _schedule("at(2030-01-05T13:02:00)", **about)
    group.schedules["lease"] = after
    scheduler.fire(before)
    assert not before.fired and group.schedules == {"lease": after}


# What policies say.


@pytest.mark.parametrize(
    ("own", "queue", "allowed"),
    [
        ([SENDS], None, True),
        ([], None, False),
        ([SENDS | {"Resource": QUEUE}], None, True),
        ([SENDS | {"Resource": f"{QUEUE}-2"}], None, False),
        ([SENDS | {"Action": "sqs:ReceiveMessage"}], None, False),
        ([SENDS, SENDS | {"Effect": "Deny"}], None, False),
        ([], SENDS | {"Principal": {"AWS": ROLE}}, True),
        ([], SENDS | {"Principal": {"AWS": ACCOUNT}}, True),
        ([], SENDS | {"Principal": {"Service": scheduler.SERVICE}}, False),
        ([SENDS], SENDS | {"Effect": "Deny", "Principal": "*"}, False),
        ([SENDS], SENDS | {"Effect": "Deny", "Principal": {"AWS": f"{ROLE}-2"}}, True),
    ],
)
def test_what_a_role_may_send(own: list[Any], queue: Any, allowed: bool) -> None:
    iam = iam_backends[ACCOUNT]["aws"]
    role = iam.create_role("timer", "{}", "/", None, "", [], "3600")
    try:
        role.put_policy("Own", json.dumps({"Statement": own}))
        policy = {"Statement": [queue]} if queue else None
        assert roles.may(role.arn, "sqs:SendMessage", QUEUE, policy) is allowed
    finally:
        iam.roles.clear()


@pytest.mark.parametrize(
    ("condition", "role", "service"),
    [
        ({"ArnNotEquals": {"aws:PrincipalArn": ROLE}}, "", "Deny"),  # a service has no such ARN
        ({"ArnEqualsIfExists": {"aws:PrincipalArn": f"{ROLE}-2"}}, "", "Deny"),
        ({"ArnEquals": {"aws:PrincipalArn": ROLE}}, "Deny", ""),
        ({"ArnLike": {"aws:PrincipalArn": f"{ROLE[:-2]}*"}}, "Deny", ""),
        ({"StringEquals": {"aws:PrincipalArn": f"{ROLE[:-2]}*"}}, "", ""),
        ({"ArnNotEquals": {"aws:PrincipalArn": f"{ROLE}-2"}}, "Deny", "Deny"),
        ({"ArnEquals": {"aws:SourceArn": "arn:rule"}}, "", "Deny"),
        ({"StringNotEquals": {"aws:SourceArn": "arn:rule"}}, "Deny", ""),
        ({"Bool": {"aws:PrincipalIsAWSService": False}}, "Deny", ""),
        ({"Bool": {"aws:PrincipalIsAWSService": "true"}}, "", "Deny"),
        (
            {"NumericLessThan": {"aws:EpochTime": "1"}},
            "Deny",
            "Deny",
        ),  # a key that is not looked at
        ({}, "Deny", "Deny"),
    ],
)
def test_whom_a_deny_means(condition: dict[str, Any], role: str, service: str) -> None:
    denied = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Condition": condition}
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "sqs:ReceiveMessage"}
    policy = {"Statement": [everybody, denied]}
    asking = {ROLE: policies.of_role(ROLE), "events": policies.of_service("arn:rule", ACCOUNT)}
    said = tuple(
        policies.says(policy, policies.Request(principal, "sqs:SendMessage", QUEUE, known))
        for principal, known in asking.items()
    )
    assert said == (role, service)


@pytest.mark.parametrize(
    ("unknown", "words"),
    [
        ({"Condition": {"NumericLessThan": {"aws:SourceAccount": "1"}}}, "NumericLessThan"),
        ({"NotResource": "*"}, "NotResource"),
    ],
)
def test_what_is_not_known_of_a_policy_is_an_error(unknown: dict[str, Any], words: str) -> None:
    request = policies.Request(ROLE, "sqs:SendMessage", QUEUE, policies.of_role(ROLE))
    with pytest.raises(ValueError, match=words):
        policies.says({"Statement": SENDS | unknown}, request)


# Over the API.


def test_it_sends_as_its_role_and_deletes_itself(timed: Timed) -> None:
    told = timed.message()
    assert timed.parts.heard("timed") == told
    assert timed.client.list_schedules()["Schedules"] == []


def test_one_that_does_not_delete_itself_has_fired_all_the_same(timed: Timed) -> None:
    name = timed.create(ActionAfterCompletion="NONE")
    timed.parts.cloud.fire_schedule("timed", name)
    timed.parts.cloud.fire_schedule("timed", name)
    assert timed.parts.heard("timed") == "fired"
    assert timed.parts.empty("timed"), "it has fired once"
    told = timed.client.get_schedule(Name=name, GroupName="timed")
    assert told["ActionAfterCompletion"] == "NONE"
    timed.client.delete_schedule(Name=name, GroupName="timed")


@pytest.mark.parametrize(
    ("role", "why"),
    [
        ("other", "the queue's policy denies it"),
        ("timer", "the queue is not there"),
    ],
)
def test_what_is_refused_goes_to_its_dead_letter_queue(timed: Timed, role: str, why: str) -> None:
    target = {"RoleArn": ROLE.replace("timer", role), "Input": json.dumps(why)}
    if role == "timer":
        target["Arn"] = f"{QUEUE}-2"
    name = timed.create(target=target)
    timed.parts.cloud.fire_schedule("timed", name)
    assert timed.parts.heard("undelivered") == why
    assert timed.parts.empty("timed")


def test_a_role_that_may_send_nothing_sends_no_dead_letter_either(timed: Timed) -> None:
    name = timed.create(target={"RoleArn": ROLE.replace("timer", "mute")})
    timed.parts.cloud.fire_schedule("timed", name)
    assert timed.parts.empty("timed") and timed.parts.empty("undelivered")


def test_the_queue_s_policy_keeps_aws_s_services_out_too(timed: Timed) -> None:
    events = timed.parts.client("events")
    events.put_rule(Name="knock", EventPattern=json.dumps({"source": ["test.knock"]}))
    arns = [QUEUE, QUEUE.replace("timed", "heard")]
    targets = [{"Id": str(number), "Arn": arn} for number, arn in enumerate(arns)]
    events.put_targets(Rule="knock", Targets=targets)
    entry = {"Source": "test.knock", "DetailType": "Knock", "Detail": "{}"}
    events.put_events(Entries=[entry])
    assert timed.parts.heard("heard")["source"] == "test.knock"
    assert timed.parts.empty("timed")


def test_an_update_resets_what_it_leaves_out(timed: Timed) -> None:
    name = timed.create(Description="a lease", ScheduleExpressionTimezone="Europe/Berlin")
    target = {"Arn": QUEUE, "RoleArn": ROLE}
    timed.client.update_schedule(
        Name=name,
        GroupName="timed",
        ScheduleExpression="at(2099-02-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=target,
    )
    told = timed.client.get_schedule(Name=name, GroupName="timed")
    assert told["ScheduleExpression"] == "at(2099-02-01T00:00:00)"
    assert told["ScheduleExpressionTimezone"] == "UTC" and "Description" not in told
    assert told["ActionAfterCompletion"] == "NONE"
    assert "Input" not in told["Target"] and "DeadLetterConfig" not in told["Target"]
    timed.client.delete_schedule(Name=name, GroupName="timed")


def test_a_name_that_is_taken_is_a_conflict_unless_it_is_the_same_request(timed: Timed) -> None:
    name = timed.create(ClientToken="once")
    request = {"Name": name, **_request()}
    told = _refused(timed.client.create_schedule, **request)
    assert told == (409, "ConflictException", f"Schedule {name} already exists.")
    timed.client.create_schedule(**request, ClientToken="once")
    timed.client.delete_schedule(Name=name, GroupName="timed")
    told = _refused(timed.parts.client("scheduler").create_schedule_group, Name="timed")
    assert told[:2] == (409, "ConflictException")


@pytest.mark.parametrize("call", ["update_schedule", "get_schedule", "delete_schedule"])
@pytest.mark.parametrize("group", ["timed", "nowhere"])
def test_what_is_not_there_is_not_found(timed: Timed, call: str, group: str) -> None:
    request = {"Name": "gone", **_request(GroupName=group)}
    if call != "update_schedule":
        request = {"Name": "gone", "GroupName": group}
    told = _refused(getattr(timed.client, call), **request)
    what = "Schedule gone" if group == "timed" else "Schedule group nowhere"
    assert told == (404, "ResourceNotFoundException", f"{what} does not exist.")


def test_a_group_that_is_not_there_takes_no_schedule(timed: Timed) -> None:
    told = _refused(timed.client.create_schedule, Name="lost", **_request(GroupName="nowhere"))
    assert told[:2] == (404, "ResourceNotFoundException")
    told = _refused(timed.client.delete_schedule_group, Name="nowhere")
    assert told[:2] == (404, "ResourceNotFoundException")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ScheduleExpression": "at(2030-01-05)"}, "Invalid Schedule Expression"),
        ({"ScheduleExpression": "at(2030-01-05T13:00:00Z)"}, "Invalid Schedule Expression"),
        ({"ScheduleExpression": "at(2030-02-30T13:00:00)"}, "Invalid Schedule Expression"),
        ({"ScheduleExpression": "2030-01-05T13:00:00"}, "Invalid Schedule Expression"),
        ({"ScheduleExpression": "rate(5 minutes)"}, "not known here"),
        ({"ScheduleExpression": "cron(0 12 * * ? *)"}, "not known here"),
        ({"ScheduleExpressionTimezone": "Europe/Nowhere"}, "Timezone"),
        ({"Name": "a b"}, "Invalid schedule name"),
        ({"ActionAfterCompletion": "REMOVE"}, ""),
        ({"target": {"RoleArn": f"{ROLE}-2"}}, "The execution role you provide must allow"),
        (
            {"target": {"RoleArn": ROLE.replace("timer", "lambdas")}},
            "The execution role you provide must allow",
        ),
        ({"GroupName": "default"}, "The execution role you provide must allow"),
        ({"target": {"Arn": "arn:aws:sns:us-east-1:012345678912:news"}}, "not known here"),
    ],
)
def test_what_aws_does_not_take_is_refused(timed: Timed, changes: Any, words: str) -> None:
    name = changes.pop("Name", "wrong")
    told = _refused(timed.client.create_schedule, Name=name, **_request(**changes))
    assert told[:2] == (400, "ValidationException") and words in told[2]


def test_a_template_s_groups_are_there_and_go_with_their_schedules(timed: Timed) -> None:
    stacks = timed.parts.client("cloudformation")
    (stack,) = stacks.describe_stacks(StackName="timed")["Stacks"]
    told = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    assert told["Group"] == "timed" and told["Unnamed"].startswith("timed-Unnamed-")
    assert told["Arn"] == "arn:aws:scheduler:us-east-1:012345678912:schedule-group/timed"
    one = {
        "Resources": {"Group": {"Type": "AWS::Scheduler::ScheduleGroup"}},
        "Outputs": {"Group": {"Value": {"Ref": "Group"}}},
    }
    stacks.create_stack(StackName="brief", TemplateBody=json.dumps(one))
    (stack,) = stacks.describe_stacks(StackName="brief")["Stacks"]
    group = stack["Outputs"][0]["OutputValue"]
    timed.create("left", GroupName=group, target={"RoleArn": ROLE.replace("timer", "other")})
    stacks.delete_stack(StackName="brief")
    told_now = _refused(timed.client.get_schedule, Name="left", GroupName=group)
    assert told_now == (404, "ResourceNotFoundException", f"Schedule group {group} does not exist.")


# What a function may ask, which may write schedules of the group with the role `timer`.


def test_a_function_writes_schedules_of_the_group_with_its_role(timed: Timed) -> None:
    request = {"Name": "held", **_request()}
    assert _asks(timed, "create_schedule", request) == "done"
    assert _asks(timed, "update_schedule", request) == "done"
    timed.client.delete_schedule(Name="held", GroupName="timed")


@pytest.mark.parametrize("call", ["create_schedule", "update_schedule"])
def test_a_function_may_pass_no_other_role(timed: Timed, call: str) -> None:
    other = ROLE.replace("timer", "other")
    told = _asks(timed, call, {"Name": "held", **_request({"RoleArn": other})})
    assert "AccessDeniedException" in told
    assert f"not authorized to perform: iam:PassRole on resource: {other}" in told


@pytest.mark.parametrize(
    ("call", "group", "action"),
    [
        ("create_schedule", "default", "CreateSchedule"),
        ("get_schedule", "timed", "GetSchedule"),
        ("delete_schedule", "timed", "DeleteSchedule"),
    ],
)
def test_a_function_may_do_nothing_elsewhere_and_nothing_else(
    timed: Timed, call: str, group: str, action: str
) -> None:
    request = {"Name": "held", "GroupName": group}
    if call == "create_schedule":
        request |= _request(GroupName=group)
    told = _asks(timed, call, request)
    arn = f"arn:aws:scheduler:us-east-1:012345678912:schedule/{group}/held"
    assert f"not authorized to perform: scheduler:{action} on resource: {arn}" in told


def test_a_function_sends_to_no_queue_without_its_role_s_permission(timed: Timed) -> None:
    request = {"QueueUrl": timed.parts.url("unguarded"), "MessageBody": "{}"}
    told = _asks(timed, "send_message", request, service="sqs")
    assert "not authorized to perform: sqs:SendMessage on resource" in told
    assert timed.parts.empty("unguarded")


@pytest.fixture(scope="module")
def timed(parts: Parts) -> Timed:
    template = Path(__file__).with_name("timed.yaml").read_text(encoding="utf-8")
    parts.client("cloudformation").create_stack(StackName="timed", TemplateBody=template)
    return Timed(parts)


class Timed:
    """A group, a queue with a policy, and the role that a schedule sends as."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.client = parts.client("scheduler")

    def create(self, name: str = "", **changes: Any) -> str:
        """The schedule's name."""
        name = name or uuid.uuid4().hex
        self.client.create_schedule(Name=name, **_request(**changes))
        return name

    def message(self, **changes: Any) -> Any:
        """What it sends when it fires."""
        told = uuid.uuid4().hex
        name = self.create(target={"Input": json.dumps(told)}, **changes)
        self.parts.cloud.fire_schedule("timed", name)
        return told


def _request(target: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    whole = {
        "GroupName": "timed",
        "ScheduleExpression": FAR,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": {
            "Arn": QUEUE,
            "RoleArn": ROLE,
            "Input": '"fired"',
            "DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:012345678912:undelivered"},
            **(target or {}),
        },
    }
    return {**whole, **changes}


def _schedule(at: str, zone: str = "UTC", **changes: Any) -> Any:
    known = {"state": "ENABLED", "fired": False, "last_modified_date": 0.0, "arn": "arn", **changes}
    return SimpleNamespace(schedule_expression=at, schedule_expression_timezone=zone, **known)


def _refused(call: Any, **request: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as refused:
        call(**request)
    error = refused.value.response
    told = error["Error"]
    return error["ResponseMetadata"]["HTTPStatusCode"], told["Code"], told["Message"]


def _asks(timed: Timed, call: str, request: dict[str, Any], service: str = "scheduler") -> str:
    event = json.dumps({"service": service, "call": call, "request": request})
    answer = timed.parts.client("lambda").invoke(FunctionName="holder", Payload=event)
    told = json.loads(answer["Payload"].read())
    assert isinstance(told, str), told
    return told
