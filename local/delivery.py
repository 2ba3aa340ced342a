"""Carries a message to what an ARN names: an SQS queue, an SNS topic, a function, an event bus.

It must never raise, nor deliver what a resource's policy does not allow: on AWS such a message is lost without a word.
Here the reason goes to standard error.
"""

import json
import sys
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from moto.awslambda.models import lambda_backends
from moto.events.models import events_backends
from moto.iam.models import iam_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from local.sandbox import ACCOUNT, REGION

#: The service that delivers under the sender's own role, so that no resource's policy is asked.
LAMBDA, EVENTS = "lambda.amazonaws.com", "events.amazonaws.com"

#: What policies may ask of the sender; conditions on anything else count as met.
_KNOWN = ("aws:sourcearn", "aws:sourceaccount", "aws:principalarn", "aws:principalisawsservice")


class NotAllowed(Exception):
    """A policy does not let the sender in."""


class Sender(NamedTuple):
    """Who sends: an AWS service for `source`, one of its resources; or whoever has taken on `role`, an ARN."""

    service: str = ""
    source: str = ""
    role: str = ""

    @property
    def asked(self) -> Mapping[str, str]:
        """What conditions can ask of it, by key; a key that is not there has no value on AWS either."""
        if self.role:
            return {"aws:principalarn": self.role, "aws:principalisawsservice": "false"}
        return {
            "aws:sourcearn": self.source,
            "aws:sourceaccount": ACCOUNT,
            "aws:principalisawsservice": "true",
        }

    def is_one_of(self, principal: Any) -> bool:
        """Whether a statement's `Principal` means it."""
        if principal == "*":
            return True
        if self.role:
            account = f"arn:aws:iam::{ACCOUNT}:root"
            return any(each in ("*", self.role, account, ACCOUNT) for each in _list(principal.get("AWS", [])))
        return self.service in _list(principal.get("Service", []))


def _no_service(name: str, qualifier: str, payload: bytes) -> None:
    raise RuntimeError("the Lambda service does not run")


#: Invokes a function asynchronously; `local/service.py` puts itself here.
invoke: Callable[[str, str, bytes], None] = _no_service


def send(arn: str, message: str, service: str, source: str) -> bool:
    """`service` sends for `source`, an ARN of a rule, a topic or a function. False when it could not be delivered."""
    try:
        _SENDERS[arn.split(":")[2]](arn, message, service, source)
    except Exception as error:
        print(f"local AWS: {service} did not deliver to {arn}: {error!r}", file=sys.stderr, flush=True)
        return False
    return True


def allows(policy: Any, service: str, action: str, source: str) -> bool:
    """Whether the policy, a dictionary, lets this AWS service do this for this source."""
    return effect(policy, Sender(service, source), action) == "Allow"


def effect(policy: Any, sender: Sender, action: str, resource: str = "") -> str:
    """What a policy says of it: `Deny` whatever else it says, `Allow`, or nothing.

    Without `resource` the statements' own is not looked at; a role's own policies name no principal.
    """
    effects = {
        statement["Effect"]
        for statement in _list((policy or {}).get("Statement", []))
        if any(fnmatchcase(action.lower(), pattern.lower()) for pattern in _list(statement["Action"]))
        and ("Principal" not in statement or sender.is_one_of(statement["Principal"]))
        and (not resource or _is_one_of(resource, statement["Resource"]))
        and all(_met(operator, asked, sender) for operator, asked in statement.get("Condition", {}).items())
    }
    return "Deny" if "Deny" in effects else "".join(effects)


def _met(operator: str, condition: dict[str, Any], sender: Sender) -> bool:
    """Whether all of it holds. What is compared with a value that is not there is unequal to it."""
    values = sender.asked
    for key, patterns in condition.items():
        key = key.lower()
        if key not in _KNOWN or (operator.endswith("IfExists") and key not in values):
            continue
        wanted = [str(pattern) for pattern in _list(patterns)]
        if operator.startswith("Bool"):
            wanted = [each.lower() for each in wanted]
        equal = key in values and any(fnmatchcase(values[key], pattern) for pattern in wanted)
        if equal == ("Not" in operator):
            return False
    return True


def role_may(role: Any, policy: Any, action: str, resource: str) -> bool:
    """Whether a role may do this to the resource of that policy.

    In one account either side's policies can allow it, and a `Deny` on either side forbids it.
    """
    sender = Sender(role=role.arn)
    own = [*role.policies.values(), *(each.document for each in role.managed_policies.values())]
    effects = {effect(_read(document), sender, action, resource) for document in own}
    effects.add(effect(policy, sender, action, resource))
    return "Allow" in effects and "Deny" not in effects


def _is_one_of(resource: str, patterns: Any) -> bool:
    return any(fnmatchcase(resource, pattern) for pattern in _list(patterns))


def _read(document: Any) -> Any:
    """moto keeps a policy as it got it: JSON by the API, an object by a template."""
    return json.loads(document) if isinstance(document, str) else document


def role_of(arn: str, service: str, source: str) -> Any:
    """The role, if that service may take it on for that source; raises `NotAllowed`."""
    for role in iam_backends[ACCOUNT]["aws"].get_roles():
        trust = _read(role.assume_role_policy_document) if role.arn == arn else {}
        if allows(trust, service, "sts:AssumeRole", source):
            return role
    raise NotAllowed(f"there is no role {arn} that {service} may take on for {source}")


def _list(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


def _check(policy: Any, service: str, action: str, source: str) -> None:
    if service != LAMBDA and not allows(policy, service, action, source):
        raise NotAllowed(f"its policy does not allow {action} to {service} for {source}")


def check_queue(arn: str, service: str, source: str) -> None:
    """Raises what keeps this service from sending to the queue."""
    queue = sqs_backends[ACCOUNT][REGION].get_queue(arn.rpartition(":")[2])
    if queue.kms_master_key_id == "alias/aws/sqs" and service != LAMBDA:
        raise NotAllowed("AWS services cannot use the key alias/aws/sqs")
    _check(queue._policy_json, service, "sqs:SendMessage", source)


def _to_queue(arn: str, message: str, service: str, source: str) -> None:
    check_queue(arn, service, source)
    sqs_backends[ACCOUNT][REGION].send_message(arn.rpartition(":")[2], message)


def send_to_queue(arn: str, message: str, role: Any, attributes: dict[str, Any] | None = None) -> None:
    """To a queue in the name of a role; raises what keeps it from being delivered."""
    queue = sqs_backends[ACCOUNT][REGION].get_queue(arn.rpartition(":")[2])
    if not role_may(role, queue._policy_json, "sqs:SendMessage", arn):
        raise NotAllowed(f"{role.arn} is not authorized to perform: sqs:SendMessage on resource: {arn}")
    sqs_backends[ACCOUNT][REGION].send_message(queue.name, message, attributes)


def _to_topic(arn: str, message: str, service: str, source: str) -> None:
    topic = sns_backends[ACCOUNT][REGION].get_topic(arn)
    policy = topic._policy_json
    if service == EVENTS:  # it meets no condition of a topic's policy, whatever that says
        bare = [each for each in _list(policy.get("Statement", [])) if not each.get("Condition")]
        policy = {**policy, "Statement": bare}
    _check(policy, service, "sns:Publish", source)
    topic.publish(message)


def _to_function(arn: str, message: str, service: str, source: str) -> None:
    name, _, qualifier = arn.rpartition("function:")[2].partition(":")
    policy = {"Statement": lambda_backends[ACCOUNT][REGION].get_function(name).policy.statements}
    _check(policy, service, "lambda:InvokeFunction", source)
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
