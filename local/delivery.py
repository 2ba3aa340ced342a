"""Carries a message to the queue or topic that an ARN names.

It must never raise, nor deliver what a resource's policy does not allow: on AWS such a message is
lost without a word. Here the reason goes to standard error.
"""

import sys
from typing import Any

from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from local import policies, roles
from local.sandbox import ACCOUNT, REGION

#: Lambda delivers under the sender's own role, so that no resource's policy is asked.
LAMBDA = "lambda.amazonaws.com"
EVENTS = "events.amazonaws.com"


class NotAllowed(Exception):
    """A policy does not let the sender in."""


def send(arn: str, message: str, service: str, source: str) -> None:
    """`service` sends for `source`, the ARN of a rule or a function."""
    try:
        _SENDERS[arn.split(":")[2]](arn, message, service, source)
    except Exception as error:
        complain(f"{service} did not deliver to {arn}: {error!r}")


def complain(what: str) -> None:
    """A line for the person who started this, of what AWS would not have said."""
    print(f"local AWS: {what}", file=sys.stderr, flush=True)


def check_queue(arn: str, service: str, source: str) -> None:
    """Raises what keeps this service from sending to the queue."""
    queue = sqs_backends[ACCOUNT][REGION].get_queue(arn.rpartition(":")[2])
    _check(queue._policy_json, service, "sqs:SendMessage", arn, source)


def send_as(role: str, arn: str, message: str, attributes: dict[str, Any] | None = None) -> None:
    """To a queue in the name of a role; raises what keeps it from being delivered."""
    queue = sqs_backends[ACCOUNT][REGION].get_queue(arn.rpartition(":")[2])
    if not roles.may(role, "sqs:SendMessage", arn, queue._policy_json):
        raise NotAllowed(f"{role} is not authorized to perform: sqs:SendMessage on resource: {arn}")
    sqs_backends[ACCOUNT][REGION].send_message(queue.name, message, attributes)


def _to_queue(arn: str, message: str, service: str, source: str) -> None:
    check_queue(arn, service, source)
    sqs_backends[ACCOUNT][REGION].send_message(arn.rpartition(":")[2], message)


def _to_topic(arn: str, message: str, service: str, source: str) -> None:
    topic = sns_backends[ACCOUNT][REGION].get_topic(arn)
    policy = topic._policy_json
    if service == EVENTS:  # it meets no condition of a topic's policy, whatever that says
        statements = policies.listed(policy.get("Statement", []))
        unconditional = [each for each in statements if not each.get("Condition")]
        policy = {**policy, "Statement": unconditional}
    _check(policy, service, "sns:Publish", arn, source)
    topic.publish(message)


def _check(policy: Any, service: str, action: str, arn: str, source: str) -> None:
    request = policies.Request(service, action, arn, policies.of_service(source, ACCOUNT))
    if service != LAMBDA and policies.says(policy, request) != "Allow":
        raise NotAllowed(f"its policy does not allow {action} to {service} for {source}")


_SENDERS = {"sqs": _to_queue, "sns": _to_topic}
