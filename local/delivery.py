"""Carries a message to what an ARN names: an SQS queue, an SNS topic, a function, an event bus.

It must never raise, nor deliver what a resource's policy does not allow: on AWS such a message is
lost without a word. Here the reason goes to standard error.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.events.models import events_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from local import policies, roles
from local.sandbox import ACCOUNT, REGION

#: The service that delivers under the sender's own role, so that no resource's policy is asked.
LAMBDA, EVENTS = "lambda.amazonaws.com", "events.amazonaws.com"


class NotAllowed(Exception):
    """A policy does not let the sender in."""


def _no_service(name: str, qualifier: str, payload: bytes) -> None:
    raise RuntimeError("the Lambda service does not run")


#: Invokes a function asynchronously; `local/service.py` puts itself here.
invoke: Callable[[str, str, bytes], None] = _no_service


def send(arn: str, message: str, service: str, source: str) -> bool:
    """`service` sends for `source`, an ARN of a rule, a topic or a function. False when it could
    not be delivered."""
    try:
        _SENDERS[arn.split(":")[2]](arn, message, service, source)
    except Exception as error:
        print(
            f"local AWS: {service} did not deliver to {arn}: {error!r}", file=sys.stderr, flush=True
        )
        return False
    return True


def _check(policy: Any, service: str, action: str, arn: str, source: str) -> None:
    request = policies.Request(service, action, arn, policies.of_service(source, ACCOUNT))
    if service != LAMBDA and policies.says(policy, request) != "Allow":
        raise NotAllowed(f"its policy does not allow {action} to {service} for {source}")


def check_queue(arn: str, service: str, source: str) -> None:
    """Raises what keeps this service from sending to the queue."""
    queue = sqs_backends[ACCOUNT][REGION].get_queue(arn.rpartition(":")[2])
    if queue.kms_master_key_id == "alias/aws/sqs" and service != LAMBDA:
        raise NotAllowed("AWS services cannot use the key alias/aws/sqs")
    _check(queue._policy_json, service, "sqs:SendMessage", arn, source)


def _to_queue(arn: str, message: str, service: str, source: str) -> None:
    check_queue(arn, service, source)
    sqs_backends[ACCOUNT][REGION].send_message(arn.rpartition(":")[2], message)


def send_as(role: str, arn: str, message: str, attributes: dict[str, Any] | None = None) -> None:
    """To a queue in the name of a role; raises what keeps it from being delivered."""
    queue = sqs_backends[ACCOUNT][REGION].get_queue(arn.rpartition(":")[2])
    if not roles.may(role, "sqs:SendMessage", arn, queue._policy_json):
        raise NotAllowed(f"{role} is not authorized to perform: sqs:SendMessage on resource: {arn}")
    sqs_backends[ACCOUNT][REGION].send_message(queue.name, message, attributes)


def _to_topic(arn: str, message: str, service: str, source: str) -> None:
    topic = sns_backends[ACCOUNT][REGION].get_topic(arn)
    policy = topic._policy_json
    if service == EVENTS:  # it meets no condition of a topic's policy, whatever that says
        bare = [
            each
            for each in policies.listed(policy.get("Statement", []))
            if not each.get("Condition")
        ]
        policy = {**policy, "Statement": bare}
    _check(policy, service, "sns:Publish", arn, source)
    topic.publish(message)


def _to_function(arn: str, message: str, service: str, source: str) -> None:
    name, _, qualifier = arn.rpartition("function:")[2].partition(":")
    policy = {"Statement": lambda_backends[ACCOUNT][REGION].get_function(name).policy.statements}
    _check(policy, service, "lambda:InvokeFunction", arn, source)
    invoke(name, qualifier or "$LATEST", message.encode())


def _to_bus(arn: str, message: str, service: str, source: str) -> None:
    """Only Lambda's destinations send to a bus."""
    good = json.loads(message)["requestContext"]["condition"] == "Success"
    entry = {
        "Source": "lambda",
        "DetailType": f"Lambda Function Invocation Result - {'Success' if good else 'Failure'}",
        "Detail": message,
        "Resources": [arn, source],
        "EventBusName": arn,
    }
    events_backends[ACCOUNT][REGION].put_events([entry])


_SENDERS = {"sqs": _to_queue, "sns": _to_topic, "lambda": _to_function, "events": _to_bus}
