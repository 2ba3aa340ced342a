"""State machines that really run: moto's interpreter behind templates and the API, made as strict
as AWS.

An execution must never go on here where AWS would have ended it. `server.py` switches the
interpreter on; tasks are invoked over the endpoint of `MOTO_PORT`.
"""

import re
import threading
import uuid
from typing import Any

import moto.stepfunctions.models as models
from botocore.exceptions import ClientError, HTTPClientError
from moto.s3.models import s3_backends
from moto.stepfunctions.parser.api import (
    ExecutionFailedEventDetails,
    HistoryEventType,
    LambdaFunctionFailedEventDetails,
)
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import (
    CustomErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import (
    ErrorEqualsDecl,
)
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import (
    StatesErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.choice.comparison.comparison_operator_type import (
    ComparisonOperatorType,
)
from moto.stepfunctions.parser.asl.component.state.choice.comparison.comparison_variable import (
    ComparisonVariable,
)
from moto.stepfunctions.parser.asl.component.state.choice.comparison.variable import NoSuchVariable
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_lambda import (
    StateTaskLambda,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.models import (
    StepFunctionsParserBackend,
    stepfunctions_parser_backends,
)

from local.patches import replace_value, replaces

#: What `States.ALL` matches in moto and not on AWS: these end an execution whatever its retries and
#: catchers.
_NEVER_CAUGHT = ("States.Runtime", "States.DataLimitExceeded")

#: What `DefinitionSubstitutions` replaces.
PLACEHOLDER = re.compile(r"\$\{(\w+)\}")

_moto_matches = ErrorEqualsDecl._eval_body
_moto_failure = StateTaskLambda._from_error
_moto_create = models.StateMachine.create_from_cloudformation_json.__func__
_moto_update = models.StateMachine.update_from_cloudformation_json.__func__
_moto_start = StepFunctionsParserBackend.start_execution
_moto_client_for = lambda_eval_utils.boto_client_for

replace_value(
    models,
    "stepfunctions_backends",
    stepfunctions_parser_backends,
    """
    AWS: a template's state machine is the one that the API starts.
    moto: puts it into another back end than its interpreter's, where no execution runs.
    Upstream: `StateMachine` of stepfunctions/models.py asks which back end is in use.
    """,
)


@replaces(ErrorEqualsDecl, "_eval_body")
def matches(self: Any, env: Any) -> None:
    """`ErrorEquals` against the error on the stack.

    AWS: `States.ALL` does not match `States.Runtime` and `States.DataLimitExceeded`.
    moto: `States.ALL` matches every error.
    Upstream: the condition below, in `ErrorEqualsDecl`.
    """
    error = env.stack[-1]
    of_all = self.error_names[0].error_name == "States.ALL"
    if error and error.error_name in _NEVER_CAUGHT and of_all:
        env.stack[-1] = False
    else:
        _moto_matches(self, env)


@replaces(ComparisonVariable, "_eval_body")
def compare(self: Any, env: Any) -> None:
    """One comparison of a Choice.

    AWS: what it looks at must be there (but for `IsPresent`), else the execution ends with
    `States.Runtime`.
    moto: a comparison with what is not there is only not true.
    Upstream: the error, in `ComparisonVariable`.
    """
    self.variable.eval(env)
    asked = self.comparison_function.operator_type
    absent = isinstance(env.stack[-1], NoSuchVariable)
    if absent and asked is not ComparisonOperatorType.IsPresent:
        raise FailureEventException(_invalid_path(env, self.variable))
    self.comparison_function.eval(env)


def _invalid_path(env: Any, variable: Any) -> Any:
    name = StatesErrorNameType.StatesRuntime
    path = variable.string_sampler.literal_value
    why = "The choice state's condition path references an invalid value."
    cause = f"Invalid path '{path}': {why}"
    details = ExecutionFailedEventDetails(error=name.to_name(), cause=cause)
    event = EventDetails(executionFailedEventDetails=details)
    return FailureEvent(env, StatesErrorName(name), HistoryEventType.ExecutionFailed, event)


@replaces(StateTaskLambda, "_from_error")
def _failure(self: Any, env: Any, ex: Exception) -> Any:
    """AWS: a refused `Invoke` is an error such as `Lambda.ServiceException`, by which it is retried.
    moto: calls every refused `Invoke` just "Exception", and a lost one `States.TaskFailed`.
    Upstream: the two names, in `StateTaskLambda._from_error`.
    """
    if isinstance(ex, HTTPClientError):
        return refused(env, "Lambda.SdkClientException", str(ex))
    if isinstance(ex, ClientError):
        error = ex.response["Error"]
        return refused(env, f"Lambda.{error['Code']}", error["Message"])
    return _moto_failure(self, env, ex)


def refused(env: Any, name: str, cause: str) -> Any:
    """The failure of a Lambda task whose `Invoke` itself was refused, such as
    `Lambda.TooManyRequestsException`."""
    details = LambdaFunctionFailedEventDetails(error=name, cause=cause)
    event = EventDetails(lambdaFunctionFailedEventDetails=details)
    return FailureEvent(env, CustomErrorName(name), HistoryEventType.LambdaFunctionFailed, event)


@replaces(models.StateMachine, "create_from_cloudformation_json", classmethod)
def _create_machine(
    cls: Any, /, name: str, cloudformation_json: Any, account_id: str, *args: Any, **rest: Any
) -> Any:
    """AWS: reads a definition from S3, and replaces `DefinitionSubstitutions` in it.
    moto: knows `DefinitionString` alone, as it stands.
    Upstream: what moto's own resource provider for state machines does, called here.
    """
    completed = _with_definition(cloudformation_json, account_id)
    return _moto_create(cls, name, completed, account_id, *args, **rest)


@replaces(models.StateMachine, "update_from_cloudformation_json", classmethod)
def _update_machine(cls: Any, *, cloudformation_json: Any, account_id: str, **rest: Any) -> Any:
    """AWS: reads the definition in the same way when a stack is updated.
    moto: takes `DefinitionString` alone then, too.
    Upstream: the same call.
    """
    completed = _with_definition(cloudformation_json, account_id)
    return _moto_update(cls, cloudformation_json=completed, account_id=account_id, **rest)


def _with_definition(resource: Any, account: str) -> Any:
    properties = dict(resource["Properties"])
    definition = properties.get("DefinitionString", "")
    if place := properties.get("DefinitionS3Location"):
        s3 = s3_backends[account]["aws"]
        stored = s3.get_object(place["Bucket"], place["Key"], place.get("Version"))
        definition = stored.value.decode()
    values = properties.get("DefinitionSubstitutions", {})

    def value(found: re.Match[str]) -> str:
        return str(values.get(found[1], found[0]))

    properties["DefinitionString"] = PLACEHOLDER.sub(value, definition)
    return {**resource, "Properties": properties}


@replaces(StepFunctionsParserBackend, "start_execution")
def _start(
    self: Any, state_machine_arn: str, name: str | None = None, *args: Any, **kwargs: Any
) -> Any:
    """AWS: gives an execution a name where the caller gives none, and checks one that is given.
    moto: starts an execution without a name, under an ARN that ends in "None"; checks nothing.
    Upstream: both, in the interpreter's back end.
    """
    name = name or str(uuid.uuid4())
    self._validate_name(name)
    return _moto_start(self, state_machine_arn, name, *args, **kwargs)


_clients: dict[tuple[str, str], Any] = {}
_making_clients = threading.Lock()


@replaces(lambda_eval_utils, "boto_client_for")
def _client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    """AWS: executions run beside each other.
    moto: makes a client for every task, which is slow and not safe between threads.
    Upstream: one client for all tasks of a service.
    """
    with _making_clients:
        if (region, service) not in _clients:
            _clients[region, service] = _moto_client_for(region=region, service=service)
        return _clients[region, service]
