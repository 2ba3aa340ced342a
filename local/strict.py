"""moto, made as strict as AWS where the deployer relies on it, and able to read SAM templates.

`apply()` changes moto's classes in this process, once. What AWS does is recorded in `rules.py`.
"""

import json
import threading
from typing import Any
from urllib.parse import unquote

import moto.cloudformation.models as cloudformation
import moto.cloudformation.parsing as parsing
from moto.awslambda.models import LambdaFunction, LambdaStorage
from moto.awslambda.responses import LambdaResponse
from moto.core.exceptions import JsonRESTError
from samtranslator.translator.transform import transform

from local import (
    alarms,
    destinations,
    events,
    executions,
    metrics,
    queues,
    redrive,
    resources,
    scheduler,
    stepfunctions,
)
from local.rules import Refused, StoredAlias, check

_PARTS = (
    alarms,
    destinations,
    events,
    executions,
    metrics,
    queues,
    redrive,
    resources,
    scheduler,
    stepfunctions,
)

_one_at_a_time = threading.Lock()


class Alias(StoredAlias):
    """An alias as moto's own code reads it."""

    @property
    def function_version(self) -> str:
        return self.version

    def to_json(self) -> dict[str, Any]:
        return self.answer()


def apply() -> None:
    LambdaResponse.create_alias = _create_alias
    LambdaResponse.update_alias = _update_alias
    _keep_log_group()
    _read_sam_templates()
    cloudformation.Stack.stack_resources = property(_stack_resources)
    parsing.clean_json = _clean_json
    for part in _PARTS:
        part.apply()


def _create_alias(self: Any) -> Any:
    function = unquote(self.path.rsplit("/", 2)[-2])
    request = json.loads(self.body)
    storage: LambdaStorage = self.backend._lambdas
    arn = f"{storage.get_function_by_name_or_arn_forbid_qualifier(function).function_arn}:{request['Name']}"
    routing = (request.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    description = request.get("Description") or ""
    with _one_at_a_time:
        aliases = storage._get_function_aliases(function)
        if request["Name"] in aliases:
            raise _api_error(
                Refused(409, "ResourceConflictException", f"Alias already exists: {arn}")
            )
        try:
            check(
                arn, request["FunctionVersion"], routing, description, *_versions(storage, function)
            )
        except Refused as refused:
            raise _api_error(refused) from None
        aliases[request["Name"]] = Alias(
            arn, request["Name"], request["FunctionVersion"], description, routing
        )
        return 201, {"status": 201}, json.dumps(aliases[request["Name"]].answer())


def _update_alias(self: Any) -> Any:
    function, name = (unquote(self.path.split("/")[part]) for part in (-3, -1))
    storage: LambdaStorage = self.backend._lambdas
    with _one_at_a_time:
        alias = storage._get_function_aliases(function).get(name)
        try:
            if alias is None:
                arn = storage.get_function_by_name_or_arn_forbid_qualifier(function).function_arn
                raise Refused(404, "ResourceNotFoundException", f"Alias not found: {arn}:{name}")
            alias.update(json.loads(self.body), *_versions(storage, function))
        except Refused as refused:
            raise _api_error(refused) from None
        return 200, {"status": 200}, json.dumps(alias.answer())


def _versions(storage: Any, function: str) -> tuple[list[str], dict[str, str]]:
    """The published versions, and each one's execution role."""
    name = storage.get_function_by_name_or_arn_forbid_qualifier(function).function_name
    roles = {str(version.version): version.role for version in storage._functions[name]["versions"]}
    return list(roles), roles


def _api_error(refused: Refused) -> JsonRESTError:
    error = JsonRESTError(refused.code, refused.message)
    error.code = refused.status
    return error


def _keep_log_group() -> None:
    """A function's `LoggingConfig.LogGroup`, which moto leaves out."""
    create = LambdaFunction.create_from_cloudformation_json.__func__

    def with_log_group(
        cls: Any, resource_name: str, cloudformation_json: Any, *args: Any, **kwargs: Any
    ) -> Any:
        function = create(cls, resource_name, cloudformation_json, *args, **kwargs)
        group = cloudformation_json["Properties"].get("LoggingConfig", {}).get("LogGroup")
        function.logs_group_name = group or function.logs_group_name
        return function

    LambdaFunction.create_from_cloudformation_json = classmethod(with_log_group)


_moto_clean = parsing.clean_json


def _clean_json(value: Any, resources: Any) -> Any:
    """As moto's, without what is `AWS::NoValue` in a list, which moto keeps as None."""
    if isinstance(value, list):
        return [each for each in (_clean_json(one, resources) for one in value) if each is not None]
    return _moto_clean(value, resources)


def _stack_resources(self: Any) -> list[Any]:
    """Without those whose condition is false, which moto keeps as None."""
    return [resource for resource in self.resource_map.values() if resource is not None]


def _read_sam_templates() -> None:
    parse = cloudformation.Stack.parse_template

    def parse_sam(template: str) -> Any:
        parsed = parse(template)
        if "AWS::Serverless" not in str(parsed.get("Transform", "")):
            return parsed
        parameters = {
            name: about.get("Default", "") for name, about in parsed.get("Parameters", {}).items()
        }
        return transform(parsed, parameters, _NoManagedPolicies())

    def parse_change_set(self: Any) -> None:
        self.template_dict = parse_sam(self.template)

    def apply_change_set(self: Any) -> None:
        """As moto's, and then the stack has the change set's outputs."""
        self.stack.template_dict, self.stack.parameters = self.template_dict, self.parameters
        self.stack.resource_map.update(self.template_dict, self.parameters)
        self.stack.output_map = self.stack._create_output_map()

    cloudformation.Stack.parse_template = staticmethod(parse_sam)
    cloudformation.ChangeSet._parse_template = parse_change_set
    cloudformation.ChangeSet.apply = apply_change_set


class _NoManagedPolicies:
    """The template names no managed policies, so that the transform need not ask IAM for them."""

    def load(self) -> dict[str, str]:
        return {}
