"""PURE. What AWS's alias operations take, refuse and answer, as recorded from AWS.

The one place where these rules stand: the local AWS and the tests' fake both keep them.
"""

import re
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

STALE_REVISION = (
    "The Revision Id provided does not match the latest Revision Id. "
    "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
)


class Refused(Exception):
    """An error of the API: its HTTP status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message


def new_revision() -> str:
    return str(uuid.uuid4())


@dataclass
class StoredAlias:
    """An alias as the service keeps it."""

    arn: str
    name: str
    version: str
    description: str = ""
    routing: dict[str, float] = field(default_factory=dict)
    revision: str = field(default_factory=new_revision)

    def answer(self) -> dict[str, Any]:
        """`GetAlias`'s answer: `RoutingConfig` is absent unless the alias is split."""
        told: dict[str, Any] = {
            "AliasArn": self.arn,
            "Name": self.name,
            "FunctionVersion": self.version,
            "Description": self.description,
            "RevisionId": self.revision,
        }
        if self.routing:
            told["RoutingConfig"] = {"AdditionalVersionWeights": dict(self.routing)}
        return told

    def update(
        self, request: Mapping[str, Any], versions: Collection[str], roles: Mapping[str, str]
    ) -> None:
        """`UpdateAlias`: what is absent stays as it is; every update, even an empty one, is a new
        revision."""
        if request.get("RevisionId") not in (None, self.revision):
            raise Refused(412, "PreconditionFailedException", STALE_REVISION)
        version = request.get("FunctionVersion") or self.version
        routing = self.routing
        if request.get("RoutingConfig") is not None:
            routing = dict(request["RoutingConfig"].get("AdditionalVersionWeights") or {})
        description = self.description
        if request.get("Description") is not None:
            description = request["Description"]
        check(self.arn, version, routing, description, versions, roles)
        self.version = version
        self.routing = routing
        self.description = description
        self.revision = new_revision()


def check(
    arn: str,
    version: str,
    routing: Mapping[str, float],
    description: str,
    versions: Collection[str],
    roles: Mapping[str, str],
) -> None:
    """Raises `Refused` for an alias that AWS would not take; `roles` are the versions' execution
    roles."""
    if len(description) > 256:
        rule = "Member must have length less than or equal to 256"
        raise _invalid(description, "description", rule)
    if len(routing) > 1:
        raise _parameter("Number of items in AdditionalVersionWeights cannot be greater than 1")
    for other, weight in routing.items():
        _check_routing(version, other, weight)
    for wanted in (version, *routing):
        if wanted != "$LATEST" and wanted not in versions:
            function = arn.rpartition(":")[0]
            message = f"Function not found: {function}:{wanted}"
            raise Refused(404, "ResourceNotFoundException", message)
    if len({roles.get(wanted) for wanted in (version, *routing)}) > 1:
        raise _parameter("Specified versions must be associated with the same execution role")


def _check_routing(version: str, other: str, weight: float) -> None:
    """A weight for another version beside the alias's own."""
    key = "routingConfig.additionalVersionWeights"
    if weight > 1:
        raise _invalid(weight, key, "Member must have value less than or equal to 1.0")
    if not weight >= 0:
        raise _invalid(weight, key, "Member must have value greater than or equal to 0.0")
    if not re.fullmatch("[0-9]+", other):
        raise _invalid(other, key, "Member must satisfy pattern: [0-9]+")
    if version == "$LATEST":
        raise _parameter("$LATEST is not supported for an alias pointing to more than 1 version")
    if other == version:
        included = f"Function version {other} is already included in routing configuration."
        raise _parameter(f"Invalid function version {other}. {included}")


def _parameter(message: str) -> Refused:
    return Refused(400, "InvalidParameterValueException", message)


def _invalid(value: Any, key: str, rule: str) -> Refused:
    what = f"Value '{value}' at '{key}' failed to satisfy constraint: {rule}"
    return Refused(400, "ValidationException", f"1 validation error detected: {what}")
