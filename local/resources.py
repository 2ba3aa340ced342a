"""The CloudFormation resources that moto does not know, each by the API call that makes it.

A resource of a template must never be passed over: what is unknown to moto would be missing without
an error.
"""

import contextlib
import json
from collections.abc import Callable
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.common_models import CloudFormationModel
from moto.scheduler.models import scheduler_backends
from moto.sns.models import Topic, sns_backends
from moto.sqs.models import sqs_backends

from local import alarms
from local.sandbox import ACCOUNT, REGION

#: Puts a resource there, given its name and its properties; answers its physical id.
Put = Callable[[str, dict[str, Any]], str]

_made: list[type[CloudFormationModel]] = []  # Python itself forgets a class that nobody holds


def apply() -> None:
    _declare("AWS::Lambda::EventInvokeConfig", _put_event_invoke_config)
    _declare("AWS::SQS::QueuePolicy", _put_queue_policy, _delete_queue_policy)
    _declare("AWS::SNS::TopicPolicy", _put_topic_policy)
    _declare("AWS::SNS::Subscription", _put_subscription, _delete_subscription)
    _declare("AWS::CloudWatch::Alarm", _put_alarm, _delete_alarm, name="AlarmName")
    _declare(
        "AWS::CloudWatch::CompositeAlarm", _put_composite_alarm, _delete_alarm, name="AlarmName"
    )
    _declare(
        "AWS::Logs::QueryDefinition", lambda name, _: name
    )  # for people in the console, which is not here
    _declare(
        "AWS::Scheduler::ScheduleGroup",
        _put_schedule_group,
        _delete_schedule_group,
        name="Name",
        arn=_group_arn,
    )
    attribute = Topic.get_cfn_attribute
    Topic.has_cfn_attr = classmethod(lambda cls, attr: attr in ("TopicArn", "TopicName"))
    Topic.get_cfn_attribute = lambda self, name: (
        self.arn if name == "TopicArn" else attribute(self, name)
    )


def _alarm_arn(name: str) -> str:
    return str(cloudwatch_backends[ACCOUNT][REGION].alarms[name].alarm_arn)


def _declare(
    kind: str,
    put: Put,
    delete: Callable[[str], None] | None = None,
    name: str = "",
    arn: Callable[[str], str] = _alarm_arn,
) -> None:
    class Resource(CloudFormationModel):  # type: ignore[misc]
        def __init__(self, physical_id: str) -> None:
            self.physical_resource_id = physical_id

        @staticmethod
        def cloudformation_name_type() -> str:
            return name

        @staticmethod
        def cloudformation_type() -> str:
            return kind

        @classmethod
        def has_cfn_attr(cls, attr: str) -> bool:
            return attr == "Arn"

        def get_cfn_attribute(self, _: str) -> str:
            return arn(self.physical_resource_id)

        @classmethod
        def create_from_cloudformation_json(
            cls, resource_name: str, cloudformation_json: Any, *_: Any, **__: Any
        ) -> Any:
            return cls(put(resource_name, dict(cloudformation_json["Properties"])))

        @classmethod
        def update_from_cloudformation_json(
            cls,
            original_resource: Any,
            new_resource_name: str,
            cloudformation_json: Any,
            *_: Any,
            **__: Any,
        ) -> Any:
            return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json)

        @classmethod
        def delete_from_cloudformation_json(cls, resource_name: str, *_: Any, **__: Any) -> None:
            if delete:
                delete(resource_name)

    _made.append(Resource)


def _put_event_invoke_config(_: str, properties: dict[str, Any]) -> str:
    """One for the function, whatever the qualifier; it goes with its function."""
    name = properties.pop("FunctionName")
    properties.pop("Qualifier")
    lambda_backends[ACCOUNT][REGION].put_function_event_invoke_config(name, properties)
    return f"{name}|EventInvokeConfig"


def _put_queue_policy(_: str, properties: dict[str, Any]) -> str:
    for url in properties["Queues"]:
        queue = sqs_backends[ACCOUNT][REGION].get_queue(url.rpartition("/")[2])
        queue.policy = json.dumps(properties["PolicyDocument"])
    return ",".join(properties["Queues"])


def _delete_queue_policy(queues: str) -> None:
    for url in queues.split(","):
        with contextlib.suppress(KeyError):  # the queue may have gone first
            sqs_backends[ACCOUNT][REGION].queues[url.rpartition("/")[2]].policy = None


def _put_topic_policy(name: str, properties: dict[str, Any]) -> str:
    for arn in properties["Topics"]:
        sns_backends[ACCOUNT][REGION].get_topic(arn).policy = json.dumps(
            properties["PolicyDocument"]
        )
    return name


def _put_subscription(_: str, properties: dict[str, Any]) -> str:
    """Mail is accepted and never sent."""
    sns = sns_backends[ACCOUNT][REGION]
    arn = sns.subscribe(properties["TopicArn"], properties["Endpoint"], properties["Protocol"]).arn
    if str(properties.get("RawMessageDelivery")).lower() == "true":
        sns.set_subscription_attributes(arn, "RawMessageDelivery", True)
    for name in ("FilterPolicyScope", "FilterPolicy"):
        if value := properties.get(name):
            sns.set_subscription_attributes(
                arn, name, value if isinstance(value, str) else json.dumps(value)
            )
    return str(arn)


def _delete_subscription(arn: str) -> None:
    sns_backends[ACCOUNT][REGION].unsubscribe(arn)


def _put_alarm(name: str, properties: dict[str, Any]) -> str:
    """Alarms on one metric and on metric math alike; nothing of it is evaluated."""
    known = {
        "alarm_actions": properties.get("AlarmActions", []),
        "comparison_operator": properties["ComparisonOperator"],
        "description": properties.get("AlarmDescription"),
        "dimensions": properties.get("Dimensions", []),
        "evaluation_periods": int(properties["EvaluationPeriods"]),
        "metric_name": properties.get("MetricName"),
        "namespace": properties.get("Namespace"),
        "ok_actions": properties.get("OKActions", []),
        "period": int(properties.get("Period", 60)),
        "statistic": properties.get("Statistic"),
        "threshold": float(properties.get("Threshold", 0)),
        "treat_missing_data": properties.get("TreatMissingData"),
    }
    cloudwatch_backends[ACCOUNT][REGION].put_metric_alarm(name, **known)
    return name


def _put_composite_alarm(name: str, properties: dict[str, Any]) -> str:
    about = {
        "description": properties.get("AlarmDescription"),
        "alarm_actions": properties.get("AlarmActions", []),
    }
    alarms.put_composite_alarm(
        cloudwatch_backends[ACCOUNT][REGION], name, properties["AlarmRule"], **about
    )
    return name


def _delete_alarm(name: str) -> None:
    cloudwatch_backends[ACCOUNT][REGION].delete_alarms([name])


def _put_schedule_group(name: str, _: dict[str, Any]) -> str:
    return str(scheduler_backends[ACCOUNT][REGION].create_schedule_group(name, []).name)


def _delete_schedule_group(name: str) -> None:
    """With its schedules."""
    scheduler_backends[ACCOUNT][REGION].delete_schedule_group(name)


def _group_arn(name: str) -> str:
    return str(scheduler_backends[ACCOUNT][REGION].get_schedule_group(name).arn)
