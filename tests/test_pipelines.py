"""docs/pipelines.md: every block does what it says, as far as it can be played without the vendor,
and its payload is one; the policies let in what the command calls, and nothing else."""

import ast
import json
import re
import shlex
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.decisions.errors import InvalidRollout
from deployer.decisions.rollout import Rollout
from lambda_rollout import github, request
from lambda_rollout.options import STACK
from tests.runner import ACTION
from tests.test_docs import BLOCK, BY_NAME
from world.aws import HERE

PAGE = BY_NAME["pipelines.md"]


def block(title: str, kind: str) -> str:
    """The only one of its kind under the heading."""
    section = re.split(r"^#+ ", PAGE.split(f" {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    (text,) = [text for name, text in BLOCK.findall(section) if name == kind]
    return str(text)


# GitHub.
def test_the_workflow_uses_the_action_with_inputs_that_it_has_and_a_rollout_that_is_one() -> None:
    workflow = yaml.safe_load(block("GitHub Actions", "yaml"))
    steps = workflow["jobs"]["release"]["steps"]
    (publish,) = [each for each in steps if each.get("id") == "publish"]
    (rollout,) = [each for each in steps if "aws-lambda-deploy" in each.get("uses", "")]
    assert rollout["with"].keys() <= ACTION["inputs"].keys()
    assert workflow["permissions"]["id-token"] == "write"
    assert rollout["with"]["new-version"] == "${{ steps.publish.outputs.version }}"
    assert 'echo "version=' in publish["run"]
    event = github.payload({**rollout["with"], "new-version": "8"}, "GitHub")
    assert Rollout.from_event(event, HERE).health_check
    assert "uses: OWNER/aws-lambda-deploy@main" in PAGE


@pytest.mark.parametrize(
    ("header", "of"), [("input | default |", "inputs"), ("output |", "outputs")]
)
def test_the_tables_of_inputs_and_outputs_are_the_action_s(header: str, of: str) -> None:
    rows = PAGE.split(f"| {header} |\n", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    named = {row.split("`")[1]: row for row in rows}
    known = ACTION[of]
    if of == "outputs":
        assert named.keys() == known.keys()
        return
    assert named.keys() == {*github.OWN, "started-by"} <= known.keys()
    assert known["wait"]["default"] == "true" and "| `true` |" in named["wait"]
    assert f"`{STACK}`" in named["stack"]


# The role.
def policies() -> tuple[dict[str, Any], dict[str, Any]]:
    """Trust and permissions, as the commands give them."""
    words = shlex.split(block("The role", "bash"))
    trust = json.loads(words[words.index("--assume-role-policy-document") + 1])
    permissions = json.loads(words[words.index("--policy-document") + 1])
    return trust, permissions


def test_the_role_may_do_what_the_command_needs_and_nothing_else() -> None:
    """By the table in docs/cli.md."""
    _, permissions = policies()
    allowed = {}
    for statement in permissions["Statement"]:
        assert statement["Effect"] == "Allow"
        allowed[statement["Action"]] = statement["Resource"]
    assert allowed.keys() == needed()
    everything = [action for action, resource in allowed.items() if resource == "*"]
    assert everything == ["cloudwatch:GetMetricData"], "which knows no resources"
    assert allowed["lambda:InvokeFunction"].endswith(":function:SimpleDeployFunction")
    assert allowed["cloudformation:DescribeStacks"].endswith(f":stack/{STACK}/*")
    assert allowed["logs:FilterLogEvents"].endswith(f":log-group:{STACK}-*")
    unqualified, qualified = allowed["lambda:GetAlias"]
    assert qualified == f"{unqualified}:*"


def needed() -> set[str]:
    """What starting and following a rollout needs a permission for."""
    table = BY_NAME["cli.md"].split("## Permissions", 1)[1].split("\n\n")[1]
    actions = set()
    for row in table.splitlines()[2:]:
        action, on, verbs = (cell.strip() for cell in row.split("|")[1:4])
        for_start = "`start`" in verbs or "follows a rollout" in verbs
        if verbs.startswith("all"):
            for_start = "`start`" not in verbs  # "all but …"
        if for_start and "needs no permission" not in on:
            actions.add(action.strip("`"))
    return actions


def test_the_role_is_taken_by_one_branch_of_one_repository() -> None:
    trust, _ = policies()
    (statement,) = trust["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    issuer = "token.actions.githubusercontent.com"
    assert statement["Principal"]["Federated"].endswith(f":oidc-provider/{issuer}")
    assert statement["Condition"] == {
        "StringEquals": {
            f"{issuer}:aud": "sts.amazonaws.com",
            f"{issuer}:sub": "repo:shop/checkout:ref:refs/heads/main",
        }
    }
    assert f"--url https://{issuer} --client-id-list sts.amazonaws.com" in PAGE


def test_the_role_s_log_groups_are_the_stack_s() -> None:
    """They are named by CloudFormation, after the stack."""
    template = (Path(github.__file__).parent.parent / "template.yaml").read_text()
    assert "LogGroupName:" in template and not re.search(r"^ {6}LogGroupName:", template, re.M)


# Other pipelines.
@pytest.mark.parametrize(
    ("title", "who"), [("CodeBuild", "CodeBuild build:7"), ("GitLab CI", "GitLab job 7")]
)
def test_a_pipeline_publishes_a_version_and_rolls_it_out(
    tmp_path: Path, title: str, who: str
) -> None:
    file = yaml.safe_load(block(title, "yaml"))
    if title == "CodeBuild":
        script = [line for phase in file["phases"].values() for line in phase["commands"]]
    else:
        script = file["release"]["script"]
        trusted = file["release"]["variables"]["AWS_WEB_IDENTITY_TOKEN_FILE"]
        script[0] = script[0].replace('"$AWS_WEB_IDENTITY_TOKEN_FILE"', str(tmp_path / "token"))
        assert trusted.startswith("/")
    asked = played(tmp_path, "\n".join(script))
    (command,) = [words for words in asked if words[0] == "lambda-rollout"]
    assert command[1] == "start"
    options = [name.removeprefix("--").replace("-", "_") for name in command[2::2]]
    event = request.payload(dict(zip(options, command[3::2], strict=True)), {})
    rollout = request.check(event, "eu-west-1")
    assert (rollout.target, rollout.new_version) == (("checkout", "live"), "8")
    assert rollout.started_by == who


def test_the_state_machine_is_started_and_waited_for_without_our_command(tmp_path: Path) -> None:
    asked = played(tmp_path, block("Without installing anything", "bash"))
    (start,) = [words for words in asked if "start-execution" in words]
    event = json.loads(start[start.index("--input") + 1])
    assert Rollout.from_event(event, HERE).new_version == "8"
    assert start[start.index("--name") + 1] == "checkout-8-7"


def played(folder: Path, script: str) -> list[list[str]]:
    """What the script calls, where AWS publishes version 8 and every execution succeeds."""
    tools = folder / "bin"
    tools.mkdir()
    log = folder / "log"
    answers = "*publish-version*) echo 8;; *start-execution*) echo arn;; *status*) echo SUCCEEDED;;"
    for name in ("aws", "pip", "lambda-rollout"):
        tool = tools / name
        tool.write_text(
            f'#!/bin/bash\nprintf "%s\\0" {name} "$@" $\'\\n\' >> {shlex.quote(str(log))}\n'
            f'case "$*" in {answers} esac\n'
        )
        tool.chmod(0o755)
    variables = {
        "PATH": f"{tools}:/usr/bin:/bin",
        "STATE_MACHINE": "arn",
        "BUILD_ID": "7",
        "CODEBUILD_BUILD_ID": "build:7",
        "CI_JOB_ID": "7",
        "AWS_TOKEN": "token",
    }
    done = subprocess.run(
        ["bash", "-e", "-c", script], env=variables, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    calls = log.read_text().split("\0\n\0")
    return [call.split("\0") for call in calls if call]


# Terraform.
def hcl() -> dict[str, str]:
    """The resources of the page, by type."""
    text = block("Terraform", "hcl")
    found = re.findall(r'^resource "(\w+)" "live" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL)
    return dict(found)


def test_terraform_invokes_the_deployer_with_a_rollout_that_fits_into_five_minutes() -> None:
    event = terraform_input()
    rollout = Rollout.from_event(event, HERE)
    assert 'function_name = "SimpleDeployFunction"' in hcl()["aws_lambda_invocation"]
    longest = len(rollout.weights) * rollout.interval + rollout.health_check.settle
    assert longest <= 300


def test_terraform_s_crud_would_be_refused() -> None:
    with pytest.raises(InvalidRollout, match='"tf" is not a key'):
        Rollout.from_event({**terraform_input(), "tf": {"action": "create"}}, HERE)


def test_terraform_leaves_to_the_deployer_what_the_deployer_moves() -> None:
    (ignored,) = re.findall(r"ignore_changes = \[(.*)\]", hcl()["aws_lambda_alias"])
    assert ignored.split(", ") == ["function_version", "routing_config", "description"]
    owners = BY_NAME["alias-owners.md"]
    assert f"ignore_changes = [{ignored}]" in owners


def terraform_input() -> dict[str, Any]:
    """What `jsonencode` makes of the block."""
    (body,) = re.findall(
        r"input = jsonencode\((\{.*\})\)", hcl()["aws_lambda_invocation"], re.DOTALL
    )
    known = {
        "aws_lambda_alias.live.function_name": "checkout",
        "aws_lambda_alias.live.name": "live",
        "aws_lambda_function.checkout.version": "8",
    }
    for reference, value in known.items():
        assert reference in body
        body = body.replace(reference, json.dumps(value))
    pairs = re.sub(r'^(\s*"[\w-]+"\s*)= (.*)$', r"\1: \2,", body, flags=re.MULTILINE)
    pairs = re.sub(r'\{ ("\w+") = ', r"{ \1 : ", pairs)
    read: dict[str, Any] = json.loads(re.sub(r",\s*\}$", "}", pairs))
    return read


# CDK.
def test_the_cdk_s_lines_are_python_and_name_the_hook() -> None:
    text = block("CDK", "python")
    tree = ast.parse(textwrap.dedent(text))
    constants = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert "CodeDeployHook_Rollout" in constants
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    (group,) = [each for each in calls if ast.unparse(each.func).endswith("LambdaDeploymentGroup")]
    assert {each.arg for each in group.keywords} == {"alias", "deployment_config", "pre_hook"}


# The table of lines.
def test_the_table_counts_the_lines_that_stand_in_the_docs() -> None:
    table = PAGE.split("## Beside CodeDeploy's own", 1)[1].split("\n\n")[1].splitlines()[2:]
    codedeploy, alarm, hook, action, terraform = (row.split("|")[2:4] for row in table)
    before, _, _, in_globals, *_ = [
        text for _, text in BLOCK.findall(BY_NAME["from-deployment-preference.md"])
    ]
    in_function = lines(in_globals.split("Function:\n", 1)[1])
    assert codedeploy[0].split()[0] == hook[0].split()[0] == str(in_function)
    own = before.split("  CheckoutErrors:\n", 1)[1]
    preference = before.split("      DeploymentPreference:\n", 1)[1].split("      Events:")[0]
    assert alarm[0].split()[0] == str(1 + lines(own) + 1 + lines(preference))
    uses = block("GitHub Actions", "yaml").split("- uses: OWNER", 1)[1]
    assert f"{lines(uses)} for each function" in action[1]
    invocation = block("Terraform", "hcl").split('resource "aws_lambda_invocation"', 1)[1]
    assert terraform[0].split()[0] == str(lines(invocation))


def lines(text: str) -> int:
    return sum(1 for line in text.splitlines() if line.strip())
