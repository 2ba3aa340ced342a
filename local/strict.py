"""moto, made as strict as AWS where the deployer relies on it, and able to read SAM templates.

`apply()` changes moto's classes in this process, once. What AWS does is recorded in `rules.py`.
"""

import json
import threading
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import moto.cloudformation.models as cloudformation
from moto.awslambda.models import LambdaFunction, LambdaStorage, lambda_backends
from moto.awslambda.responses import LambdaResponse
from moto.cloudwatch.models import CloudWatchBackend, Statistics
from moto.core.common_models import CloudFormationModel
from moto.core.exceptions import JsonRESTError
from samtranslator.translator.transform import transform

from local import stepfunctions
from local.rules import Refused, StoredAlias, check

_one_at_a_time = threading.Lock()


class Alias(StoredAlias):
    """An alias as moto's own code reads it."""

    @property
    def function_version(self) -> str:
        return self.version

    def to_json(self) -> dict[str, Any]:
        return self.answer()


class EventInvokeConfig(CloudFormationModel):  # type: ignore[misc]
    """`AWS::Lambda::EventInvokeConfig`, which moto's CloudFormation does not know. Its API call works."""

    def __init__(self, name: str) -> None:
        self.physical_resource_id = name

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::Lambda::EventInvokeConfig"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> "EventInvokeConfig":
        properties = dict(cloudformation_json["Properties"])
        name = properties.pop("FunctionName")
        properties.pop("Qualifier")
        backend = lambda_backends[account_id][region_name]
        backend.get_function(name).event_invoke_config.clear()
        backend.put_function_event_invoke_config(name, properties)
        return cls(f"{name}|EventInvokeConfig")

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource: Any, new_resource_name: str, cloudformation_json: Any, account_id: str, region_name: str
    ) -> "EventInvokeConfig":
        return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)

    @classmethod
    def delete_from_cloudformation_json(cls, *_: Any, **__: Any) -> None:
        """The configuration goes with its function."""


def apply() -> None:
    LambdaResponse.create_alias = _create_alias
    LambdaResponse.update_alias = _update_alias
    CloudWatchBackend.get_metric_data = _get_metric_data
    _keep_log_group()
    _read_sam_templates()
    stepfunctions.apply()


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
            raise _api_error(Refused(409, "ResourceConflictException", f"Alias already exists: {arn}"))
        try:
            check(arn, request["FunctionVersion"], routing, description, *_versions(storage, function))
        except Refused as refused:
            raise _api_error(refused) from None
        aliases[request["Name"]] = Alias(arn, request["Name"], request["FunctionVersion"], description, routing)
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


def _get_metric_data(
    self: Any, queries: list[Any], start_time: datetime, end_time: datetime, scan_by: str = "TimestampDescending"
) -> list[dict[str, Any]]:
    """Namespace and dimensions exactly; periods begin at whole periods; the end left out; the newest first."""
    results = []
    for query in queries:
        if "MetricStat" not in query:
            raise _api_error(Refused(400, "ValidationError", "Only MetricStat queries are known here."))
        stat, metric = query["MetricStat"], query["MetricStat"]["Metric"]
        wanted = sorted((item["Name"], item["Value"]) for item in metric.get("Dimensions", []))
        period = timedelta(seconds=int(stat["Period"]))
        buckets: dict[datetime, list[Any]] = defaultdict(list)
        for datum in self.get_all_metrics():
            dimensions = sorted((dimension.name, dimension.value) for dimension in datum.dimensions)
            if (datum.namespace, datum.name, dimensions) == (metric["Namespace"], metric["MetricName"], wanted):
                buckets[_floor(datum.timestamp, period)].append(datum)
        found = {time: data for time, data in buckets.items() if _floor(start_time, period) <= time < _utc(end_time)}
        times = sorted(found, reverse=scan_by != "TimestampAscending")
        values = []
        for time in times:
            statistics = Statistics([stat["Stat"]], time)
            statistics.metric_data = found[time]
            values.append(statistics.get_statistics_for_type(stat["Stat"]))
        results.append(
            {
                "id": query["Id"],
                "label": query.get("Label") or metric["MetricName"],
                "values": values,
                "timestamps": times,
                "status_code": "Complete",
            }
        )
    return results


def _floor(time: datetime, period: timedelta) -> datetime:
    midnight = _utc(time).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (_utc(time) - midnight) // period * period


def _utc(time: datetime) -> datetime:
    """moto keeps some times without a time zone; they are meant in UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _keep_log_group() -> None:
    """A function's `LoggingConfig.LogGroup`, which moto leaves out."""
    create = LambdaFunction.create_from_cloudformation_json.__func__

    def with_log_group(cls: Any, resource_name: str, cloudformation_json: Any, *args: Any, **kwargs: Any) -> Any:
        function = create(cls, resource_name, cloudformation_json, *args, **kwargs)
        group = cloudformation_json["Properties"].get("LoggingConfig", {}).get("LogGroup")
        function.logs_group_name = group or function.logs_group_name
        return function

    LambdaFunction.create_from_cloudformation_json = classmethod(with_log_group)


def _read_sam_templates() -> None:
    parse = cloudformation.Stack.parse_template

    def parse_sam(template: str) -> Any:
        parsed = parse(template)
        if "AWS::Serverless" not in str(parsed.get("Transform", "")):
            return parsed
        parameters = {name: about.get("Default", "") for name, about in parsed.get("Parameters", {}).items()}
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
