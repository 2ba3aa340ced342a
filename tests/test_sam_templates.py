"""The SAM templates in the docs, as SAM translates them: none takes a reader's alias or its events.

A reader who comes from SAM has an alias in his stack, by `AutoPublishAlias`. Here each template of
the docs is deployed over such a stack: "before" is the same template with that alias, "after" is
what the docs say.
"""

import copy
import json
import re
from typing import Any

import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from local.templates import NoManagedPolicies
from tests.test_docs import blocks
from world.codedeploy import DeployingWorld


def templates() -> list[Any]:
    return [page for page in blocks("yaml") if "Resources" in yaml_parse(page.values[0])]


def test_the_docs_have_a_template() -> None:
    assert templates()


@pytest.mark.parametrize("text", templates())
def test_a_template_of_the_docs_takes_no_alias_and_no_event_source_from_a_reader(text: str) -> None:
    template = yaml_parse(text)
    before = deployed(with_alias(template))
    after = deployed(template)
    assert aliases(before), "a template without a function shows nothing"
    assert targets(before), "a template without events shows nothing"
    assert aliases(before) <= aliases(after)
    assert targets(before) == targets(after)


def test_versions_that_sam_published_are_kept_when_the_next_one_comes() -> None:
    (template, *_) = templates()
    resources = deployed(yaml_parse(template.values[0]))
    versions = [each for each in resources.values() if each["Type"] == "AWS::Lambda::Version"]
    assert [version["DeletionPolicy"] for version in versions] == ["Retain"]


def test_with_the_hook_the_alias_is_asked_for_before_it_is_moved_and_nothing_else_changes() -> None:
    """As the page on the hook has it: four lines in Globals, or a function's own."""
    page = [yaml_parse(each.values[0]) for each in blocks("yaml") if "codedeploy-hook" in each.id]
    (lines,) = [each for each in page if "Resources" not in each]
    (whole,) = [each for each in page if "Resources" in each]
    preference = lines["Globals"]["Function"]["DeploymentPreference"]
    assert whole["Resources"]["Checkout"]["Properties"]["DeploymentPreference"] == preference
    with_hook = copy.deepcopy(CHECKOUT)
    with_hook["Resources"]["Checkout"]["Properties"].pop("AutoPublishAlias")
    with_hook |= lines
    before = deployed(CHECKOUT)
    after = deployed(with_hook)
    policy = after["CheckoutAliaslive"].pop("UpdatePolicy")["CodeDeployLambdaAliasUpdate"]
    assert policy["BeforeAllowTrafficHook"] == "CodeDeployHook_Rollout"
    new = {name: each["Type"] for name, each in after.items() if name not in before}
    assert set(new.values()) == {
        "AWS::IAM::Role",
        "AWS::CodeDeploy::Application",
        "AWS::CodeDeploy::DeploymentGroup",
    }
    assert {name: after[name] for name in before} == before


def test_the_tag_of_the_page_is_a_rollout_that_fits() -> None:
    (whole,) = [
        yaml_parse(each.values[0])
        for each in blocks("yaml")
        if "codedeploy-hook" in each.id and "Resources" in each.values[0]
    ]
    tag = whole["Resources"]["Checkout"]["Properties"]["Tags"]["rollout"]
    world = DeployingWorld(tag=tag)
    deployment = world.deployment()
    world.play()
    assert deployment.answers == ["Succeeded"]
    assert world.history == [0.1, 0.5, 1.0, "7", "8"]


CHECKOUT = yaml_parse("""
Transform: AWS::Serverless-2016-10-31
Resources:
  Orders:
    Type: AWS::SQS::Queue
  Checkout:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src/
      Handler: app.handler
      Runtime: python3.13
      AutoPublishAlias: live
      Events:
        Orders:
          Type: SQS
          Properties: {Queue: !GetAtt Orders.Arn}
        Nightly:
          Type: Schedule
          Properties: {Schedule: rate(1 day)}
        Pay:
          Type: HttpApi
          Properties: {Path: /pay, Method: post}
""")

CALLERS = (
    *("CheckoutOrders", "CheckoutNightly", "CheckoutNightlyPermission"),
    *("CheckoutPayPermission", "ServerlessHttpApi"),
)


def test_without_auto_publish_alias_the_alias_goes_and_events_call_unpublished_code() -> None:
    before = deployed(CHECKOUT)
    after = deployed(without_alias(CHECKOUT))
    assert aliases(before) == {"CheckoutAliaslive"}
    assert before["CheckoutAliaslive"].get("DeletionPolicy", "Delete") == "Delete"
    assert targets(before) == {caller: {"CheckoutAliaslive"} for caller in CALLERS}
    assert aliases(after) == set()
    assert targets(after) == {caller: {"Checkout"} for caller in CALLERS}


# -- what the stories need ------------------------------------------------------------------------

Resources = dict[str, Any]

#: What a function and its alias are made of. What else names them calls them, or lets others call.
PARTS = ("AWS::Lambda::Function", "AWS::Lambda::Version", "AWS::Lambda::Alias")


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    """SAM's translator asks for one."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def deployed(template: dict[str, Any]) -> Resources:
    """The resources that SAM makes of it."""
    built = copy.deepcopy(template)
    for resource in built["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    return dict(transform(built, {}, NoManagedPolicies())["Resources"])


def with_alias(template: dict[str, Any]) -> dict[str, Any]:
    """The same with `AutoPublishAlias`, where a function has none of its own."""
    published = copy.deepcopy(template)
    function = published.setdefault("Globals", {}).setdefault("Function", {})
    function.setdefault("AutoPublishAlias", "live")
    return published


def without_alias(template: dict[str, Any]) -> dict[str, Any]:
    unpublished = copy.deepcopy(template)
    for resource in unpublished["Resources"].values():
        resource.get("Properties", {}).pop("AutoPublishAlias", None)
    return unpublished


def aliases(resources: Resources) -> set[str]:
    return {name for name, each in resources.items() if each["Type"] == "AWS::Lambda::Alias"}


def targets(resources: Resources) -> dict[str, set[str]]:
    """What each event source, permission and API calls: the functions and aliases that it names."""
    parts = {name for name, resource in resources.items() if resource["Type"] in PARTS}
    calls = {}
    for name, resource in resources.items():
        named = names(resource) & parts
        if name not in parts and named:
            calls[name] = named
    return calls


def names(value: Any) -> set[str]:
    """The logical ids that it refers to, by whichever intrinsic function."""
    found = set()
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("Ref", "Fn::GetAtt"):
                found.add(inner if isinstance(inner, str) else inner[0])
            if key == "Fn::Sub":
                found |= set(re.findall(r"\$\{([A-Za-z0-9]+)", json.dumps(inner)))
            found |= names(inner)
    if isinstance(value, list):
        for inner in value:
            found |= names(inner)
    return found
