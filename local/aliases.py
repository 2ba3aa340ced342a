"""Lambda's aliases in moto, made to keep the rules of rules.py.

An alias must never change here where AWS would have refused, nor keep its revision.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import unquote

from moto.awslambda.models import lambda_backends
from moto.awslambda.responses import LambdaResponse
from moto.core.exceptions import JsonRESTError

from local.patches import replaces
from local.rules import Refused, StoredAlias, check
from local.sandbox import ACCOUNT, REGION

_one_at_a_time = threading.Lock()


class Alias(StoredAlias):
    """An alias as moto's own code reads it."""

    @property
    def function_version(self) -> str:
        return self.version

    def to_json(self) -> dict[str, Any]:
        return self.answer()


@replaces(LambdaResponse, "create_alias")
def _create_alias(self: Any) -> Any:
    """AWS: refuses versions that are not there, weights out of range and more than one of them.
    moto: takes every routing and every version.
    Upstream: the checks of `rules.check`, and `RoutingConfig` left out of an unsplit alias.
    """
    function = unquote(self.path.rsplit("/", 2)[-2])
    request = json.loads(self.body)
    with _one_at_a_time, _refusals():
        alias = _created(self.backend._lambdas, function, request)
        return 201, {"status": 201}, json.dumps(alias.answer())


@replaces(LambdaResponse, "update_alias")
def _update_alias(self: Any) -> Any:
    """AWS: refuses an old `RevisionId`; every update is a new revision; an emptied map is left out.
    moto: looks at no `RevisionId`, keeps the alias's for ever, and answers with the empty map.
    Upstream: `StoredAlias.update` of rules.py.
    """
    path = self.path.split("/")
    with _one_at_a_time, _refusals():
        alias = _updated(unquote(path[-3]), unquote(path[-1]), json.loads(self.body))
        return 200, {"status": 200}, json.dumps(alias.answer())


def found(function: str, name: str) -> StoredAlias:
    """As it is now; raises `Refused`."""
    storage = lambda_backends[ACCOUNT][REGION]._lambdas
    alias = storage._get_function_aliases(function).get(name)
    if alias is None:
        arn = f"{_arn(storage, function)}:{name}"
        raise Refused(404, "ResourceNotFoundException", f"Alias not found: {arn}")
    return cast(StoredAlias, alias)


def update(function: str, name: str, request: dict[str, Any]) -> None:
    """`UpdateAlias` by an AWS service; raises `Refused`."""
    with _one_at_a_time:
        _updated(function, name, request)


def _updated(function: str, name: str, request: dict[str, Any]) -> StoredAlias:
    alias = found(function, name)
    alias.update(request, *_versions(lambda_backends[ACCOUNT][REGION]._lambdas, function))
    return alias


def _created(storage: Any, function: str, request: dict[str, Any]) -> Alias:
    aliases = storage._get_function_aliases(function)
    name = request["Name"]
    arn = f"{_arn(storage, function)}:{name}"
    if name in aliases:
        raise Refused(409, "ResourceConflictException", f"Alias already exists: {arn}")
    version = request["FunctionVersion"]
    description = request.get("Description") or ""
    routing = (request.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    check(arn, version, routing, description, *_versions(storage, function))
    alias = Alias(arn, name, version, description, routing)
    aliases[name] = alias
    return alias


def _arn(storage: Any, function: str) -> str:
    return str(storage.get_function_by_name_or_arn_forbid_qualifier(function).function_arn)


def _versions(storage: Any, function: str) -> tuple[list[str], dict[str, str]]:
    """The published versions, and each one's execution role."""
    name = storage.get_function_by_name_or_arn_forbid_qualifier(function).function_name
    roles = {str(version.version): version.role for version in storage._functions[name]["versions"]}
    return list(roles), roles


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """What is refused in this block is answered as moto answers errors."""
    try:
        yield
    except Refused as refused:
        error = JsonRESTError(refused.code, refused.message)
        error.code = refused.status
        raise error from None
