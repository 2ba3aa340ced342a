"""CloudFormation in moto, made to read the templates that AWS reads: SAM's, with conditions.

A template must never mean something else here than on AWS. What moto does not know of resources
stands in resources.py, what it does not know of state machines in stepfunctions.py.
"""

from typing import Any

import moto.cloudformation.parsing as parsing
from moto.cloudformation.models import ChangeSet, Stack
from moto.iam.models import Role, iam_backends
from samtranslator.translator.transform import transform

from local.patches import replaces

_moto_parse = Stack.parse_template
_moto_clean = parsing.clean_json


class NoManagedPolicies:
    """The template names no managed policies, so that the transform need not ask IAM for them."""

    def load(self) -> dict[str, str]:
        return {}


@replaces(Stack, "parse_template", staticmethod)
def _parse(template: str) -> Any:
    """AWS: transforms a template that says `Transform: AWS::Serverless-2016-10-31`.
    moto: does not; it passes over resources of types `AWS::Serverless::…`.
    Upstream: a call of SAM's translator, where that is installed.
    """
    parsed = _moto_parse(template)
    if "AWS::Serverless" not in str(parsed.get("Transform", "")):
        return parsed
    declared = parsed.get("Parameters", {})
    parameters = {name: about.get("Default", "") for name, about in declared.items()}
    return transform(parsed, parameters, NoManagedPolicies())


@replaces(ChangeSet, "_parse_template")
def _parse_change_set(self: Any) -> None:
    """AWS: a change set's template is transformed, too.
    moto: has a second parser for change sets, which knows no transform either.
    Upstream: `ChangeSet` parses with `Stack.parse_template`.
    """
    self.template_dict = _parse(self.template)


@replaces(ChangeSet, "apply")
def _apply_change_set(self: Any) -> None:
    """AWS: a stack has the outputs and parameters of the change set that was executed last.
    moto: changes the resources, and keeps the stack's outputs, parameters and template.
    Upstream: these three lines beside the fourth.
    """
    self.stack.template_dict = self.template_dict
    self.stack.parameters = self.parameters
    self.stack.resource_map.update(self.template_dict, self.parameters)
    self.stack.output_map = self.stack._create_output_map()


@replaces(parsing, "clean_json")
def _clean_json(value: Any, resources: Any) -> Any:
    """AWS: what is `AWS::NoValue` in a list is left out of the list.
    moto: leaves it out of objects, and keeps None in lists.
    Upstream: `clean_json` leaves it out of both.
    """
    if not isinstance(value, list):
        return _moto_clean(value, resources)
    cleaned = [_clean_json(each, resources) for each in value]
    return [each for each in cleaned if each is not None]


@replaces(Stack, "stack_resources", property)
def _stack_resources(self: Any) -> list[Any]:
    """AWS: `describe-stack-resources` leaves out resources whose condition is false.
    moto: has them as None in the stack, and fails.
    Upstream: `Stack.stack_resources` without None.
    """
    return [resource for resource in self.resource_map.values() if resource is not None]


_moto_create_role = Role.create_from_cloudformation_json


@replaces(Role, "create_from_cloudformation_json", staticmethod)
def _create_role(
    resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **more: Any
) -> Role:
    """AWS: a template's role has the managed policies that it names.
    moto: passes over `ManagedPolicyArns`.
    Upstream: this loop at the end of its own.
    """
    role = _moto_create_role(resource_name, cloudformation_json, account_id, region_name, **more)
    for arn in cloudformation_json["Properties"].get("ManagedPolicyArns", ()):
        # AWS's own are not known here, and nothing that they allow is asked for.
        if not arn.startswith(f"arn:{role.partition}:iam::aws:"):
            iam_backends[account_id][role.partition].attach_role_policy(arn, role.name)
    return role
