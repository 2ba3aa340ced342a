r"""Which calls failed, and of what, as a function's own log tells it. It only ever explains a
verdict that metrics have given, or has them asked: nobody is convicted here.

Nothing of a message, a payload or a traceback may come out of it, for they may hold people's data:
only names of error types, ids of requests, names of streams.

A line of the platform, or of a runtime about an exception that nobody caught, is a failed call.
A line that the function logs itself is none: `logging.error` of Python writes `[ERROR]` and a tab,
`console.error("…")` of Node.js has other words behind its `ERROR`, and a JSON line with a message
of text is somebody's. What cannot be told apart is taken for a failed call:

- Node.js in JSON: `console.error(err)` of a caught error is the line of an uncaught one.
- An object with `errorType` and `errorMessage` and without a message is what the runtimes of
  Python, Go and Ruby write, whoever prints it. So is a line copied whole from another log.

Not recognised are uncaught exceptions of Java, and those of .NET in text, which look like the
function's own lines, and whatever a custom runtime writes. Their time-outs and crashes are, for
those are the platform's words.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from deployer.decisions.payload import is_number

#: Any of these phrases is in a line that tells of a failed call. Whole words, without a quotation
#: mark: so it does not matter how AWS takes phrases apart. `errorType` is in all runtimes' error
#: objects and in the platform's records of errors, `timeout` in the reports of time-outs. The lines
#: of calls that went well are left out, the beginnings of all calls among them, for there are many.
PHRASES = (
    "Status: error",
    "Status: failure",
    "Error: Runtime exited",
    "Task timed out after",
    "Traceback (most recent call last)",
    "errorType",
    "timeout",
)

#: For FilterLogEvents: any of them.
PATTERN = " ".join(f'?"{phrase}"' for phrase in PHRASES)

#: For the beginnings of calls.
BEGINNING = '?"START RequestId:"'

TIMED_OUT = ("timeout", "Task timed out", "Sandbox.Timedout")
FAILED = ("error", "failure", "timeout")

UNNAMED = "an error"

#: The longest that a call may take, in seconds.
LONGEST = 900.0

#: Where a platform's report has its duration.
MS = "durationMs"

#: What says less about a call than any other kind.
VAGUE = {"Runtime.ExitError": 1, UNNAMED: 2}

#: A plain name; Ruby's stands in brackets.
TYPE = re.compile(r"(?:Function<|Runtime<|Init<)?([A-Za-z0-9._:]{1,100})>?")
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

#: In text: a line with a `kind` or a `status` tells of a failed call, one with `starts` begins the
#: call and one with `ends` ends it, and one of an `init` is about the call that begins next.
FORMS = tuple(
    re.compile(form.replace("ID", r"(?P<request>[0-9a-f-]{36})"), re.DOTALL)
    for form in (
        # The platform's, as recorded in public issues. Newer reports of a time-out come alone.
        r"(?P<starts>START) RequestId: ID Version: ",
        r"(?:\d{4}-\S+ |RequestId: )ID (?:Error: )?(?P<kind>Task timed out) after "
        r"(?P<seconds>\d+(?:\.\d+)?) seconds\s*\Z",
        r"RequestId: ID (?P<status>Error): Runtime exited[^\r\n]*(?:[\r\n]+(?P<kind>\S+))?\s*\Z",
        r"(?P<ends>REPORT) RequestId: ID(?:\s+Duration: (?P<ms>\d+(?:\.\d+)?) ms)?"
        r"(?:.*\sStatus: (?P<status>error|failure|timeout)\b"
        r"(?:\s+Error Type: (?P<kind>\S+))?)?",
        # An init that takes longer than 10 s begins again in the call, which may go well.
        r"(?P<init>INIT_REPORT) .*Phase: (?!init\s+Status: timeout)\w+\s+"
        r"Status: (?P<status>error|failure|timeout)\b(?:\s+Error Type: (?P<kind>\S+))?",
        # Python; read in awslambdaric 4.2.2, which ends lines by \r where it writes to stdout.
        r"\[ERROR\] (?P<kind>\S+?)(?:: .*)?[\r\n]Traceback \(most recent call last\):",
    )
)

#: A JSON object, and what runtimes write before it; read in their interface clients. Go has the
#: date of its standard logger, and Ruby a sentence, in the same event or in one of its own.
OBJECT = re.compile(
    r"(?:\d{4}-\S+\t(?P<request>\S+)\t(?P<status>ERROR)\t"  # Node.js; an init has no request's id
    r"(?:Invoke Error|Uncaught Exception|Unhandled Promise Rejection) \t"
    r"|\d{4}/\d\d/\d\d [\d:.]+ "
    r"|(?:Error raised from handler method|Critical exception from handler"
    r"|Init error when loading handler \S+)\s+)?(?P<object>\{.*)",
    re.DOTALL,
)


class Line(NamedTuple):
    """One event of a function's log, as FilterLogEvents tells it."""

    time: float  # seconds since 1970
    stream: str
    text: str


class Failure(NamedTuple):
    """One failed call: which kind of error, in one word or two, where it is found, and when it
    was, in seconds since 1970."""

    kind: str  # an error's type, "timed out" or "an error"; never a message
    request: str  # the request's id, "" where no line tells it
    stream: str
    time: float = 0.0  # of its last line
    began: float | None = None  # where a line tells it


@dataclass
class _Call:
    stream: str
    request: str
    time: float = 0.0
    began: float | None = None
    kinds: list[str] = field(default_factory=list)
    of_init: bool = False
    over: bool = False

    @property
    def told(self) -> Failure:
        kind = min(self.kinds, key=lambda kind: VAGUE.get(kind, 0))
        return Failure(kind, self.request, self.stream, self.time, self.began)


def failures(lines: Iterable[Line]) -> list[Failure]:
    """The failed calls, in the order of their first lines; all lines of a call are one of them.

    A stream has one call after the other, so a line without a request's id belongs to the call that
    began before it. Where no line tells which, lines of the same second are taken for one call,
    unless both name an error; and those of an init for the call that begins next.
    """
    calls: list[_Call] = []
    named: dict[tuple[str, str], _Call] = {}
    last: dict[str, _Call] = {}
    for line in sorted(lines, key=lambda line: line.time):
        said = _read(line.text)
        if not any(said.values()):
            continue
        request = _request(said.get("request"))
        call = named.get((line.stream, request))
        if said.get("starts"):  # the same request again is a second try
            call = None
        latest = last.get(line.stream)
        if call is None and latest and _goes_on(latest, said, request, line.time):
            call = latest
        if call is None:
            call = _Call(line.stream, request)
            calls.append(call)
        if request:
            call.request = request
            named[line.stream, request] = call
        if kind := said.get("kind") or said.get("status"):
            call.kinds.append(_kind(kind))
        call.time = line.time
        if call.began is None:
            call.began = _began(said, line.time)
        call.of_init |= bool(said.get("init"))
        call.over |= bool(said.get("ends"))
        last[line.stream] = call
    return [call.told for call in calls if call.kinds]


def request_before(lines: Iterable[Line], time: float) -> str:
    """The request of the last call that a line says has begun by then; "" without one."""
    begun = ""
    for line in sorted(lines, key=lambda line: line.time):
        said = _read(line.text)
        if line.time <= time and said.get("starts"):
            begun = _request(said["request"])
    return begun


def example(failures: Sequence[Failure]) -> Failure:
    """One of the most frequent kind, if possible with its request."""
    ((kind, _),) = Counter(failure.kind for failure in failures).most_common(1)
    return max(failures, key=lambda failure: (failure.kind == kind, failure.request != ""))


def told(failures: Sequence[Failure], request: str = "") -> str:
    """In words, such as `In its log: 9 × KeyError, 3 × timed out; such as request 1f0c…, stream
    2026/11/23/[8]ab12….`; "" where there is none. `request` is the example's, where its lines
    do not tell it."""
    if not failures:
        return ""
    kinds = Counter(failure.kind for failure in failures)
    most = kinds.most_common(5)
    words = [f"{count} × {kind}" for kind, count in most]
    others = len(failures) - sum(count for _, count in most)
    if others:
        words.append(f"{others} × others")
    such = example(failures)
    where = f"stream {such.stream}"
    request = such.request or request
    if request:
        where = f"request {request}, {where}"
    return f"In its log: {', '.join(words)}; such as {where}."


def _goes_on(call: _Call, said: Mapping[str, Any], request: str, time: float) -> bool:
    """Whether a line that is not of a known call is of the stream's latest one."""
    if call.over:
        return False
    if call.request:
        return not request
    if request or call.of_init or said.get("init"):
        return True
    return time - call.time < 1 and not (call.kinds and said.get("kind"))


def _began(said: Mapping[str, Any], time: float) -> float | None:
    """When the call of this line of that time began."""
    if said.get("starts"):
        return time
    if said.get("seconds"):
        return time - min(float(said["seconds"]), LONGEST)
    if said.get("ms"):
        return time - min(float(said["ms"]), 1000 * LONGEST) / 1000
    return None


def _read(text: str) -> Mapping[str, Any]:
    """What a line says of its call, by the names in `FORMS`; nothing, where it is somebody's."""
    for form in FORMS:
        if found := form.match(text):
            return found.groupdict()
    if found := OBJECT.match(text):
        return _read_object(**found.groupdict())
    return {}


def _read_object(object: str, **said: Any) -> Mapping[str, Any]:
    try:
        value = json.loads(object)
    except (ValueError, RecursionError):  # it is cut off, or not JSON at all
        return said
    record = value.get("record")
    if str(value.get("type")).startswith("platform.") and isinstance(record, dict):
        return _read_record(value["type"], record)
    error = value
    if value.get("level") == "ERROR" and isinstance(value.get("message"), dict):  # Node.js
        error = value["message"]
    # An error object has no message beside its own; .NET's has one without words.
    uncaught = {"errorType", "errorMessage"} <= error.keys() and not error.get("message")
    if not uncaught and not said["status"]:
        return {}
    request = said["request"] or value.get("requestId")
    return {"request": request, "kind": error.get("errorType"), "status": "error"}


def _read_record(name: str, record: Mapping[str, Any]) -> Mapping[str, Any]:
    """One of the platform's own, as its telemetry schema has them."""
    said = {
        "request": record.get("requestId"),
        "starts": name == "platform.start",
        "ends": name == "platform.report",
        "init": name.startswith("platform.init"),
    }
    metrics = record.get("metrics")
    if name == "platform.report" and isinstance(metrics, dict) and is_number(metrics.get(MS)):
        said["ms"] = max(0, min(metrics[MS], 1000 * LONGEST))
    status = record.get("status")
    if status not in FAILED or (record.get("phase"), status) == ("init", "timeout"):
        return said
    return said | {"kind": record.get("errorType"), "status": status}


def _request(request: object) -> str:
    if isinstance(request, str) and ID.fullmatch(request):
        return request
    return ""


def _kind(kind: object) -> str:
    """A plain name of a type; "an error" where it is anything else."""
    if kind in TIMED_OUT:
        return "timed out"
    name = isinstance(kind, str) and TYPE.fullmatch(kind)
    if not name or name[1].lower() in FAILED:
        return UNNAMED
    return name[1]
