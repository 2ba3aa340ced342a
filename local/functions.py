"""Lambda's functions: where they write their logs, and how (`LoggingConfig`).

A function must never write into another group, or in another format, than its configuration says.
"""

from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.models import LambdaFunction

from local.patches import replaces

_FORMATS = ("Text", "JSON")
#: The levels, by their names in a `LoggingConfig`; each has a default where the format is JSON.
_LEVELS = {
    "ApplicationLogLevel": ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"),
    "SystemLogLevel": ("DEBUG", "INFO", "WARN"),
}
_USUAL = "INFO"

_moto_init = LambdaFunction.__init__
_moto_create = LambdaFunction.create_from_cloudformation_json.__func__
_moto_update = LambdaFunction.update_configuration
_moto_configuration = LambdaFunction.get_configuration


@replaces(LambdaFunction, "__init__")
def _init(self: Any, account_id: str, spec: dict[str, Any], *args: Any, **kwargs: Any) -> None:
    """AWS: a function writes its log as its `LoggingConfig` says.
    moto: passes over `LoggingConfig`; a function's log is always `/aws/lambda/<name>`.
    Upstream: `LoggingConfig`, in templates and in the API.
    """
    _moto_init(self, account_id, spec, *args, **kwargs)
    _configure(self, spec)


@replaces(LambdaFunction, "create_from_cloudformation_json", classmethod)
def _create(
    cls: Any, resource_name: str, cloudformation_json: Any, *args: Any, **kwargs: Any
) -> Any:
    """AWS: so does a function of a template.
    moto: takes only some of a template's properties over.
    Upstream: `LoggingConfig` among them.
    """
    function = _moto_create(cls, resource_name, cloudformation_json, *args, **kwargs)
    _configure(function, cloudformation_json["Properties"])
    return function


@replaces(LambdaFunction, "update_configuration")
def _update(self: Any, config_updates: dict[str, Any]) -> Any:
    """AWS: an update changes of the `LoggingConfig` what it names.
    moto: passes over it.
    Upstream: the same.
    """
    _configure(self, config_updates)
    return _moto_update(self, config_updates)


@replaces(LambdaFunction, "get_configuration")
def _configuration(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """AWS: a function's configuration has its `LoggingConfig`.
    moto: leaves it out.
    Upstream: the same.
    """
    return {**_moto_configuration(self, *args, **kwargs), "LoggingConfig": logging(self)}


def logging(function: Any) -> dict[str, str]:
    """Its `LoggingConfig`, as AWS answers it: levels only where the format is JSON."""
    told = {"LogFormat": "Text", **function.logging_config, "LogGroup": function.logs_group_name}
    if told["LogFormat"] == "JSON":
        return {**dict.fromkeys(_LEVELS, _USUAL), **told}
    return told


def logging_variables(logging: dict[str, str]) -> dict[str, str]:
    """What tells a runtime of it."""
    if logging["LogFormat"] == "Text":
        return {}
    return {
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_LEVEL": logging["ApplicationLogLevel"],
    }


def _configure(function: Any, wanted: dict[str, Any]) -> None:
    """By the `LoggingConfig` in what is wanted, if there is one."""
    before = getattr(function, "logging_config", {})
    config = {**before, **(wanted.get("LoggingConfig") or {})}
    function.logs_group_name = config.pop("LogGroup", function.logs_group_name)
    named = wanted.get("LoggingConfig", {})
    if config.get("LogFormat", "Text") == "Text":
        if levels := sorted(_LEVELS.keys() & named.keys()):
            told = f"{levels[0]} can only be set where LogFormat is JSON."
            raise InvalidParameterValueException(told)
        config = {key: value for key, value in config.items() if key not in _LEVELS}
    for key, value in config.items():
        if value not in {"LogFormat": _FORMATS, **_LEVELS}.get(key, ()):
            raise InvalidParameterValueException(f"The value {value} for {key} is not known.")
    function.logging_config = config
