"""The Lambda service: the alias's own rules are `local/rules.py`'s, as strict as AWS."""

import io
from typing import Any

from local.rules import Refused
from world.aws import FUNCTION, Aws

#: What boto3 adds to every answer.
_METADATA = {"ResponseMetadata": {"HTTPStatusCode": 200, "RetryAttempts": 0}}


class FakeLambda:
    """The operations that a deployer uses."""

    def __init__(self, world: Aws) -> None:
        self._world = world

    def get_alias(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            self._check_names(request["FunctionName"], request["Name"], "Cannot find alias arn")
            return self._world.alias.answer()

        return {**self._world.call("GetAlias", apply), **_METADATA}

    def update_alias(self, **request: Any) -> dict[str, Any]:
        assert request.get("RevisionId"), "every write carries the revision"
        assert "RoutingConfig" in request, "every write carries the routing"
        world = self._world

        def apply() -> dict[str, Any]:
            self._check_names(request["FunctionName"], request["Name"], "Alias not found")
            world.alias.update(request, world.states, world.roles)
            world.moved()
            return world.alias.answer()

        return {**world.call("UpdateAlias", apply), **_METADATA}

    def get_function_configuration(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            version = request["Qualifier"]
            states = self._world.states.get(version)
            if states is None:
                raise Refused(
                    404, "ResourceNotFoundException", f"Function not found: {FUNCTION}:{version}"
                )
            state = states.pop(0) if len(states) > 1 else states[0]
            return {
                "State": state,
                "StateReason": "The function is being created.",
                "LoggingConfig": {"LogFormat": "Text", "LogGroup": self._world.log_group},
            }

        return dict(self._world.call("GetFunctionConfiguration", apply))

    def get_provisioned_concurrency_config(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            self._check_names(request["FunctionName"], request["Qualifier"], "Alias not found")
            if not self._world.provisioned:
                code = "ProvisionedConcurrencyConfigNotFoundException"
                raise Refused(
                    404, code, "No Provisioned Concurrency Config found for this function"
                )
            return {"Status": "READY"}

        return dict(self._world.call("GetProvisionedConcurrencyConfig", apply))

    def invoke(self, **request: Any) -> dict[str, Any]:
        """Version 8, run once; an answer that is an `errorMessage` is a function error."""
        assert request["FunctionName"] == "checkout" and request["Qualifier"] in self._world.states

        def apply() -> dict[str, Any]:
            self._world.smoked.append(request["Payload"])
            answer = self._world.smoke(request["Payload"])
            if isinstance(answer, Exception):
                raise answer
            error = {"FunctionError": "Unhandled"} if b"errorMessage" in answer else {}
            return {"StatusCode": 200, "Payload": io.BytesIO(answer), **error}

        return dict(self._world.call("InvokeFunction", apply))

    def _check_names(self, function: str, alias: str, message: str) -> None:
        if (function, alias) != ("checkout", self._world.alias.name):
            raise Refused(404, "ResourceNotFoundException", f"{message}: {FUNCTION}:{alias}")
