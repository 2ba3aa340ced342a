"""State machines that really run: moto's interpreter behind templates and the API, made as strict
as AWS.

`apply()` changes moto's classes in this process, once. Tasks are invoked over the endpoint of
`MOTO_PORT`.
"""

import logging
import re
import threading
import uuid
from typing import Any

import moto.stepfunctions.models as models
from botocore.exceptions import ClientError, HTTPClientError
from moto.core.config import default_user_config
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

#: What `States.ALL` matches in moto and not on AWS: these end an execution whatever its retries and
#: catchers.
_NEVER_CAUGHT = ("States.Runtime", "States.DataLimitExceeded")

#: What `DefinitionSubstitutions` replaces.
PLACEHOLDER = re.compile(r"\$\{(\w+)\}")

_moto_matches, _moto_failure = ErrorEqualsDecl._eval_body, StateTaskLambda._from_error


def apply() -> None:
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    models.stepfunctions_backends = stepfunctions_parser_backends  # where CloudFormation puts them
    ErrorEqualsDecl._eval_body = matches
    ComparisonVariable._eval_body = compare
    StateTaskLambda._from_error = _failure
    logging.getLogger("moto.stepfunctions").setLevel(
        logging.CRITICAL
    )  # it prints every failure at length
    _read_definitions()
    _name_executions()
    _share_clients()


def matches(self: Any, env: Any) -> None:
    """`ErrorEquals` against the error on the stack, as moto's but for what AWS never catches."""
    error = env.stack[-1]
    if (
        error
        and error.error_name in _NEVER_CAUGHT
        and self.error_names[0].error_name == "States.ALL"
    ):
        env.stack[-1] = False
    else:
        _moto_matches(self, env)


def compare(self: Any, env: Any) -> None:
    """One comparison of a Choice. What it looks at must be there; in moto the comparison is only
    not true."""
    self.variable.eval(env)
    asked = self.comparison_function.operator_type
    if isinstance(env.stack[-1], NoSuchVariable) and asked is not ComparisonOperatorType.IsPresent:
        name, path = StatesErrorNameType.StatesRuntime, self.variable.string_sampler.literal_value
        cause = (
            f"Invalid path '{path}': The choice state's condition path references an invalid value."
        )
        details = ExecutionFailedEventDetails(error=name.to_name(), cause=cause)
        event = EventDetails(executionFailedEventDetails=details)
        raise FailureEventException(
            FailureEvent(env, StatesErrorName(name), HistoryEventType.ExecutionFailed, event)
        )
    self.comparison_function.eval(env)


def refused(env: Any, name: str, cause: str) -> Any:
    """The failure of a Lambda task whose `Invoke` itself was refused, such as
    `Lambda.TooManyRequestsException`."""
    details = LambdaFunctionFailedEventDetails(error=name, cause=cause)
    event = EventDetails(lambdaFunctionFailedEventDetails=details)
    return FailureEvent(env, CustomErrorName(name), HistoryEventType.LambdaFunctionFailed, event)


def _failure(self: Any, env: Any, ex: Exception) -> Any:
    """moto calls every refused `Invoke` just "Exception"."""
    if isinstance(ex, HTTPClientError):
        return refused(env, "Lambda.SdkClientException", str(ex))
    if isinstance(ex, ClientError):
        return refused(
            env, f"Lambda.{ex.response['Error']['Code']}", ex.response["Error"]["Message"]
        )
    return _moto_failure(self, env, ex)


def _read_definitions() -> None:
    """The definition that a template names by its place in S3, and its substitutions: moto reads
    neither."""
    create = models.StateMachine.create_from_cloudformation_json.__func__
    update = models.StateMachine.update_from_cloudformation_json.__func__

    def created(
        cls: Any, /, name: str, cloudformation_json: Any, account_id: str, *args: Any, **rest: Any
    ) -> Any:
        return create(
            cls, name, _with_definition(cloudformation_json, account_id), account_id, *args, **rest
        )

    def updated(
        cls: Any, /, *args: Any, cloudformation_json: Any, account_id: str, **rest: Any
    ) -> Any:
        completed = _with_definition(cloudformation_json, account_id)
        return update(cls, *args, cloudformation_json=completed, account_id=account_id, **rest)

    models.StateMachine.create_from_cloudformation_json = classmethod(created)
    models.StateMachine.update_from_cloudformation_json = classmethod(updated)


def _with_definition(resource: Any, account: str) -> Any:
    properties = dict(resource["Properties"])
    if place := properties.get("DefinitionS3Location"):
        stored = s3_backends[account]["aws"].get_object(
            place["Bucket"], place["Key"], place.get("Version")
        )
        properties["DefinitionString"] = stored.value.decode()
    values = properties.get("DefinitionSubstitutions", {})
    definition = PLACEHOLDER.sub(
        lambda found: str(values.get(found[1], found[0])), properties["DefinitionString"]
    )
    return {**resource, "Properties": {**properties, "DefinitionString": definition}}


def _name_executions() -> None:
    """As AWS does when the caller gives no name; and a name that is given is checked."""
    start = StepFunctionsParserBackend.start_execution

    def named(
        self: Any, state_machine_arn: str, name: str | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        name = name or str(uuid.uuid4())
        self._validate_name(name)
        return start(self, state_machine_arn, name, *args, **kwargs)

    StepFunctionsParserBackend.start_execution = named


def _share_clients() -> None:
    """One client for all executions: moto makes one for every task, and that is not safe between
    threads."""
    create, clients, lock = lambda_eval_utils.boto_client_for, {}, threading.Lock()

    def client_for(region: str, service: str, state_credentials: Any = None) -> Any:
        with lock:
            if (region, service) not in clients:
                clients[region, service] = create(region=region, service=service)
            return clients[region, service]

    lambda_eval_utils.boto_client_for = client_for
