"""What the template makes of the deployer on AWS, and how install.sh calls SAM."""

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
    template["Resources"]["SimpleDeployFunction"]["Properties"]["CodeUri"] = "s3://bucket/key"
    parameters = {name: about["Default"] for name, about in template["Parameters"].items()}
    return dict(transform(template, parameters, _NoManagedPolicies())["Resources"])


def _only(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = [resource["Properties"] for resource in resources.values() if resource["Type"] == kind]
    return dict(found)


def test_the_function_is_the_one_that_users_know(resources: dict[str, Any]) -> None:
    function = _only(resources, "AWS::Lambda::Function")
    assert function["FunctionName"] == "SimpleDeployFunction"
    assert (function["Timeout"], function["Runtime"], function["Architectures"]) == (900, "python3.13", ["arm64"])


def test_a_failed_rollout_is_not_run_again_on_the_qualifier_that_users_invoke(resources: dict[str, Any]) -> None:
    config = _only(resources, "AWS::Lambda::EventInvokeConfig")
    assert (config["Qualifier"], config["MaximumRetryAttempts"]) == ("$LATEST", 0)
    assert 60 <= config["MaximumEventAgeInSeconds"] <= 900


def test_the_log_group_is_kept_for_a_while_and_collides_with_none(resources: dict[str, Any]) -> None:
    group = _only(resources, "AWS::Logs::LogGroup")
    assert group["RetentionInDays"] == {"Ref": "LogRetentionInDays"}
    assert "LogGroupName" not in group
    function = _only(resources, "AWS::Lambda::Function")
    assert function["LoggingConfig"]["LogGroup"] == {"Ref": "SimpleDeployFunctionLogGroup"}


def test_the_role_allows_what_a_rollout_calls_and_nothing_else(resources: dict[str, Any]) -> None:
    role = _only(resources, "AWS::IAM::Role")
    assert "ManagedPolicyArns" not in role
    statements = [statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]
    allowed: set[str] = set()
    for statement in statements:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        allowed.update(actions)
    world = World()
    world.deploy(steps=2, interval=30)
    called = {f"cloudwatch:{call}" if call == "GetMetricData" else f"lambda:{call}" for call in world.calls}
    assert allowed - called == {"logs:CreateLogStream", "logs:PutLogEvents"}  # the platform's own
    assert called <= allowed


def test_the_targets_are_narrowed_by_the_parameter(resources: dict[str, Any]) -> None:
    role = _only(resources, "AWS::IAM::Role")
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            if "lambda:UpdateAlias" in statement["Action"]:
                arns = [resource["Fn::Sub"] for resource in statement["Resource"]]
                assert all(":function:${TargetFunctions}" in arn for arn in arns)
            elif statement["Resource"] == "*":
                assert statement["Action"] == "cloudwatch:GetMetricData"


def test_the_outputs_name_the_function_and_its_log() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    assert set(template["Outputs"]) == {"FunctionName", "FunctionArn", "LogGroupName"}


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
