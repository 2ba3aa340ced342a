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

_ending = threading.Lock()
_moto_start, _moto_reflect = (
    Execution.start,
    BaseExecutionWorkerCommunication._reflect_execution_status,
)
_moto_describe, _moto_history = Execution.to_describe_output, Execution.to_history_output

#: Why an execution in this state cannot be started again where it failed.
_NOT_REDRIVABLE = {
    status: f"Execution is {status} and cannot be redriven" for status in ("RUNNING", "SUCCEEDED")
}

#: What `includeExecutionData=false` leaves out of a history event.
_DATA = ("input", "inputDetails", "output", "outputDetails", "parameters")


def apply() -> None:
    Execution.start, Execution.stop = _start, stop
    Execution.to_history_output = _history
    BaseExecutionWorkerCommunication._reflect_execution_status = _ended_by_itself
    StepFunctionResponse.stop_execution = _stop_execution
    StepFunctionResponse.describe_execution = _describe_execution
    StepFunctionResponse.list_executions = _list_executions
    StepFunctionResponse.get_execution_history = _get_execution_history


def _start(self: Any) -> None:
    self.frozen_history = None
    self.exec_status = ExecutionStatus.RUNNING
    _tell(self)  # before its first state can end it
    _moto_start(self)


def stop(self: Any, stop_date: datetime, error: str | None, cause: str | None) -> None:
    """At once; moto waits for the task that runs. What has ended stays as it ended."""
    while self.exec_worker.env is None:
        time.sleep(0.01)
    with _ending:
        if self.exec_status is not ExecutionStatus.RUNNING:
            return
        self.error, self.cause = error or None, cause or None
        why = {key: value for key, value in (("error", error), ("cause", cause)) if value}
        _freeze(self, "ExecutionAborted", {"executionAbortedEventDetails": why})
        self.stop_date, self.exec_status = datetime.now(UTC), ExecutionStatus.ABORTED
    self.exec_worker.env.set_stop(stop_date=stop_date, cause=cause, error=error)
    _tell(self)


def _ended_by_itself(self: Any) -> None:
    execution = self.execution
    with _ending:
        if execution.exec_status is not ExecutionStatus.RUNNING:
            return
        _moto_reflect(self)
        if execution.exec_status is ExecutionStatus.TIMED_OUT:
            _freeze(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {}})
    _tell(execution)


def _freeze(execution: Any, kind: str, details: dict[str, Any]) -> None:
    """The history ends with this event, though the interpreter may write on."""
    told = [event for event in _moto_history(execution)["events"] if event["type"] != kind]
    stamp = iso_8601_datetime_with_milliseconds(datetime.now(UTC))
    told.append(
        {"id": len(told) + 1, "previousEventId": 0, "type": kind, "timestamp": stamp, **details}
    )
    execution.frozen_history = {"events": told}


def _history(self: Any) -> Any:
    return self.frozen_history or _moto_history(self)


def _tell(execution: Any) -> None:
    """The event that EventBridge gets, with the fields of `DescribeExecution`; dates are
    milliseconds."""
    told = _described(execution)
    absent = (
        "stopDate",
        "output",
        "outputDetails",
        "error",
        "cause",
        "stateMachineVersionArn",
        "stateMachineAliasArn",
    )
    detail = {**dict.fromkeys((*absent, "redriveDate", "redriveStatusReason")), **told}
    for date in ("startDate", "stopDate"):
        detail[date] = detail[date] and int(detail[date].timestamp() * 1000)
    events.emit(
        "aws.states", "Step Functions Execution Status Change", [execution.exec_arn], detail
    )


def _described(execution: Any) -> dict[str, Any]:
    told = {key: value for key, value in _moto_describe(execution).items() if value is not None}
    told["input"] = execution.execution_input  # as it was given, not as it was read
    status = told["status"] = execution.status
    redrive = {
        "redriveCount": 0,
        "redriveStatus": "NOT_REDRIVABLE" if status in _NOT_REDRIVABLE else "REDRIVABLE",
    }
    reason = {"redriveStatusReason": _NOT_REDRIVABLE[status]} if status in _NOT_REDRIVABLE else {}
    return {**told, **redrive, **reason}


def _stop_execution(self: Any) -> ActionResult:
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    execution.stop(datetime.now(UTC), self._get_param("error"), self._get_param("cause"))
    return ActionResult({"stopDate": execution.stop_date})


def _describe_execution(self: Any) -> ActionResult:
    return ActionResult(
        _described(self.stepfunction_backend.describe_execution(self._get_param("executionArn")))
    )


def _list_executions(self: Any) -> ActionResult:
    found, token = self.stepfunction_backend.list_executions(
        self._get_param("stateMachineArn"),
        status_filter=self._get_param("statusFilter"),
        max_results=self._get_int_param("maxResults") or None,
        next_token=self._get_param("nextToken"),
    )
    keys = (
        "executionArn",
        "stateMachineArn",
        "name",
        "status",
        "startDate",
        "stopDate",
        "redriveCount",
    )
    told = [_described(execution) for execution in found]
    items = [{key: each[key] for key in keys if key in each} for each in told]
    return ActionResult({"executions": items, **({"nextToken": token} if token else {})})


def _get_execution_history(self: Any) -> ActionResult:
    arn, token = self._get_param("executionArn"), self._get_param("nextToken") or "0"
    history = self.stepfunction_backend.get_execution_history(arn)["events"]
    if self._get_param("reverseOrder"):
        history = history[::-1]
    if not token.isdigit():
        raise InvalidToken("Invalid Token")
    start, count = int(token), self._get_int_param("maxResults") or 100
    page, rest = history[start : start + count], history[start + count :]
    if self._get_param("includeExecutionData") is False:
        page = [{key: _without_data(value) for key, value in event.items()} for event in page]
    return ActionResult({"events": page, **({"nextToken": str(start + count)} if rest else {})})


def _without_data(value: Any) -> Any:
    return (
        {key: each for key, each in value.items() if key not in _DATA}
        if isinstance(value, dict)
        else value
    )
