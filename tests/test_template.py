"""What the template makes of the deployer on AWS, and how install.sh calls SAM."""

import contextlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from deployer import aws, tell, watchdog
from deployer.decisions import errors
from deployer.decisions.errors import DeployError
from local.cloud import ROOT
from local.templates import NoManagedPolicies
from world.codedeploy import MOST_DELIVERIES, REDELIVERY, TIMEOUT, DeployingWorld
from world.delivery import deliver_all, watch
from world.faults import Killed
from world.machine import SOURCE, STATE_MACHINE, FakeStepFunctions, Machine
from world.world import FakeClients, World

FUNCTIONS = (
    "SimpleDeployFunction",
    "DeployWorkflowFunction",
    "WatchdogFunction",
    "CodeDeployHookFunction",
)


def test_the_function_is_the_one_that_users_know(resources: dict[str, Any]) -> None:
    function = _properties(resources, "SimpleDeployFunction")
    assert function["FunctionName"] == "SimpleDeployFunction"
    assert (function["Timeout"], function["Runtime"], function["Architectures"]) == (
        900,
        "python3.13",
        ["arm64"],
    )
    assert resources["DeployStateMachine"]["Type"] == "AWS::StepFunctions::StateMachine"


def test_a_failed_rollout_is_not_run_again_on_the_qualifier_that_users_invoke(
    resources: dict[str, Any],
) -> None:
    config = _properties(resources, "SimpleDeployFunctionEventInvokeConfig")
    assert (config["Qualifier"], config["MaximumRetryAttempts"]) == ("$LATEST", 0)
    assert 60 <= config["MaximumEventAgeInSeconds"] <= 900


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_log_group_is_kept_for_a_while_and_collides_with_none(
    resources: dict[str, Any], name: str
) -> None:
    group = _properties(resources, f"{name}LogGroup")
    assert group == {"RetentionInDays": {"Ref": "LogRetentionInDays"}}
    assert _properties(resources, name)["LoggingConfig"]["LogGroup"] == {"Ref": f"{name}LogGroup"}


def test_only_the_function_hands_over_and_only_to_our_state_machine(
    resources: dict[str, Any],
) -> None:
    variables = _properties(resources, "SimpleDeployFunction")["Environment"]["Variables"]
    assert variables == {
        "DEPLOY_STATE_MACHINE_ARN": {"Ref": "DeployStateMachine"},
        "LEASE_GROUP": {"Ref": "LeaseGroup"},
        "LEASE_QUEUE_ARN": {"Fn::GetAtt": ["LeaseQueue", "Arn"]},
        "LEASE_ROLE_ARN": {"Fn::GetAtt": ["LeaseRole", "Arn"]},
        "LEASE_DEAD_LETTER_ARN": {"Fn::GetAtt": ["WatchdogDeadLetterQueue", "Arn"]},
    }
    assert "Environment" not in _properties(resources, "DeployWorkflowFunction")
    (statement,) = _statements(resources, "SimpleDeployFunctionRole", "HandOver")
    assert statement["Resource"] == {"Ref": "DeployStateMachine"}


def test_every_setting_of_the_deployer_is_given_to_the_functions_that_read_it(
    resources: dict[str, Any],
) -> None:
    given = {
        name: set(_properties(resources, name).get("Environment", {}).get("Variables", {}))
        for name in FUNCTIONS
    }
    others = {"WATCHDOG_QUEUE_URL", "HOOK_QUEUE_URL", "HOOK_ROLLOUT"}
    assert given["SimpleDeployFunction"] == set(aws.VARIABLES) - others
    assert given["CodeDeployHookFunction"] == {
        "DEPLOY_STATE_MACHINE_ARN",
        "HOOK_QUEUE_URL",
        "HOOK_ROLLOUT",
    }
    assert given["WatchdogFunction"] == {
        "DEPLOY_STATE_MACHINE_ARN",
        "LEASE_GROUP",
        "WATCHDOG_QUEUE_URL",
    }


def test_the_state_machine_gives_a_task_more_time_than_the_function_takes(
    resources: dict[str, Any],
) -> None:
    timeouts = {
        state["TimeoutSeconds"] for state in SOURCE["States"].values() if state["Type"] == "Task"
    }
    assert min(timeouts) > _properties(resources, "DeployWorkflowFunction")["Timeout"]


#: What the platform itself does in a function's name: its log, an asynchronous invocation's record,
#: polling a queue.
LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
ON_FAILURE = {"sns:Publish", "sqs:SendMessage"}
POLL = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}


def test_the_roles_allow_what_is_called_and_nothing_else(
    resources: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = _by_the_loop(monkeypatch)
    machine = _by_the_state_machine()
    dog = _by_the_watchdog(monkeypatch)
    assert _actions(_statements(resources, "SimpleDeployFunctionRole")) == loop | LOG | ON_FAILURE
    assert _actions(_statements(resources, "DeployWorkflowFunctionRole")) == machine | LOG
    assert _actions(_statements(resources, "WatchdogFunctionRole")) == dog | LOG | POLL
    hook = _by_the_hook()
    own = {"sqs:SendMessage"} | LOG | POLL
    assert _actions(_statements(resources, "CodeDeployHookFunctionRole")) == hook | own
    assert _actions(_statements(resources, "StateMachineExecutionRole")) == {
        "lambda:InvokeFunction"
    }


def test_the_targets_are_narrowed_by_the_parameter(resources: dict[str, Any]) -> None:
    roles = [name for name, resource in resources.items() if resource["Type"] == "AWS::IAM::Role"]
    assert len(roles) == 6
    for role in roles:
        for statement in _statements(resources, role):
            if (
                "lambda:UpdateAlias" in statement["Action"]
                or "lambda:GetFunctionConfiguration" in statement["Action"]
                or "lambda:ListTags" in statement["Action"]
            ):
                arns = [resource["Fn::Sub"] for resource in statement["Resource"]]
                assert all(":function:${TargetFunctions}" in arn for arn in arns)
            elif statement["Resource"] == "*":
                assert statement["Action"] == [
                    "cloudwatch:GetMetricData",
                    "cloudwatch:DescribeAlarms",
                ]


def test_logs_are_read_of_the_targets_own_groups_and_of_those_that_are_named(
    resources: dict[str, Any],
) -> None:
    """AWS asks for a group's ARN with `:*` at its end; without that, a policy allows nothing."""
    for role in ("SimpleDeployFunctionRole", "DeployWorkflowFunctionRole"):
        (statement,) = [
            each
            for each in _statements(resources, role)
            if "logs:FilterLogEvents" in each["Action"]
        ]
        own, others = statement["Resource"]
        group = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group"
        assert own == {"Fn::Sub": f"{group}:/aws/lambda/${{TargetFunctions}}:*"}
        named = {"Fn::Sub": f"{group}:${{TargetLogGroups}}:*"}
        assert others == {"Fn::If": ["OtherLogGroups", named, {"Ref": "AWS::NoValue"}]}


def test_smoke_tests_and_records_of_failures_are_allowed_only_where_they_are_asked_for(
    resources: dict[str, Any],
) -> None:
    assert resources["SmokeTestPolicy"]["Condition"] == "SmokeTests"
    (statement,) = resources["SmokeTestPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Resource"]["Fn::Sub"].endswith(":function:${SmokeTestFunctions}:*")
    conditional = [
        each["Fn::If"]
        for each in _properties(resources, "SimpleDeployFunctionRole")["Policies"]
        if "Fn::If" in each
    ]
    assert [(condition, policy["PolicyName"]) for condition, policy, _ in conditional] == [
        ("OnFailure", "OnFailure")
    ]


def test_a_lease_s_role_sends_and_does_nothing_else(resources: dict[str, Any]) -> None:
    (statement,) = _statements(resources, "LeaseRole")
    assert statement["Action"] == "sqs:SendMessage"
    queues = [{"Fn::GetAtt": [name, "Arn"]} for name in ("LeaseQueue", "WatchdogDeadLetterQueue")]
    assert statement["Resource"] == queues
    (trust,) = _properties(resources, "LeaseRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    account = {"Ref": "AWS::AccountId"}
    group = {"Fn::GetAtt": ["LeaseGroup", "Arn"]}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": account, "aws:SourceArn": group}
    }


def test_only_scheduler_gets_that_role_and_only_our_group_s_schedules_are_touched(
    resources: dict[str, Any],
) -> None:
    schedules, role = _statements(resources, "SimpleDeployFunctionRole", "KeepLease")
    assert role["Resource"] == {"Fn::GetAtt": ["LeaseRole", "Arn"]}
    assert role["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
    (read,) = _statements(resources, "WatchdogFunctionRole", "ReadLeases")
    for statement in (schedules, read):
        assert statement["Resource"]["Fn::Sub"].endswith(
            ":${AWS::AccountId}:schedule/${LeaseGroup}/*"
        )


def test_a_lease_s_queue_takes_leases_alone(resources: dict[str, Any]) -> None:
    (others,) = _properties(resources, "LeaseQueuePolicy")["PolicyDocument"]["Statement"]
    assert (others["Effect"], others["Principal"], others["Action"]) == (
        "Deny",
        "*",
        "sqs:SendMessage",
    )
    # Where there is no such ARN, as with AWS's services, this is met, too.
    assert others["Condition"] == {
        "ArnNotEquals": {"aws:PrincipalArn": {"Fn::GetAtt": ["LeaseRole", "Arn"]}}
    }
    assert "DelaySeconds" not in _properties(resources, "LeaseQueue")


def test_the_watchdog_s_queue_takes_our_rules_events_and_an_operator_s_dead_letters(
    resources: dict[str, Any],
) -> None:
    (rules,) = _properties(resources, "WatchdogQueuePolicy")["PolicyDocument"]["Statement"]
    assert (rules["Effect"], rules["Principal"]) == ("Allow", {"Service": "events.amazonaws.com"})
    sources = [
        {"Fn::GetAtt": [name, "Arn"]} for name in ("ExecutionEndedRule", "LookForExecutionsRule")
    ]
    assert rules["Condition"] == {"ArnEquals": {"aws:SourceArn": sources}}


@pytest.mark.parametrize("name", ["LeaseQueue", "WatchdogQueue"])
def test_a_message_of_either_queue_is_redelivered_for_hours_and_then_raises_an_alarm(
    resources: dict[str, Any], name: str
) -> None:
    queue = _properties(resources, name)
    function = _properties(resources, "WatchdogFunction")
    assert (
        queue["SqsManagedSseEnabled"]
        and _properties(resources, "WatchdogDeadLetterQueue")["SqsManagedSseEnabled"]
    )
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
    hours = queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"] / 3600
    assert 4 <= hours <= 12 and queue["MessageRetentionPeriod"] > 2 * hours * 3600
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {
        "Fn::GetAtt": ["WatchdogDeadLetterQueue", "Arn"]
    }
    (dimension,) = _properties(resources, "WatchdogAlarm")["Dimensions"]
    assert dimension["Value"] == {"Fn::GetAtt": ["WatchdogDeadLetterQueue", "QueueName"]}
    mapping = _properties(resources, f"{name}ToFunction")
    assert (mapping["FunctionName"], mapping["BatchSize"]) == ({"Ref": "WatchdogFunction"}, 1)
    assert mapping["EventSourceArn"] == {"Fn::GetAtt": [name, "Arn"]}


def test_the_hook_is_there_only_where_it_is_asked_for_and_called_as_sam_s_role_wants_it(
    resources: dict[str, Any],
) -> None:
    hooked = [name for name in resources if "Hook" in name]
    assert len(hooked) == 5
    assert {resources[name].get("Condition") for name in hooked} == {"Hooked"}
    others = [name for name in resources if resources[name].get("Condition") == "Hooked"]
    assert others == hooked
    function = _properties(resources, "CodeDeployHookFunction")
    assert function["FunctionName"] == "CodeDeployHook_Rollout"
    assert function["RecursiveLoop"] == "Allow", "Lambda stops loops of more than 16 turns"
    template = yaml_parse((ROOT / "template.yaml").read_text())
    assert template["Parameters"]["CodeDeployHook"]["Default"] == "false"


def test_the_hook_s_default_is_a_rollout_that_fits_into_codedeploy_s_hour() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    default = template["Parameters"]["HookRollout"]["Default"]
    world = DeployingWorld(default=default, rate=0)
    deployment = world.deployment()
    world.play()
    assert deployment.answers == ["Succeeded"]


def test_the_hook_touches_its_own_executions_and_what_comes_again_comes_soon_and_for_an_hour(
    resources: dict[str, Any],
) -> None:
    _, executions = _statements(resources, "CodeDeployHookFunctionRole", "Rehearse")
    assert executions["Resource"]["Fn::Sub"].endswith(":${DeployStateMachine.Name}:CodeDeploy-*")
    queue = _properties(resources, "HookQueue")
    timeout = _properties(resources, "CodeDeployHookFunction")["Timeout"]
    assert (timeout, queue["VisibilityTimeout"]) == (TIMEOUT, REDELIVERY)
    assert queue["VisibilityTimeout"] > timeout and queue["SqsManagedSseEnabled"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == MOST_DELIVERIES
    assert MOST_DELIVERIES * REDELIVERY > 3600
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {
        "Fn::GetAtt": ["WatchdogDeadLetterQueue", "Arn"]
    }
    mapping = _properties(resources, "HookQueueToFunction")
    assert mapping["FunctionName"] == {"Ref": "CodeDeployHookFunction"}
    assert (mapping["BatchSize"], mapping["EventSourceArn"]) == (
        1,
        {"Fn::GetAtt": ["HookQueue", "Arn"]},
    )


def test_the_alarm_and_the_docs_say_the_command_that_has_the_watchdog_try_again(
    resources: dict[str, Any],
) -> None:
    command = "aws sqs start-message-move-task --source-arn {} --destination-arn {}"
    told = _properties(resources, "WatchdogAlarm")["AlarmDescription"]["Fn::Sub"]
    assert told.endswith(command.format("${WatchdogDeadLetterQueue.Arn}", "${WatchdogQueue.Arn}"))
    assert len(told) < 600, (
        "CloudWatch takes 1,024 characters, and the ARNs are longer than their names"
    )
    docs = (ROOT / "docs" / "events.md").read_text()
    assert command.format("WatchdogDeadLetterQueueArn", "WatchdogQueueArn") in docs
    outputs = yaml_parse((ROOT / "template.yaml").read_text())["Outputs"]
    for name in ("WatchdogDeadLetterQueue", "WatchdogQueue"):
        assert outputs[f"{name}Arn"]["Value"] == {"Fn::GetAtt": [name, "Arn"]}


def test_the_queue_s_delay_outlasts_a_task_and_the_schedule_finds_what_is_older(
    resources: dict[str, Any],
) -> None:
    task = max(state.get("TimeoutSeconds", 0) for state in SOURCE["States"].values())
    assert _properties(resources, "WatchdogQueue")["DelaySeconds"] > task
    assert task < watchdog.SAFE and watchdog.OLDEST - watchdog.SAFE >= 4 * 15 * 60
    assert (
        _properties(resources, "LookForExecutionsRule")["ScheduleExpression"] == "rate(15 minutes)"
    )


def test_the_endings_that_are_told_are_all_there_are(resources: dict[str, Any]) -> None:
    pattern = _properties(resources, "EndingsRule")["EventPattern"]
    assert (pattern["source"], pattern["detail-type"]) == ([tell.SOURCE], [tell.DETAIL_TYPE])
    kinds = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, DeployError)
    }
    assert set(pattern["detail"]["status"]) == kinds - {"DeployError"} | {
        "SUCCEEDED",
        "APPROVED",
        "ALREADY_DEPLOYED",
    }


def test_whoever_is_told_of_endings_is_told_of_alarms_and_only_where_it_is_asked_for(
    resources: dict[str, Any],
) -> None:
    told = {
        "ByEmail": {"Ref": "EndingsTopic"},
        "ByTopic": {"Ref": "NotifyTopicArn"},
        "ByChat": {"Ref": "NotifyChatTopicArn"},
    }
    targets = [each["Fn::If"] for each in _properties(resources, "EndingsRule")["Targets"]]
    assert {condition: target["Arn"] for condition, target, _ in targets} == told
    assert all("InputTransformer" in target for _, target, _ in targets)
    template = yaml_parse((ROOT / "template.yaml").read_text())
    assert template["Conditions"]["Notified"] == {
        "Fn::Or": [{"Condition": condition} for condition in told]
    }
    for name in ("WatchdogAlarm", "WatchdogFailsAlarm"):
        actions = [each["Fn::If"] for each in _properties(resources, name)["AlarmActions"]]
        assert {condition: arn for condition, arn, _ in actions} == told


def test_an_alarm_says_what_is_wrong_and_then_what_to_do_now(resources: dict[str, Any]) -> None:
    for name in ("WatchdogAlarm", "WatchdogFailsAlarm"):
        told = _properties(resources, name)["AlarmDescription"]["Fn::Sub"]
        assert told.startswith("An alias may still be split: ")
        assert re.search(r" What to do now: .* aws \w+ ", told)


def test_the_outputs_name_what_to_start_and_where_it_logs() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    names = {
        "FunctionName",
        "FunctionArn",
        "LogGroupName",
        "StateMachineArn",
        "WorkflowLogGroupName",
    }
    names |= {
        "WatchdogLogGroupName",
        "WatchdogDeadLetterQueueUrl",
        "WatchdogDeadLetterQueueArn",
        "WatchdogQueueArn",
    }
    names |= {"HookFunctionName", "HookLogGroupName"}
    assert set(template["Outputs"]) == names


@pytest.mark.parametrize("bucket", ["my-bucket", None])
def test_install_sh_builds_and_deploys_with_and_without_a_bucket(
    bucket: str | None, tmp_path: Path
) -> None:
    recorder = tmp_path / "sam"
    record = tmp_path / "calls"
    recorder.write_text(f'#!/bin/sh\necho "$@" >> {record}\n')
    recorder.chmod(0o755)
    environment = {**os.environ, "SAM": str(recorder), "STACK_NAME": "mine"}
    environment.pop("BUCKET_NAME", None)
    if bucket:
        environment["BUCKET_NAME"] = bucket
    arguments = ["--parameter-overrides", "TargetFunctions=checkout-*"]
    subprocess.run(
        [ROOT / "install.sh", *arguments], env=environment, check=True, capture_output=True
    )
    where = f"--s3-bucket {bucket}" if bucket else "--resolve-s3"
    assert record.read_text().splitlines() == [
        "build",
        f"deploy --stack-name mine {where} --parameter-overrides TargetFunctions=checkout-*",
    ]


def test_a_failed_build_is_not_deployed(tmp_path: Path) -> None:
    recorder = tmp_path / "sam"
    record = tmp_path / "calls"
    recorder.write_text(f'#!/bin/sh\necho "$@" >> {record}\nexit 3\n')
    recorder.chmod(0o755)
    environment = {**os.environ, "SAM": str(recorder)}
    done = subprocess.run([ROOT / "install.sh"], env=environment, capture_output=True, check=False)
    assert (done.returncode, record.read_text()) == (3, "build\n")


# -- what the stories need ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    """The resources that SAM makes of the template."""
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    template = yaml_parse((ROOT / "template.yaml").read_text())
    for function in FUNCTIONS:
        template["Resources"][function]["Properties"]["CodeUri"] = "s3://bucket/key"
    template["Resources"]["DeployStateMachine"]["Properties"]["DefinitionUri"] = (
        "s3://bucket/definition"
    )
    parameters = {name: about["Default"] for name, about in template["Parameters"].items()}
    return dict(transform(template, parameters, NoManagedPolicies())["Resources"])


def _properties(resources: dict[str, Any], name: str) -> dict[str, Any]:
    return dict(resources[name]["Properties"])


def _statements(resources: dict[str, Any], role: str, policy: str = "") -> list[dict[str, Any]]:
    """The role's own statements, of one policy or of all; those of our managed policies and of
    others that name it."""
    properties = _properties(resources, role)
    # The one under a condition counts as well.
    own = [each["Fn::If"][1] if "Fn::If" in each else each for each in properties["Policies"]]
    policies = [each["PolicyDocument"] for each in own if policy in ("", each["PolicyName"])]
    if not policy:
        ours = [reference["Ref"] for reference in properties.get("ManagedPolicyArns", [])]
        policies += [_properties(resources, name)["PolicyDocument"] for name in ours]
        attached = [
            resource["Properties"]
            for resource in resources.values()
            if resource["Type"] == "AWS::IAM::Policy"
        ]
        policies += [each["PolicyDocument"] for each in attached if {"Ref": role} in each["Roles"]]
    return [statement for document in policies for statement in document["Statement"]]


def _actions(statements: list[dict[str, Any]]) -> set[str]:
    actions = [statement["Action"] for statement in statements]
    return {
        each for action in actions for each in (action if isinstance(action, list) else [action])
    }


SERVICES = {
    **dict.fromkeys(
        ("GetAlias", "UpdateAlias", "GetFunctionConfiguration", "InvokeFunction", "ListTags"),
        "lambda",
    ),
    **dict.fromkeys(("GetMetricData", "DescribeAlarms"), "cloudwatch"),
    **dict.fromkeys(("StartExecution", "ListExecutions", "GetExecutionHistory"), "states"),
    **dict.fromkeys(("DescribeExecution", "StopExecution"), "states"),
    **dict.fromkeys(("GetDeployment", "PutLifecycleEventHookExecutionStatus"), "codedeploy"),
    "SendHookMessage": "sqs",
    **dict.fromkeys(
        ("CreateSchedule", "UpdateSchedule", "DeleteSchedule", "GetSchedule"), "scheduler"
    ),
    "GetProvisionedConcurrencyConfig": "lambda",
    "SendMessage": "sqs",
    "FilterLogEvents": "logs",
}

#: What AWS asks of a caller beside the call itself: the schedule is given a role.
IMPLIED = {"scheduler:CreateSchedule": "iam:PassRole", "scheduler:UpdateSchedule": "iam:PassRole"}

#: Every kind of check, so that every call is made.
CHECKS = {
    "errors": "baseline",
    "metrics": [
        {"namespace": "Shop", "name": "Orders", "dimensions": {"A": "b"}, "stat": "Sum", "above": 5}
    ],
    "alarms": ["checkout-errors"],
    "smoke-test": {},
    "min-invocations": 1,
}
EVENT = {
    "function-name": "checkout",
    "alias-name": "live",
    "new-version": "8",
    "steps": 2,
    "interval": 30,
}


def _world(**settings: Any) -> World:
    world = World(**settings)
    world.alarms = {"checkout-errors": "OK"}
    return world


def _called(world: World) -> set[str]:
    assert world.told, "every story is told"
    called = {f"{SERVICES[call]}:{call}" for call in world.calls}
    return called | {IMPLIED[call] for call in called & IMPLIED.keys()} | {"events:PutEvents"}


def _by_the_hook() -> set[str]:
    """One deployment that is approved, one that is refused, and one that is stopped."""
    worlds = [DeployingWorld(tag=tag) for tag in ("steps=2 interval=30", "nonsense")]
    for world in worlds:
        world.deployment()
        world.play()
    world = DeployingWorld(tag="steps=2 interval=60")
    deployment = world.deployment()
    world.at(80, lambda: world.stop(deployment))
    world.play()
    called = {"events:PutEvents"}
    for each in (*worlds, world):
        calls = [name for name, who, _ in each.callers if who == "hook"]
        called |= {f"{SERVICES[name]}:{name}" for name in calls}
    return {each.replace("SendHookMessage", "SendMessage") for each in called}


def _promote_by_hand(world: World) -> None:
    """AWS moves the alias's provisioned concurrency after it, which shows as a split the other way
    round."""
    world.provisioned = True
    world.update_alias(FunctionVersion="8", RoutingConfig={"AdditionalVersionWeights": {"7": 0.5}})


def _by_the_loop(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    monkeypatch.setenv("DEPLOY_STATE_MACHINE_ARN", STATE_MACHINE)
    called = set()
    promoted = _world()
    promoted.at(20, lambda: _promote_by_hand(promoted))
    worlds = (_world(), _world(errors={"8": 1.0}), _world(), promoted)
    for world, extra in zip(worlds, ({}, {}, {"interval": 3000}, {}), strict=True):
        clients = FakeClients(world)
        clients.stepfunctions = FakeStepFunctions(world)
        with contextlib.suppress(DeployError):
            world.invoke(
                {**EVENT, "health-check": {**CHECKS, "hold": 200}, **extra}, clients=clients
            )
        called |= _called(world)
    return called


def _by_the_state_machine() -> set[str]:
    good = _world()
    bad = _world(errors={"8": 1.0})
    promoted = _world()
    promoted.at(20, lambda: _promote_by_hand(promoted))
    for world in (good, bad, promoted):
        Machine(world, {**EVENT, "health-check": CHECKS}).run()
    return _called(good) | _called(bad) | _called(promoted)


def _dead() -> World:
    """A world whose deployer was killed in mid-rollout; the calls from now on are the
    watchdog's."""
    world = _world()
    world.at(20, world.kill)
    with pytest.raises(Killed):
        world.invoke(EVENT)
    world.dead = False
    assert world.alias.routing
    world.calls.clear()
    return world


def _by_the_watchdog(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    monkeypatch.setenv("DEPLOY_STATE_MACHINE_ARN", STATE_MACHINE)
    looked = _world()
    unstamped = _dead()
    promoted = _dead()
    stopped = Machine(looked, EVENT)
    looked.at(20, stopped.abort)
    stopped.run()
    assert looked.alias.routing
    looked.calls.clear()
    looked.advance(600)
    watch(looked, json.dumps({"detail-type": "Scheduled Event"}), [stopped])
    unstamped.update_alias(Description="Somebody has written over the stamp")  # it looks twice
    deliver_all(unstamped)
    _promote_by_hand(promoted)
    deliver_all(promoted)
    assert (looked.alias.routing, unstamped.alias.routing, promoted.alias.version) == ({}, {}, "8")
    return _called(looked) | _called(unstamped) | _called(promoted)
