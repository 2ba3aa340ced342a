"""Failed calls in a function's log: which kinds of errors, of which requests. No I/O.

A table by format and runtime, of lines as Lambda and its runtimes write them. It only ever explains
what metrics have judged: a line may be somebody's imitation. What comes out is a kind of error, a
request's id and a stream, and never a message, a traceback or a payload.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

#: What FilterLogEvents finds the candidates by: any of these phrases.
PATTERN = " ".join(
    f'?"{phrase}"'
    for phrase in (
        "Task timed out after",
        "Runtime exited",
        "Status: timeout",
        "Status: error",
        "[ERROR] ",
        "Invoke Error",
        "Uncaught Exception",
        "Unhandled Promise Rejection",
        "errorType",
        "platform.report",
    )
)

#: The kind of a call that ran out of time.
TIMED_OUT = "timed out"

_TIMEOUT = re.compile(
    r"(?:\S+ )?(?P<request>[0-9a-f-]{36}) Task timed out after [0-9.]+ seconds\s*"
)
_EXIT = re.compile(r"RequestId: (?P<request>[0-9a-f-]{36}) Error: Runtime exited")
_REPORT = re.compile(
    r"REPORT RequestId: (?P<request>[0-9a-f-]{36})\t"
    r".*Status: (?P<status>timeout|error)(?:\tError Type: (?P<kind>\S+))?",
    re.DOTALL,
)
# awslambdaric; `logging.error` writes a tab after [ERROR], and no traceback in the same event.
_PYTHON = re.compile(r"\[ERROR\] (?P<kind>[\w.]+)(?::.*?)?[\r\n]\s*Traceback \(most rec", re.DOTALL)
_NODE = re.compile(
    r"\S+\t(?P<request>[0-9a-f-]{36}|undefined|-)?\tERROR\t"
    r"(?:Invoke Error|Uncaught Exception|Unhandled Promise Rejection) *\t(?P<object>\{.*)",
    re.DOTALL,
)

#: The name of a type; whatever else stands there may be anybody's words.
_TYPE = re.compile(r"[A-Za-z_][\w.:]{0,99}")


class Line(NamedTuple):
    """One event of a log."""

    time: float  # seconds since 1970
    stream: str
    text: str


class Failure(NamedTuple):
    """One failed call. `request` is empty where no line tells it."""

    kind: str
    request: str
    stream: str


def failures(lines: Iterable[Line]) -> list[Failure]:
    """Each failed call once, however many lines it has."""
    found: dict[Any, Failure] = {}
    for number, line in enumerate(lines):
        said = _said(line.text)
        if said is None:
            continue
        kind, request = said
        found.setdefault(request or number, Failure(kind, request, line.stream))
    return list(found.values())


def told(found: Sequence[Failure]) -> str:
    """In words; empty where there is none."""
    if not found:
        return ""
    counted = Counter(failure.kind for failure in found).most_common()
    kinds = ", ".join(f"{number} × {kind}" for kind, number in counted)
    example = next((failure for failure in found if failure.request), found[0])
    request = f"request {example.request}, " if example.request else ""
    return f"In its log: {kinds}; such as {request}stream {example.stream}."


def _said(text: str) -> tuple[str, str] | None:
    """The kind of error and the request's id; None where the line tells of no failed call."""
    if text.startswith("{"):
        return _of_object(text, "")
    if timeout := _TIMEOUT.fullmatch(text):
        return TIMED_OUT, timeout["request"]
    if exited := _EXIT.match(text):
        return "Runtime.ExitError", exited["request"]
    if report := _REPORT.match(text):
        kind = TIMED_OUT if report["status"] == "timeout" else _type(report["kind"])
        return kind, report["request"]
    if python := _PYTHON.match(text):
        return _type(python["kind"]), ""
    if node := _NODE.match(text):
        request = node["request"] or ""
        return _of_object(node["object"], request if len(request) == 36 else "")
    return None


def _of_object(text: str, request: str) -> tuple[str, str] | None:
    """Of an error's object, or of a record of Lambda's own."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    record = told.get("record")
    if told.get("type") == "platform.report" and isinstance(record, dict):
        if record.get("status") not in ("error", "failure", "timeout"):
            return None
        kind = TIMED_OUT if record["status"] == "timeout" else _type(record.get("errorType"))
        return kind, _id(record.get("requestId"))
    if "errorType" not in told or "errorMessage" not in told or "message" in told:
        return None
    return _type(told["errorType"]), request or _id(told.get("requestId"))


def _type(name: Any) -> str:
    return name if isinstance(name, str) and _TYPE.fullmatch(name) else "an error"


def _id(request: Any) -> str:
    return request if isinstance(request, str) and re.fullmatch("[0-9a-f-]{36}", request) else ""
