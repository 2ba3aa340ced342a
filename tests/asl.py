"""Runs a Step Functions definition in virtual time: moto's own interpreter, in this process and
this thread."""

import contextlib
import functools
import json
import random
import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from moto.stepfunctions.parser.api import StateMachineType
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import (
    ErrorEqualsDecl,
)
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.component.common.retry import jitter_strategy_decl, retrier_decl
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import EvalTimeoutError
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.program import program
from moto.stepfunctions.parser.asl.component.state.choice.comparison.comparison_variable import (
    ComparisonVariable,
)
from moto.stepfunctions.parser.asl.component.state.exec import execute_state
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)
from moto.stepfunctions.parser.asl.eval import evaluation_details as details
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.backend.execution_worker import SyncExecutionWorker

from local import stepfunctions
from world.execution import Event, Failed, History, function_error

_ACCOUNT, _REGION, _NAME = "123456789012", "eu-west-1", "DeployStateMachine"
_FUNCTION = f"arn:aws:lambda:{_REGION}:{_ACCOUNT}:function:DeployWorkflowFunction"
_MACHINE = f"arn:aws:states:{_REGION}:{_ACCOUNT}:stateMachine:{_NAME}"
_ROLE = f"arn:aws:iam::{_ACCOUNT}:role/{_NAME}"
_REVISION = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
#: As the definition names the function.
_PLACEHOLDER = "${DeployWorkflowFunctionArn}"
#: What is compared of an event's details.
_TOLD = ("name", "input", "output", "error", "cause")


class _Through(BaseException):
    """A test's failed assertion on its way out, past the interpreter's own handlers."""


def interpret(
    definition: dict[str, Any],
    payload: Any,
    invoke: Callable[[Any], Any],
    sleep: Callable[[float], None],
    execution: str = "run",
) -> History:
    """The history of an execution with that payload; `invoke` and `sleep` are those of
    `world/execution.py`."""
    source = stepfunctions.PLACEHOLDER.sub(_FUNCTION, json.dumps(definition))
    arn = _MACHINE.replace("stateMachine", "execution") + f":{execution}"
    worker = _Worker(
        details.EvaluationDetails(
            details.AWSExecutionDetails(_ACCOUNT, _REGION, _ROLE),
            details.ExecutionDetails(
                arn, execution, _ROLE, json.loads(json.dumps(payload)), "2026-01-05T12:00:00Z"
            ),
            details.StateMachineDetails(_MACHINE, _NAME, StateMachineType.STANDARD, source),
        ),
        exec_comm=SimpleNamespace(terminated=lambda: None),
        cloud_watch_logging_session=None,
        activity_store={},
    )
    with _in_virtual_time(invoke, sleep):
        try:
            worker.start()
        except _Through as through:
            raise through.args[0] from None
    history = History()
    for event in worker.env.event_manager.get_event_history():
        history.note(_comparable(event))
    return history


def alike(ours: History, theirs: History) -> bool:
    """Whether these are the same histories, but for the alias's revisions, which every world draws
    anew."""
    return _numbered(ours) == _numbered(theirs)


def _numbered(history: History) -> str:
    """Revisions by their order."""
    found: dict[str, str] = {}
    text = json.dumps(history.events)
    return _REVISION.sub(lambda each: found.setdefault(each[0], f"revision {len(found)}"), text)


def _comparable(event: Any) -> Event:
    """The event as `world/execution.py` writes it."""
    kept = {
        key: {
            name: value.replace(_FUNCTION, _PLACEHOLDER)
            for name, value in details.items()
            if name in _TOLD
        }
        for key, details in event.items()
        if isinstance(details, dict)
    }
    return {"type": event["type"].value, **kept}


@functools.cache
def _parse(source: str) -> Any:
    return AmazonStateLanguageParser.parse(source)[0]


class _Worker(SyncExecutionWorker):  # type: ignore[misc]
    """A definition is parsed once: what its parts remember, they keep in the execution's
    environment."""

    def _get_evaluation_entrypoint(self) -> Any:
        return _parse(self._evaluation_details.state_machine_details.definition)


class _Thread:
    """moto starts a thread for each task and waits for it; here it runs at once, where `sleep` and
    `invoke` live."""

    def __init__(self, target: Callable[..., None], args: tuple[Any, ...] = (), **_: Any) -> None:
        self.start = functools.partial(target, *args)

    def join(self, timeout: float | None = None) -> None:
        """It has ended."""

    def is_alive(self) -> bool:
        return False


@contextlib.contextmanager
def _in_virtual_time(
    invoke: Callable[[Any], Any], sleep: Callable[[float], None]
) -> Iterator[None]:
    """moto's interpreter with this function, this clock, no threads; as it was when the block
    ends."""

    def call(env: Any, parameters: Any, **_: Any) -> None:
        env.stack.append({"Payload": _call(env, parameters["Payload"], invoke)})

    def wait(_self: Any, env: Any, wait_seconds: float) -> None:
        sleep(wait_seconds)

    patches: list[Any] = [
        patch.object(lambda_eval_utils, "execute_lambda_function_integration", call),
        patch.object(WaitFunction, "_wait_interval", wait),
        patch.object(retrier_decl, "time", SimpleNamespace(sleep=sleep)),
        patch.object(jitter_strategy_decl, "random", random.Random(1)),
        patch.object(execute_state, "Thread", _Thread),
        patch.object(program, "threading", SimpleNamespace(Thread=_Thread)),
        patch.object(execute_state, "TMP_THREADS", []),  # moto would keep every thread for ever
        patch.object(program, "TMP_THREADS", []),
        # Where moto is kinder than AWS, see there.
        patch.object(ErrorEqualsDecl, "_eval_body", stepfunctions.matches),
        patch.object(ComparisonVariable, "_eval_body", stepfunctions.compare),
        # moto parses every path anew, and prints the whole definition at every error.
        patch.object(json_path, "parse", functools.cache(json_path.parse)),
        patch.object(result_path, "parse", functools.cache(result_path.parse)),
        patch.object(EvalComponent, "_log_exception"),
        patch.object(EvalComponent, "_log_failure_event_exception"),
    ]
    with contextlib.ExitStack() as stack:
        for each in patches:
            stack.enter_context(each)
        yield


def _call(env: Any, payload: bytes, invoke: Callable[[Any], Any]) -> Any:
    """The function's answer, or its failure as the interpreter knows it."""
    try:
        return json.loads(json.dumps(invoke(json.loads(payload))))
    except AssertionError as failed:
        raise _Through(failed) from None
    except Failed as failed:
        failure = failed
    except Exception as error:
        failure = function_error(error)
    if failure.error == "States.Timeout":
        raise EvalTimeoutError
    raise FailureEventException(stepfunctions.refused(env, failure.error, failure.cause))
