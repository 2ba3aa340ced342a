"""docs/from-deployment-preference.md: a template goes from CodeDeploy to the hook in one deploy, and
back in one, as SAM translates it: no alias deleted, no event source bound anew."""

import copy
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from deployer.decisions.deployment import TAG, Deployment
from deployer.decisions.errors import RolloutTooLong
from deployer.decisions.rollout import Rollout
from deployer.decisions.target import Target
from deployer.hook import DEADLINE
from tests.test_docs import BLOCK, BY_NAME
from tests.test_sam_templates import Resources, aliases, deployed, targets
from world.aws import HERE
from world.codedeploy import DeployingWorld

PAGE = BY_NAME["from-deployment-preference.md"]
BEFORE, THERE, IN_GLOBALS = (
    yaml_parse(text) for kind, text in BLOCK.findall(PAGE) if kind == "yaml"
)

ALIAS = "CheckoutAliaslive"
HOOK = "CodeDeployHook_Rollout"


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    """SAM's translator asks for one."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def there() -> dict[str, Any]:
    """The template with the page's lines in the place of the function's old ones."""
    changed = copy.deepcopy(BEFORE)
    properties = changed["Resources"]["Checkout"]["Properties"]
    del properties["DeploymentPreference"], properties["AutoPublishAlias"]
    properties.update(THERE)
    del changed["Resources"]["CheckoutErrors"]
    return dict(changed)


def there_in_globals() -> dict[str, Any]:
    changed = copy.deepcopy(BEFORE)
    properties = changed["Resources"]["Checkout"]["Properties"]
    del properties["DeploymentPreference"], properties["AutoPublishAlias"]
    del changed["Resources"]["CheckoutErrors"]
    return {**changed, **IN_GLOBALS}


def at_once() -> dict[str, Any]:
    changed = copy.deepcopy(BEFORE)
    del changed["Resources"]["Checkout"]["Properties"]["DeploymentPreference"]
    return dict(changed)


def before() -> dict[str, Any]:
    return dict(BEFORE)


#: Each way is one deploy.
WAYS = {
    "there": (before, there),
    "there, in Globals": (before, there_in_globals),
    "back": (there, before),
    "back, from Globals": (there_in_globals, before),
    "there from no CodeDeploy": (at_once, there),
    "back to no CodeDeploy": (there, at_once),
}


@pytest.mark.parametrize("way", WAYS)
def test_one_deploy_there_or_back_deletes_no_alias_and_binds_no_caller_anew(way: str) -> None:
    old, new = (deployed(template()) for template in WAYS[way])
    assert aliases(old) == aliases(new) == {ALIAS}
    assert "CheckoutOrders" in targets(old) and "CheckoutNightly" in targets(old)
    assert _callers(old) == _callers(new)
    assert all(called == {ALIAS} for called in _callers(new).values())
    for name in ("CheckoutOrders", "CheckoutNightly", "CheckoutNightlyPermission"):
        assert old[name] == new[name]


@pytest.mark.parametrize("way", WAYS)
def test_without_new_code_neither_way_publishes_a_version_or_moves_the_alias(way: str) -> None:
    old, new = (deployed(template()) for template in WAYS[way])
    assert _versions(old) == _versions(new)
    assert old[ALIAS]["Properties"] == new[ALIAS]["Properties"]
    assert _without_tags(old["Checkout"]) == _without_tags(new["Checkout"])


@pytest.mark.parametrize("template", [there, there_in_globals])
def test_there_codedeploy_asks_the_hook_and_flips_the_alias_at_once(template: Any) -> None:
    resources = deployed(template())
    (policy,) = resources[ALIAS]["UpdatePolicy"].items()
    group = "CheckoutDeploymentGroup"
    assert policy == (
        "CodeDeployLambdaAliasUpdate",
        {
            "ApplicationName": {"Ref": "ServerlessDeploymentApplication"},
            "DeploymentGroupName": {"Ref": group},
            "BeforeAllowTrafficHook": HOOK,
        },
    )
    properties = resources[group]["Properties"]
    assert properties["DeploymentConfigName"]["Fn::Sub"][1] == {"ConfigName": "AllAtOnce"}
    assert "AlarmConfiguration" not in properties, "an alarm would stop the rehearsal"
    role = resources["CodeDeployServiceRole"]["Properties"]["ManagedPolicyArns"]
    assert [arn.rpartition("/")[2] for arn in role] == ["AWSCodeDeployRoleForLambda"], (
        "which may invoke what is named CodeDeployHook_ and something"
    )


def test_back_everything_is_as_it_was_before() -> None:
    resources = deployed(BEFORE)
    policy = resources[ALIAS]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    assert "BeforeAllowTrafficHook" not in policy
    properties = resources["CheckoutDeploymentGroup"]["Properties"]
    config = properties["DeploymentConfigName"]["Fn::Sub"][1]
    assert config == {"ConfigName": "Linear10PercentEvery1Minute"}
    assert properties["AlarmConfiguration"]["Alarms"] == [{"Name": {"Ref": "CheckoutErrors"}}]


def test_what_codedeploy_needs_is_kept_on_the_way() -> None:
    """Its application, group and role have the same names: none is made anew in mid-flight."""
    old = deployed(BEFORE)
    new = deployed(there())
    for name in ("ServerlessDeploymentApplication", "CodeDeployServiceRole"):
        assert old[name] == new[name]
    assert old["CheckoutDeploymentGroup"]["Type"] == new["CheckoutDeploymentGroup"]["Type"]
    assert old.keys() - new.keys() == {"CheckoutErrors"}
    assert new.keys() <= old.keys()


def test_a_function_s_own_preference_is_merged_with_that_of_globals() -> None:
    """So the page says to take it out."""
    both = deployed({**BEFORE, **IN_GLOBALS})
    policy = both[ALIAS]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    properties = both["CheckoutDeploymentGroup"]["Properties"]
    config = properties["DeploymentConfigName"]["Fn::Sub"][1]
    assert policy["BeforeAllowTrafficHook"] == HOOK
    assert config == {"ConfigName": "Linear10PercentEvery1Minute"}


def test_where_all_properties_are_watched_the_way_there_publishes_a_version() -> None:
    old = copy.deepcopy(BEFORE)
    new = there()
    for template in (old, new):
        template["Resources"]["Checkout"]["Properties"]["AutoPublishAliasAllProperties"] = True
    was = deployed(old)
    after = deployed(new)
    assert _versions(was) != _versions(after)
    assert aliases(was) == aliases(after)
    assert _callers(was) == _callers(after)


def test_the_tag_shifts_as_the_preference_did_and_is_what_an_alarm_on_errors_was() -> None:
    tag = THERE["Tags"][TAG]
    deployment = Deployment("d-1", Target("checkout", "live"), "7", "8")
    rollout, linear = _rollouts(deployment, tag, BEFORE)
    assert (rollout.weights, rollout.interval) == (linear.weights, linear.interval)
    world = DeployingWorld(tag=tag)
    played = world.deployment()
    world.play()
    assert played.answers == ["Succeeded"]
    assert world.history[-2:] == ["7", "8"], "given back, then moved by CodeDeploy"


#: Those that SAM knows, beside AllAtOnce.
TYPES = (
    *(f"Canary10Percent{minutes}Minutes" for minutes in (5, 10, 15, 30)),
    *(f"Linear10PercentEvery{minutes}" for minutes in ("1Minute", "2Minutes", "3Minutes")),
    "Linear10PercentEvery10Minutes",
)


def test_the_types_that_do_not_fit_into_the_hook_s_time_are_named() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    deployment = Deployment("d-1", Target("checkout", "live"), "7", "8")
    late = set()
    for name in TYPES:
        payload = deployment.payload(f"type={name}", "", now + DEADLINE)
        try:
            Rollout.from_event(payload, HERE).must_end_in_time(now.timestamp())
        except RolloutTooLong:
            late.add(name)
    (row,) = re.findall(r"^\| `Type: .*$", PAGE, re.MULTILINE)
    assert late == set(re.findall(r"`(\w+Minutes)`", row))


def test_the_pages_on_the_hook_say_the_same() -> None:
    other = BY_NAME["codedeploy-hook.md"]
    blocks = [text for _, text in BLOCK.findall(other)]
    assert any(yaml_parse(text) == IN_GLOBALS for text in blocks if text.startswith("Globals"))
    skip = re.findall(r"aws cloudformation continue-update-rollback .*", PAGE)
    assert skip and skip[0] in other
    assert f"--resources-to-skip {ALIAS}" in skip[0]


# -- what the stories need ------------------------------------------------------------------------


def _callers(resources: Resources) -> dict[str, set[str]]:
    """What calls the function, or lets others: alarms only read its metrics."""
    return {
        name: called
        for name, called in targets(resources).items()
        if resources[name]["Type"] != "AWS::CloudWatch::Alarm"
    }


def _versions(resources: Resources) -> Resources:
    return {
        name: each for name, each in resources.items() if each["Type"] == "AWS::Lambda::Version"
    }


def _without_tags(function: dict[str, Any]) -> dict[str, Any]:
    properties = {key: value for key, value in function["Properties"].items() if key != "Tags"}
    return {**function, "Properties": properties}


def _rollouts(
    deployment: Deployment, tag: str, template: dict[str, Any]
) -> tuple[Rollout, Rollout]:
    """By the tag; and by the name that stood in the template."""
    payload = deployment.payload(tag, "", datetime(2030, 1, 1, tzinfo=UTC))
    preference = template["Resources"]["Checkout"]["Properties"]["DeploymentPreference"]
    named = {key: payload[key] for key in ("function-name", "alias-name", "new-version")}
    return (
        Rollout.from_event(payload, HERE),
        Rollout.from_event({**named, "type": preference["Type"]}, HERE),
    )
