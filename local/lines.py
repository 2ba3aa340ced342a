"""PURE. The lines that Lambda itself writes into a function's log, as text or as JSON.

They must never say more than AWS's do: when a handler has raised, they are those of a call that
went well.

https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

#: What Lambda calls a runtime that is gone.
EXITED = "Runtime.ExitError"

#: The levels of a function's own lines, in order; and what else they are called.
_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_ALIASES = {"WARNING": "WARN", "CRITICAL": "FATAL"}
#: A line of unknown level counts as this.
_USUAL = "INFO"

_KNOWN_TYPE = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")


class Ending(NamedTuple):
    """How a call or an init has ended: "success", "timeout" or "error", and the error's type."""

    status: str = "success"
    error: str = ""


class Called(NamedTuple):
    """What is told of a call: times in ms, without an init where there was none before it."""

    request_id: str
    duration: float
    init: float | None
    ending: Ending


class Function(NamedTuple):
    """What the lines tell of a function."""

    name: str
    version: str = "$LATEST"
    arn: str = ""
    runtime: str = ""
    memory: int = 128

    @property
    def runtime_version(self) -> str:
        """As AWS writes "python3.13", with the first build of it."""
        return re.sub(r"^([a-z]+)", r"\1:", self.runtime) + ".v1"

    @property
    def runtime_arn(self) -> str:
        return f"arn:aws:lambda:us-east-1::runtime:{'0' * 64}"


def error_type(told: str) -> str:
    """AWS's name for an error that a runtime has told of: a class of the function's is unknown."""
    return told if _KNOWN_TYPE.search(told) else "Runtime.Unknown"


def stream(function: Function, group: str, began: datetime, unique: str) -> str:
    """A sandbox's log stream, by the day on which it began."""
    day = began.astimezone(UTC).strftime("%Y/%m/%d")
    custom = group != f"/aws/lambda/{function.name}"
    name = function.name if custom else ""
    return f"{day}/{name}[{function.version}]{unique}"


def of(function: Function, logging: Mapping[str, str]) -> "Text | Json":
    """The lines of a function with this `LoggingConfig`."""
    if logging["LogFormat"] == "JSON":
        return Json(function, logging["SystemLogLevel"], logging["ApplicationLogLevel"])
    return Text(function)


class Text:
    """Each method gives the lines to write, as they stand in the log."""

    def __init__(self, function: Function) -> None:
        self._function = function

    def init_start(self, at: datetime) -> list[str]:
        version = f"Runtime Version: {self._function.runtime_version}"
        return [f"INIT_START {version}\tRuntime Version ARN: {self._function.runtime_arn}\n"]

    def init_report(self, at: datetime, phase: str, duration: float, ending: Ending) -> list[str]:
        if ending.status == "success":
            return []  # the call's report tells it
        told = f"INIT_REPORT Init Duration: {duration:.2f} ms\tPhase: {phase}"
        return [f"{told}{_told(ending)}\n"]

    def start(self, at: datetime, request_id: str) -> list[str]:
        return [f"START RequestId: {request_id} Version: {self._function.version}\n"]

    def own(self, line: str) -> list[str]:
        """A line of the function or its runtime, which ends the lines within it with "\\r"."""
        line = line.rstrip("\r")
        if "\r" in line:
            return [line.replace("\r", "\n")]
        return [f"{line}\n"]

    def end(self, at: datetime, called: Called, why: str) -> list[str]:
        """`why` the call ended as it did, where Lambda ended it."""
        lines = []
        if called.ending.status == "timeout":
            lines.append(f"{_time(at)} {called.request_id} {why}\n\n")
        elif called.ending.error == EXITED:
            lines.append(f"RequestId: {called.request_id} Error: {why}\n{EXITED}\n")
        lines.append(f"END RequestId: {called.request_id}\n")
        lines.append(self._report(called))
        return lines

    def _report(self, called: Called) -> str:
        memory = self._function.memory
        told = [
            f"REPORT RequestId: {called.request_id}",
            f"Duration: {called.duration:.2f} ms",
            f"Billed Duration: {_billed(called)} ms",
            f"Memory Size: {memory} MB",
            f"Max Memory Used: {memory} MB",
        ]
        if called.init is not None:
            told.append(f"Init Duration: {called.init:.2f} ms")
        return "\t".join(told) + (_told(called.ending) or "\t") + "\n"


class Json:
    """The same in JSON: records of the platform, without those that are below its level."""

    def __init__(self, function: Function, system: str, application: str) -> None:
        self._function = function
        self._system = _LEVELS.index(system)
        self._application = _LEVELS.index(application)

    def init_start(self, at: datetime) -> list[str]:
        record = {
            "initializationType": "on-demand",
            "phase": "init",
            "runtimeVersion": self._function.runtime_version,
            "runtimeVersionArn": self._function.runtime_arn,
            "functionName": self._function.name,
            "functionVersion": self._function.version,
        }
        return self._record(at, "INFO", "initStart", record)

    def init_report(self, at: datetime, phase: str, duration: float, ending: Ending) -> list[str]:
        about = {"initializationType": "on-demand", "phase": phase, **_status(ending)}
        report = {**about, "metrics": {"durationMs": round(duration, 3)}}
        level = _level(ending, "DEBUG")
        return [
            *self._record(at, level, "initRuntimeDone", about),
            *self._record(at, level, "initReport", report),
        ]

    def start(self, at: datetime, request_id: str) -> list[str]:
        record = {
            "requestId": request_id,
            "functionArn": self._function.arn,
            "version": self._function.version,
        }
        return self._record(at, "INFO", "start", record)

    def own(self, line: str) -> list[str]:
        """A line of the function or its runtime, if it is not below the level that is wanted."""
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        level = said.get("level") if isinstance(said, dict) else None
        level = _ALIASES.get(str(level), str(level))
        if level not in _LEVELS:
            level = _USUAL
        if _LEVELS.index(level) < self._application:
            return []
        line = line.rstrip("\r")
        return [f"{line}\n"]

    def end(self, at: datetime, called: Called, why: str) -> list[str]:
        metrics: dict[str, Any] = {
            "durationMs": round(called.duration, 3),
            "billedDurationMs": _billed(called),
            "memorySizeMB": self._function.memory,
            "maxMemoryUsedMB": self._function.memory,
        }
        if called.init is not None:
            metrics["initDurationMs"] = round(called.init, 3)
        status = _status(called.ending)
        done = {"requestId": called.request_id, **status}
        report = {"requestId": called.request_id, "metrics": metrics, **status}
        return [
            *self._record(at, _level(called.ending, "DEBUG"), "runtimeDone", done),
            *self._record(at, _level(called.ending, "INFO"), "report", report),
        ]

    def _record(self, at: datetime, level: str, kind: str, record: Any) -> list[str]:
        if _LEVELS.index(level) < self._system:
            return []
        told = {"time": _time(at), "type": f"platform.{kind}", "record": record}
        return [json.dumps(told, separators=(",", ":"))]


def _told(ending: Ending) -> str:
    """The end of a report in the text format; empty where all went well."""
    if ending.status == "success":
        return ""
    error = f"\tError Type: {ending.error}" if ending.error else ""
    return f"\tStatus: {ending.status}{error}"


def _status(ending: Ending) -> dict[str, str]:
    status = {"status": ending.status}
    if ending.error:
        status["errorType"] = ending.error
    return status


def _level(ending: Ending, usual: str) -> str:
    return usual if ending.status == "success" else "WARN"


def _billed(called: Called) -> int:
    """Whole ms, with the init."""
    return math.ceil(called.duration + (called.init or 0))


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
