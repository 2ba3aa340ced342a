"""The kinds of resources in templates that moto does not know, each put by the API's own back end.

AWS: makes, changes and deletes them with their stack.
moto: passes over a kind that it does not know, without an error.
Upstream: a `CloudFormationModel` for each of these kinds.
"""

import contextlib
import json
from typing import Any, ClassVar

from moto.awslambda.models import lambda_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.common_models import CloudFormationModel
from moto.scheduler.models import scheduler_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from local.sandbox import ACCOUNT, REGION

_declared: list[type] = []  # Python itself forgets a class that nobody holds


def declare() -> None:
    """From now on moto knows these kinds: it looks for the direct subclasses of its own model."""
    for each in Resource.__subclasses__():
        _declared.append(type(each.__name__, (each, CloudFormationModel), {}))


class Resource:
    """One resource of a template, as moto asks for it; a subclass is a kind."""

    kind: ClassVar[str]
    #: The property that holds the resource's name, if it may have one.
    name_property: ClassVar[str] = ""

    def __init__(self, physical_id: str) -> None:
        self.physical_resource_id = physical_id

    @staticmethod
    def put(name: str, properties: dict[str, Any]) -> str:
        """Makes it or changes it; its physical id."""
        raise NotImplementedError

    @staticmethod
    def delete(physical_id: str) -> None:
        """Nothing, unless a kind says otherwise: it goes with what it belongs to."""

    @staticmethod
    def arn(physical_id: str) -> str:
        raise NotImplementedError

    @classmethod
    def cloudformation_name_type(cls) -> str:
        return cls.name_property

    @classmethod
    def cloudformation_type(cls) -> str:
        return cls.kind

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr == "Arn"

    def get_cfn_attribute(self, _: str) -> str:
        return self.arn(self.physical_resource_id)

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, *_: Any, **__: Any
    ) -> Any:
        return cls(cls.put(resource_name, dict(cloudformation_json["Properties"])))

    @classmethod
    def update_from_cloudformation_json(
        cls, *, new_resource_name: str, cloudformation_json: Any, **_: Any
    ) -> Any:
        return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json)

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name: str, *_: Any, **__: Any) -> None:
        cls.delete(resource_name)


class EventInvokeConfig(Resource):
    """One for the function, whatever the qualifier."""

    kind = "AWS::Lambda::EventInvokeConfig"

    @staticmethod
    def put(name: str, properties: dict[str, Any]) -> str:
        function = properties.pop("FunctionName")
        properties.pop("Qualifier")
        lambda_backends[ACCOUNT][REGION].put_function_event_invoke_config(function, properties)
        return f"{function}|EventInvokeConfig"


class QueuePolicy(Resource):
    kind = "AWS::SQS::QueuePolicy"

    @staticmethod
    def put(name: str, properties: dict[str, Any]) -> str:
        for url in properties["Queues"]:
            queue = sqs_backends[ACCOUNT][REGION].get_queue(url.rpartition("/")[2])
            queue.policy = json.dumps(properties["PolicyDocument"])
        return ",".join(properties["Queues"])

    @staticmethod
    def delete(physical_id: str) -> None:
        for url in physical_id.split(","):
            with contextlib.suppress(KeyError):  # the queue may have gone first
                sqs_backends[ACCOUNT][REGION].queues[url.rpartition("/")[2]].policy = None


class TopicPolicy(Resource):
    kind = "AWS::SNS::TopicPolicy"

    @staticmethod
    def put(name: str, properties: dict[str, Any]) -> str:
        for arn in properties["Topics"]:
            topic = sns_backends[ACCOUNT][REGION].get_topic(arn)
            topic.policy = json.dumps(properties["PolicyDocument"])
        return name


class MetricAlarm(Resource):
    """Nothing of it is evaluated."""

    kind = "AWS::CloudWatch::Alarm"
    name_property = "AlarmName"

    @staticmethod
    def put(name: str, properties: dict[str, Any]) -> str:
        cloudwatch_backends[ACCOUNT][REGION].put_metric_alarm(
            name,
            alarm_actions=properties.get("AlarmActions", []),
            comparison_operator=properties["ComparisonOperator"],
            description=properties.get("AlarmDescription"),
            dimensions=properties.get("Dimensions", []),
            evaluation_periods=int(properties["EvaluationPeriods"]),
            metric_name=properties.get("MetricName"),
            namespace=properties.get("Namespace"),
            ok_actions=properties.get("OKActions", []),
            period=int(properties.get("Period", 60)),
            statistic=properties.get("Statistic"),
            threshold=float(properties.get("Threshold", 0)),
            treat_missing_data=properties.get("TreatMissingData"),
        )
        return name

    @staticmethod
    def delete(physical_id: str) -> None:
        cloudwatch_backends[ACCOUNT][REGION].delete_alarms([physical_id])

    @staticmethod
    def arn(physical_id: str) -> str:
        return str(cloudwatch_backends[ACCOUNT][REGION].alarms[physical_id].alarm_arn)


class ScheduleGroup(Resource):
    """It goes with its schedules."""

    kind = "AWS::Scheduler::ScheduleGroup"
    name_property = "Name"

    @staticmethod
    def put(name: str, properties: dict[str, Any]) -> str:
        return str(scheduler_backends[ACCOUNT][REGION].create_schedule_group(name, []).name)

    @staticmethod
    def delete(physical_id: str) -> None:
        scheduler_backends[ACCOUNT][REGION].delete_schedule_group(physical_id)

    @staticmethod
    def arn(physical_id: str) -> str:
        return str(scheduler_backends[ACCOUNT][REGION].get_schedule_group(physical_id).arn)


class QueryDefinition(Resource):
    """For people in the console, which is not here."""

    kind = "AWS::Logs::QueryDefinition"

    @staticmethod
    def put(name: str, properties: dict[str, Any]) -> str:
        return name
