"""Step Functions' executions: how they end, what is told of them, and the events that say so.

An execution that has ended must never change again, whatever its tasks, which go on running as on
AWS, still do.
"""

import threading
import time
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import iso_8601_datetime_with_milliseconds
from moto.stepfunctions.parser.api import ExecutionStatus, InvalidToken
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from moto.stepfunctions.responses import StepFunctionResponse

from local import events
from local.patches import replaces

_ending = threading.Lock()

_moto_start = Execution.start
_moto_describe = Execution.to_describe_output
_moto_history = Execution.to_history_output
_moto_reflect = BaseExecutionWorkerCommunication._reflect_execution_status

#: What an event has as null where `DescribeExecution` leaves it out.
_ABSENT = (
    "stopDate",
    "output",
    "outputDetails",
    "error",
    "cause",
    "stateMachineVersionArn",
    "stateMachineAliasArn",
)

#: What `ListExecutions` tells of each.
_LISTED = (
    "executionArn",
    "stateMachineArn",
    "name",
    "status",
    "startDate",
    "stopDate",
)

#: What `includeExecutionData=false` leaves out of a history event.
_DATA = ("input", "inputDetails", "output", "outputDetails", "parameters")


# How they begin and end.


@replaces(Execution, "start")
def _start(self: Any) -> None:
    """AWS: EventBridge gets an event at every change of an execution's status.
    moto: sends none.
    Upstream: `_tell`, at the start and at each way to end.
    """
    self.frozen_history = None
    self.exec_status = ExecutionStatus.RUNNING
    _tell(self)  # before its first state can end it
    _moto_start(self)


@replaces(Execution, "stop")
def _stop(self: Any, stop_date: datetime, error: str | None, cause: str | None) -> None:
    """AWS: a stopped execution has ended at once, while its task goes on running.
    moto: it has ended when the task that runs has ended.
    Upstream: the status and the last event, written by `stop` itself.
    """
    while self.exec_worker.env is None:
        time.sleep(0.01)
    with _ending:
        if self.exec_status is not ExecutionStatus.RUNNING:
            return
        self.error = error or None
        self.cause = cause or None
        given = {"error": error, "cause": cause}
        why = {key: value for key, value in given.items() if value}
        _freeze(self, "ExecutionAborted", {"executionAbortedEventDetails": why})
        self.stop_date = datetime.now(UTC)
        self.exec_status = ExecutionStatus.ABORTED
    self.exec_worker.env.set_stop(stop_date=stop_date, cause=cause, error=error)
    _tell(self)


@replaces(BaseExecutionWorkerCommunication, "_reflect_execution_status")
def _ended_by_itself(self: Any) -> None:
    """AWS: what has ended stays as it ended.
    moto: when the last task has ended, the status is written anew, with another date.
    Upstream: only a running execution takes a new status.
    """
    execution = self.execution
    with _ending:
        if execution.exec_status is not ExecutionStatus.RUNNING:
            return
        _moto_reflect(self)
        if execution.exec_status is ExecutionStatus.TIMED_OUT:
            _freeze(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {}})
    _tell(execution)


@replaces(Execution, "to_history_output")
def _history(self: Any) -> Any:
    """AWS: the history of a stopped or late execution ends with that.
    moto: it goes on with what the task still does.
    Upstream: no event after the last one.
    """
    return self.frozen_history or _moto_history(self)


def _freeze(execution: Any, kind: str, details: dict[str, Any]) -> None:
    """The history ends with this event, though the interpreter may write on."""
    told = [event for event in _moto_history(execution)["events"] if event["type"] != kind]
    last = {
        "id": len(told) + 1,
        "previousEventId": 0,
        "type": kind,
        "timestamp": iso_8601_datetime_with_milliseconds(datetime.now(UTC)),
    }
    execution.frozen_history = {"events": [*told, {**last, **details}]}


def _tell(execution: Any) -> None:
    """The event that EventBridge gets, with the fields of `DescribeExecution`; dates are
    milliseconds."""
    detail = {**dict.fromkeys(_ABSENT), **_described(execution)}
    for date in ("startDate", "stopDate"):
        detail[date] = detail[date] and int(detail[date].timestamp() * 1000)
    kind = "Step Functions Execution Status Change"
    events.emit("aws.states", kind, [execution.exec_arn], detail)


# What is told of them.


@replaces(StepFunctionResponse, "stop_execution")
def _stop_execution(self: Any) -> ActionResult:
    """AWS: `StopExecution` takes an error and a cause, which the execution then has.
    moto: passes over both.
    Upstream: both parameters.
    """
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    execution.stop(datetime.now(UTC), self._get_param("error"), self._get_param("cause"))
    return ActionResult({"stopDate": execution.stop_date})


@replaces(StepFunctionResponse, "describe_execution")
def _describe_execution(self: Any) -> ActionResult:
    """AWS: tells when a late execution ended.
    moto: leaves out the `stopDate` of what is TIMED_OUT.
    Upstream: that field.
    """
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    return ActionResult(_described(execution))


@replaces(StepFunctionResponse, "list_executions")
def _list_executions(self: Any) -> ActionResult:
    """AWS: lists executions with their `stopDate`, if they have ended.
    moto: leaves out the `stopDate` of what is TIMED_OUT.
    Upstream: that field.
    """
    found, token = self.stepfunction_backend.list_executions(
        self._get_param("stateMachineArn"),
        status_filter=self._get_param("statusFilter"),
        max_results=self._get_int_param("maxResults") or None,
        next_token=self._get_param("nextToken"),
    )
    told = [_described(execution) for execution in found]
    items = [{key: each[key] for key in _LISTED if key in each} for each in told]
    answer: dict[str, Any] = {"executions": items}
    if token:
        answer["nextToken"] = token
    return ActionResult(answer)


@replaces(StepFunctionResponse, "get_execution_history")
def _get_execution_history(self: Any) -> ActionResult:
    """AWS: gives the history in pages, backwards, and without data, if it is asked to.
    moto: gives all of it, whatever it is asked.
    Upstream: `maxResults`, `nextToken`, `reverseOrder` and `includeExecutionData`.
    """
    history = self.stepfunction_backend.get_execution_history(self._get_param("executionArn"))
    told = history["events"]
    if self._get_param("reverseOrder"):
        told = told[::-1]
    token = self._get_param("nextToken") or "0"
    if not token.isdigit():
        raise InvalidToken("Invalid Token")
    start = int(token)
    end = start + (self._get_int_param("maxResults") or 100)
    page = told[start:end]
    if self._get_param("includeExecutionData") is False:
        page = [_without_data(event) for event in page]
    answer: dict[str, Any] = {"events": page}
    if end < len(told):
        answer["nextToken"] = str(end)
    return ActionResult(answer)


def _described(execution: Any) -> dict[str, Any]:
    told = {key: value for key, value in _moto_describe(execution).items() if value is not None}
    told["input"] = execution.execution_input  # as it was given, not as it was read
    told["status"] = execution.status
    return told


def _without_data(event: dict[str, Any]) -> dict[str, Any]:
    told = {}
    for key, value in event.items():
        if isinstance(value, dict):
            value = {name: each for name, each in value.items() if name not in _DATA}
        told[key] = value
    return told
