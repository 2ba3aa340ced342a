"""PURE: what a policy says of a request.

It must never let in what AWS keeps out: a `Deny` wins, a key that is absent is not equal to
anything, and what is not known here is an error.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple

#: What a policy says: nothing is neither, and not enough.
Verdict = Literal["Allow", "Deny", ""]

#: The condition keys that are looked at; conditions on others count as met.
KEYS = (
    "aws:principalarn",
    "aws:principalisawsservice",
    "aws:sourcearn",
    "aws:sourceaccount",
    "iam:passedtoservice",
)

#: The operators that are known here.
_EQUAL = ("StringEquals", "Bool")
_LIKE = ("StringLike", "ArnEquals", "ArnLike")
_NOT = {
    "StringNotEquals": "StringEquals",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}


class Request(NamedTuple):
    """Who asks, a service's name or a role's ARN; for what; what is known besides, by `KEYS`."""

    principal: str
    action: str
    resource: str
    known: Mapping[str, str]


def of_service(source: str, account: str) -> Mapping[str, str]:
    """What is known when an AWS service asks for a resource, by the resource's ARN and account."""
    return {
        "aws:sourcearn": source,
        "aws:sourceaccount": account,
        "aws:principalisawsservice": "true",
    }


def of_role(role: str) -> Mapping[str, str]:
    """What is known when a role, or any other principal with an ARN, asks in its own name."""
    return {"aws:principalarn": role, "aws:principalisawsservice": "false"}


def says(policy: Any, request: Request) -> Verdict:
    """`policy` is a document; an identity's statements have no principal."""
    statements = listed((policy or {}).get("Statement", []))
    effects = {each["Effect"] for each in statements if _applies(each, request)}
    if "Deny" in effects:
        return "Deny"
    if "Allow" in effects:
        return "Allow"
    return ""


def listed(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


def _applies(statement: dict[str, Any], request: Request) -> bool:
    if unknown := {"NotAction", "NotPrincipal", "NotResource"} & statement.keys():
        raise ValueError(f"{', '.join(unknown)} in a policy is not known here.")
    actions = [pattern.lower() for pattern in listed(statement["Action"])]
    resources = listed(statement.get("Resource", "*"))
    return (
        any(fnmatchcase(request.action.lower(), pattern) for pattern in actions)
        and any(fnmatchcase(request.resource, pattern) for pattern in resources)
        and _names(statement.get("Principal", "*"), request.principal)
        and all(_met(*each, request.known) for each in _conditions(statement))
    )


def _conditions(statement: dict[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Operator, key, and the values of which one must do."""
    for operator, condition in statement.get("Condition", {}).items():
        for key, values in condition.items():
            yield operator, key.lower(), [str(value) for value in listed(values)]


def _names(principals: Any, asking: str) -> bool:
    """`"*"` names everybody; `{"AWS": "*"}` does not name services."""
    if principals == "*":
        return True
    if not asking.startswith("arn:"):
        return asking in listed(principals.get("Service", []))
    account = asking.split(":")[4]
    named = ("*", asking, account, f"arn:aws:iam::{account}:root")
    return any(each in named for each in listed(principals.get("AWS", [])))


def _met(operator: str, key: str, wanted: list[str], known: Mapping[str, str]) -> bool:
    if key not in KEYS:
        return True
    plain = operator.removesuffix("IfExists")
    positive = _NOT.get(plain, plain)
    if positive not in _EQUAL + _LIKE:
        raise ValueError(f"The operator {operator} in a policy is not known here.")
    if key not in known:
        return operator.endswith("IfExists") or plain in _NOT
    if positive == "Bool":
        equal = known[key] in [value.lower() for value in wanted]
    elif positive in _LIKE:
        equal = any(fnmatchcase(known[key], value) for value in wanted)
    else:
        equal = known[key] in wanted
    return equal != (plain in _NOT)
