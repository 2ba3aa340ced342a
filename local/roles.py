"""What roles may do, and who asks: a function is known by the access key of its sandboxes.

Whoever comes with another key is an operator, whom only a resource's policy can keep from anything.
A function must never do here what its role may not do, where it is asked: of Scheduler's API, and
of who sends to a queue.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.iam.models import iam_backends

from local import policies
from local.policies import Request
from local.sandbox import ACCOUNT, REGION

_OPERATOR = f"arn:aws:iam::{ACCOUNT}:user/operator"
_EVERYTHING = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
_CALLER = re.compile(r"Credential=function-([^/]+)/")


def access_key(function: str) -> str:
    """What the function's sandboxes sign their requests with."""
    return f"function-{function}"


def caller(headers: Mapping[str, str]) -> str:
    """The role of the function that sent this request, or the operator, by ARN."""
    found = _CALLER.search(headers.get("Authorization", ""))
    if not found:
        return _OPERATOR
    return str(lambda_backends[ACCOUNT][REGION].get_function(found[1]).role)


def may(asking: str, action: str, resource: str, resource_policy: Any = None, **known: str) -> bool:
    """Within an account it is enough that either side's policy says so, and neither denies it."""
    request = Request(asking, action, resource, {**policies.of_role(asking), **known})
    verdicts = [policies.says(policy, request) for policy in (*_own(asking), resource_policy)]
    return "Allow" in verdicts and "Deny" not in verdicts


def may_pass(asking: str, passed: str, service: str) -> bool:
    return may(asking, "iam:PassRole", passed, **{"iam:passedtoservice": service})


def trusts(role: str, service: str, source: str) -> bool:
    """Whether the role is there and lets this service assume it on behalf of this source."""
    found = _found(role)
    if found is None:
        return False
    trust = _read(found.assume_role_policy_document)
    known = policies.of_service(source, ACCOUNT)
    return policies.says(trust, Request(service, "sts:AssumeRole", role, known)) == "Allow"


def _own(asking: str) -> list[Any]:
    """The role's own policies, and the managed ones that are attached to it."""
    if asking == _OPERATOR:
        return [_EVERYTHING]
    found = _found(asking)
    if found is None:
        return []
    managed = [
        version.document
        for policy in found.managed_policies.values()
        for version in policy.versions
        if version.is_default
    ]
    documents = [*found.policies.values(), *managed]
    return [_read(each) for each in documents]


def _read(document: Any) -> Any:
    """moto keeps a policy as it got it: JSON by the API, an object by a template."""
    return json.loads(document) if isinstance(document, str) else document


def _found(role: str) -> Any:
    known = iam_backends[ACCOUNT]["aws"].get_roles()
    return next((each for each in known if each.arn == role), None)
