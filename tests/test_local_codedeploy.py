"""The local AWS: CodeDeploy asks a deployment's hook, and moves the alias when the hook says so."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud import ALIAS, FUNCTION, WORDS
from tests.deployments import SAM_S_ROLE, Deployments
from tests.parts import Parts, until

SILENT = "CodeDeployHook_Silent"
ANSWERING = "CodeDeployHook_Answering"


@pytest.fixture(scope="module")
def shop(parts: Parts) -> Deployments:
    parts.cloud.publish_checkout()
    return Deployments(parts.cloud)


@pytest.fixture(autouse=True)
def _on_version_1(parts: Parts, shop: Deployments) -> Iterator[None]:
    yield
    _alias(parts, FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {}})
    parts.cloud.codedeploy()


# Whom it asks, and what it does then.


def test_without_a_hook_the_alias_is_moved_at_once_with_its_description(
    parts: Parts, shop: Deployments
) -> None:
    assert shop.ended(shop.start()) == ("Succeeded", "")
    alias = _alias(parts)
    assert (alias["FunctionVersion"], alias["Description"]) == ("2", WORDS)


def test_the_hook_is_told_which_deployment_and_execution_and_its_yes_moves_the_alias_once(
    parts: Parts, shop: Deployments
) -> None:
    deployment = shop.start(SILENT)
    execution = _asked(parts, deployment)
    before = _alias(parts)
    assert shop.status(deployment) == "InProgress" and before["FunctionVersion"] == "1"
    shop.answer(deployment, execution, "Succeeded")
    assert shop.ended(deployment) == ("Succeeded", "")
    assert _alias(parts)["FunctionVersion"] == "2"


def test_its_no_leaves_the_alias(parts: Parts, shop: Deployments) -> None:
    deployment = shop.start(SILENT)
    before = _alias(parts)
    shop.answer(deployment, _asked(parts, deployment), "Failed")
    assert shop.ended(deployment) == ("Failed", "HOOK_EXECUTION_FAILURE")
    assert _alias(parts)["RevisionId"] == before["RevisionId"]


def test_a_stop_leaves_the_alias_and_a_second_one_is_refused(
    parts: Parts, shop: Deployments
) -> None:
    deployment = shop.start(SILENT)
    execution = _asked(parts, deployment)
    before = _alias(parts)
    shop.codedeploy.stop_deployment(deploymentId=deployment)
    assert shop.ended(deployment) == ("Stopped", "MANUAL_STOP")
    with pytest.raises(ClientError, match="DeploymentAlreadyCompletedException"):
        shop.codedeploy.stop_deployment(deploymentId=deployment)
    with pytest.raises(ClientError, match="LifecycleEventAlreadyCompletedException"):
        shop.answer(deployment, execution, "Succeeded")
    assert _alias(parts)["RevisionId"] == before["RevisionId"]


def test_a_hook_that_does_not_answer_in_time_fails_the_deployment(
    parts: Parts, shop: Deployments
) -> None:
    parts.cloud.codedeploy(timeout=1.0)
    deployment = shop.start(SILENT)
    execution = _asked(parts, deployment)
    assert shop.ended(deployment) == ("Failed", "TIMEOUT")
    with pytest.raises(ClientError, match="LifecycleEventAlreadyCompletedException"):
        shop.answer(deployment, execution, "Succeeded")
    assert _alias(parts)["FunctionVersion"] == "1"


def test_a_split_alias_or_one_on_another_version_is_not_deployed_to(
    parts: Parts, shop: Deployments
) -> None:
    assert shop.ended(shop.start(current="3")) == ("Failed", "INVALID_LAMBDA_CONFIGURATION")
    _alias(parts, RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}})
    assert shop.ended(shop.start()) == ("Failed", "INVALID_LAMBDA_CONFIGURATION")
    assert _alias(parts)["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.1}}


def test_nor_one_that_somebody_has_moved_while_the_hook_was_asked(
    parts: Parts, shop: Deployments
) -> None:
    deployment = shop.start(SILENT)
    execution = _asked(parts, deployment)
    _alias(parts, FunctionVersion="3")
    shop.answer(deployment, execution, "Succeeded")
    assert shop.ended(deployment) == ("Failed", "INVALID_LAMBDA_CONFIGURATION")
    assert _alias(parts)["FunctionVersion"] == "3"


# What is refused.


@pytest.mark.parametrize(
    ("about", "error"),
    [
        ({"status": "InProgress"}, "InvalidLifecycleEventHookExecutionStatusException"),
        ({"status": "Done"}, "InvalidLifecycleEventHookExecutionStatusException"),
        ({"execution": "of-another"}, "InvalidLifecycleEventHookExecutionIdException"),
        ({"deployment": "d-ABCDEF123"}, "DeploymentDoesNotExistException"),
        ({"deployment": "nonsense"}, "InvalidDeploymentIdException"),
        ({"deployment": ""}, "DeploymentIdRequiredException"),
    ],
)
def test_a_wrong_answer_is_refused_and_the_right_one_still_taken(
    parts: Parts, shop: Deployments, about: dict[str, str], error: str
) -> None:
    deployment = shop.start(SILENT)
    right = {
        "deployment": deployment,
        "execution": _asked(parts, deployment),
        "status": "Succeeded",
    }
    with pytest.raises(ClientError, match=error):
        shop.answer(**right | about)
    shop.answer(**right)
    assert shop.ended(deployment) == ("Succeeded", "")


def test_a_second_answer_is_refused(parts: Parts, shop: Deployments) -> None:
    deployment = shop.start(SILENT)
    execution = _asked(parts, deployment)
    shop.answer(deployment, execution, "Failed")
    with pytest.raises(ClientError, match="LifecycleEventAlreadyCompletedException"):
        shop.answer(deployment, execution, "Succeeded")
    assert shop.ended(deployment)[0] == "Failed"


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "1.0"},
        {"Resources": []},
        {"Resources": [{"checkout": {"Type": "AWS::ECS::Service", "Properties": {}}}]},
        {"Resources": [{"checkout": {"Type": "AWS::Lambda::Function", "Properties": {}}}]},
        {"Hooks": [{"AfterAllowTraffic": SILENT}]},
    ],
)
def test_a_revision_of_another_form_is_refused(shop: Deployments, changes: Any) -> None:
    with pytest.raises(ClientError, match="InvalidRevisionException"):
        shop.start(**changes)


def test_so_is_one_of_another_type_and_traffic_that_is_not_known(shop: Deployments) -> None:
    s3 = {"revisionType": "S3", "s3Location": {"bucket": "any", "key": "any"}}
    with pytest.raises(ClientError, match="InvalidRevisionException"):
        shop.create("{}", revision=s3)
    with pytest.raises(ClientError, match="InvalidRevisionException"):
        shop.create("version: 0.0")
    with pytest.raises(ClientError, match="InvalidDeploymentConfigNameException"):
        shop.create(_spec(), deploymentConfigName="CodeDeployDefault.LambdaCanary10Percent5Minutes")


def test_a_revision_may_be_of_the_type_string(parts: Parts, shop: Deployments) -> None:
    deployment = shop.create(
        "", revision={"revisionType": "String", "string": {"content": _spec()}}
    )
    assert shop.ended(deployment) == ("Succeeded", "")
    revision = shop.about(deployment)["revision"]
    assert json.loads(revision["string"]["content"])["version"] == 0.0


# Who may.


def test_a_hook_may_answer_for_the_groups_that_its_role_names(
    parts: Parts, shop: Deployments
) -> None:
    assert shop.ended(shop.start(ANSWERING)) == ("Succeeded", "")
    _alias(parts, FunctionVersion="1")
    other = Deployments(parts.cloud, "other")
    deployment = other.start(ANSWERING)

    def refused() -> list[str]:
        return [line for _, line in parts.log(ANSWERING) if line.startswith(deployment)]

    (told,) = until(refused)
    assert "AccessDenied" in told and "deploymentgroup:other/group" in told
    assert other.status(deployment) == "InProgress"
    other.codedeploy.stop_deployment(deploymentId=deployment)


def test_the_service_role_invokes_no_function_whose_name_does_not_say_that_it_is_a_hook(
    shop: Deployments,
) -> None:
    assert shop.ended(shop.start("worker")) == ("Failed", "IAM_ROLE_PERMISSIONS")
    assert shop.ended(shop.start("CodeDeployHook_Nobody")) == ("Failed", "HOOK_EXECUTION_FAILURE")


def test_without_its_permission_it_moves_no_alias(parts: Parts, shop: Deployments) -> None:
    powerless = Deployments(parts.cloud, "powerless", SAM_S_ROLE[1:])
    assert powerless.ended(powerless.start()) == ("Failed", "IAM_ROLE_PERMISSIONS")
    assert _alias(parts)["FunctionVersion"] == "1"


def _asked(parts: Parts, deployment: str) -> str:
    """The execution that the silent hook was asked to answer for; it was asked once."""

    def events() -> list[Any]:
        told = [json.loads(line) for _, line in parts.log(SILENT)]
        return [event for event in told if event["DeploymentId"] == deployment]

    (event,) = until(events)
    assert event.keys() == {"DeploymentId", "LifecycleEventHookExecutionId"}
    return str(event["LifecycleEventHookExecutionId"])


def _alias(parts: Parts, **request: Any) -> dict[str, Any]:
    """As it is, or as an operator makes it."""
    lambda_ = parts.client("lambda")
    if request:
        return dict(lambda_.update_alias(FunctionName=FUNCTION, Name=ALIAS, **request))
    return dict(lambda_.get_alias(FunctionName=FUNCTION, Name=ALIAS))


def _spec() -> str:
    properties = {
        "Name": FUNCTION,
        "Alias": ALIAS,
        "CurrentVersion": "1",
        "TargetVersion": "2",
    }
    resource = {"Type": "AWS::Lambda::Function", "Properties": properties}
    return json.dumps({"version": 0.0, "Resources": [{FUNCTION: resource}]})
