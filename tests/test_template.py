"""What the template makes of the deployer on AWS, and how install.sh calls SAM."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from local.cloud import ROOT
from local.strict import _NoManagedPolicies
from tests.world import World


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    """The resources that SAM makes of the template."""
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    template = yaml_parse((ROOT / "template.yaml").read_text())
    for function in ("SimpleDeployFunction", "DeployWorkflowFunction"):
        template["Resources"][function]["Properties"]["CodeUri"] = "s3://bucket/key"
    template["Resources"]["DeployStateMachine"]["Properties"]["DefinitionUri"] = "s3://bucket/definition"
    parameters = {name: about["Default"] for name, about in template["Parameters"].items()}
    return dict(transform(template, parameters, _NoManagedPolicies())["Resources"])


def _properties(resources: dict[str, Any], name: str) -> dict[str, Any]:
    return dict(resources[name]["Properties"])


def test_the_function_is_the_one_that_users_know(resources: dict[str, Any]) -> None:
    function = _properties(resources, "SimpleDeployFunction")
    assert function["FunctionName"] == "SimpleDeployFunction"
    assert (function["Timeout"], function["Runtime"], function["Architectures"]) == (900, "python3.13", ["arm64"])
    assert resources["DeployStateMachine"]["Type"] == "AWS::StepFunctions::StateMachine"


def test_a_failed_rollout_is_not_run_again_on_the_qualifier_that_users_invoke(resources: dict[str, Any]) -> None:
    config = _properties(resources, "SimpleDeployFunctionEventInvokeConfig")
    assert (config["Qualifier"], config["MaximumRetryAttempts"]) == ("$LATEST", 0)
    assert 60 <= config["MaximumEventAgeInSeconds"] <= 900


@pytest.mark.parametrize("name", ["SimpleDeployFunction", "DeployWorkflowFunction"])
def test_a_log_group_is_kept_for_a_while_and_collides_with_none(resources: dict[str, Any], name: str) -> None:
    group = _properties(resources, f"{name}LogGroup")
    assert group == {"RetentionInDays": {"Ref": "LogRetentionInDays"}}
    assert _properties(resources, name)["LoggingConfig"]["LogGroup"] == {"Ref": f"{name}LogGroup"}


def test_only_the_function_hands_over_and_only_to_our_state_machine(resources: dict[str, Any]) -> None:
    variables = _properties(resources, "SimpleDeployFunction")["Environment"]["Variables"]
    assert variables == {"DEPLOY_STATE_MACHINE_ARN": {"Ref": "DeployStateMachine"}}
    assert "Environment" not in _properties(resources, "DeployWorkflowFunction")
    (statement,) = _statements(resources, "SimpleDeployFunctionRole", "HandOver")
    assert statement["Resource"] == {"Ref": "DeployStateMachine"}


def test_the_state_machine_gives_a_task_more_time_than_the_function_takes(resources: dict[str, Any]) -> None:
    definition = json.loads((ROOT / "statemachine" / "deploy.asl.json").read_text())
    timeouts = {state["TimeoutSeconds"] for state in definition["States"].values() if state["Type"] == "Task"}
    assert min(timeouts) > _properties(resources, "DeployWorkflowFunction")["Timeout"]


def _statements(resources: dict[str, Any], role: str, policy: str = "") -> list[dict[str, Any]]:
    """The role's own statements, of one policy or of all, and those of our managed policy that it names."""
    properties = _properties(resources, role)
    policies = [each["PolicyDocument"] for each in properties["Policies"] if policy in ("", each["PolicyName"])]
    if not policy:
        ours = [reference["Ref"] for reference in properties.get("ManagedPolicyArns", [])]
        policies += [_properties(resources, name)["PolicyDocument"] for name in ours]
    return [statement for document in policies for statement in document["Statement"]]


def _actions(statements: list[dict[str, Any]]) -> set[str]:
    actions = [statement["Action"] for statement in statements]
    return {each for action in actions for each in (action if isinstance(action, list) else [action])}


PLATFORM = {"logs:CreateLogStream", "logs:PutLogEvents"}


def _called(world: World) -> set[str]:
    return {f"cloudwatch:{call}" if call == "GetMetricData" else f"lambda:{call}" for call in world.calls}


def test_the_roles_allow_what_a_rollout_calls_and_nothing_else(resources: dict[str, Any]) -> None:
    loop, machine = World(), World()
    loop.deploy(steps=2, interval=30)
    event = {"function-name": "checkout", "alias-name": "live", "new-version": "8", "steps": 2, "interval": 30}
    machine.execute(json.loads((ROOT / "statemachine" / "deploy.asl.json").read_text()), event)
    allowed = _actions(_statements(resources, "SimpleDeployFunctionRole"))
    assert allowed == _called(loop) | PLATFORM | {"states:StartExecution"}
    assert _actions(_statements(resources, "DeployWorkflowFunctionRole")) == _called(machine) | PLATFORM
    assert _actions(_statements(resources, "StateMachineExecutionRole")) == {"lambda:InvokeFunction"}


def test_the_targets_are_narrowed_by_the_parameter(resources: dict[str, Any]) -> None:
    roles = [name for name, resource in resources.items() if resource["Type"] == "AWS::IAM::Role"]
    assert len(roles) == 3
    for role in roles:
        for statement in _statements(resources, role):
            if "lambda:UpdateAlias" in statement["Action"]:
                arns = [resource["Fn::Sub"] for resource in statement["Resource"]]
                assert all(":function:${TargetFunctions}" in arn for arn in arns)
            elif statement["Resource"] == "*":
                assert statement["Action"] == "cloudwatch:GetMetricData"


def test_the_outputs_name_what_to_start_and_where_it_logs() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    names = {"FunctionName", "FunctionArn", "LogGroupName", "StateMachineArn", "WorkflowLogGroupName"}
    assert set(template["Outputs"]) == names


@pytest.mark.parametrize("bucket", ["my-bucket", None])
def test_install_sh_builds_and_deploys_with_and_without_a_bucket(bucket: str | None, tmp_path: Path) -> None:
    recorder, record = tmp_path / "sam", tmp_path / "calls"
    recorder.write_text(f'#!/bin/sh\necho "$@" >> {record}\n')
    recorder.chmod(0o755)
    environment = {**os.environ, "SAM": str(recorder), "STACK_NAME": "mine"}
    environment.pop("BUCKET_NAME", None)
    if bucket:
        environment["BUCKET_NAME"] = bucket
    arguments = ["--parameter-overrides", "TargetFunctions=checkout-*"]
    subprocess.run([ROOT / "install.sh", *arguments], env=environment, check=True, capture_output=True)
    where = f"--s3-bucket {bucket}" if bucket else "--resolve-s3"
    assert record.read_text().splitlines() == [
        "build",
        f"deploy --stack-name mine {where} --parameter-overrides TargetFunctions=checkout-*",
    ]


def test_a_failed_build_is_not_deployed(tmp_path: Path) -> None:
    recorder, record = tmp_path / "sam", tmp_path / "calls"
    recorder.write_text(f'#!/bin/sh\necho "$@" >> {record}\nexit 3\n')
    recorder.chmod(0o755)
    environment = {**os.environ, "SAM": str(recorder)}
    done = subprocess.run([ROOT / "install.sh"], env=environment, capture_output=True, check=False)
    assert (done.returncode, record.read_text()) == (3, "build\n")
