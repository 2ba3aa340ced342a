"""Failed calls, as the function's own log tells of them: lines as Lambda and its runtimes write
them, lines that only look like them, and that no word of a message ever comes out."""

import json
import re
import time
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.decisions.failures import (
    BEGINNING,
    PATTERN,
    Failure,
    Line,
    failures,
    request_before,
    told,
)

A = "8f507cfc-5d4c-4a2b-9f0e-0d6c1a2b3c4d"
B = "9a618d0d-6e5d-4b3c-8a1f-1e7d2b3c4d5e"
STREAM = "2026/11/23/[8]ab12cd34ef56ab12cd34ef56ab12cd34"
OTHER = "2026/11/23/[8]00ff00ff00ff00ff00ff00ff00ff00ff"
AT = "2026-11-23T01:02:03.004Z"

START = f"START RequestId: {A} Version: 8\n"
END = f"END RequestId: {A}\n"
REPORT = (
    f"REPORT RequestId: {A}\tDuration: 12.34 ms\tBilled Duration: 13 ms\t"
    "Memory Size: 128 MB\tMax Memory Used: 35 MB\t"
)
TIMED_OUT = f"{AT} {A} Task timed out after 3.00 seconds\n\n"
EXITED = f"RequestId: {A} Error: Runtime exited with error: exit status 1\nRuntime.ExitError\n"
KILLED = f"RequestId: {A} Error: Runtime exited with error: signal: killed\nRuntime.ExitError\n"
PYTHON = (
    "[ERROR] KeyError: 'total'\nTraceback (most recent call last):\n"
    '\u00a0\u00a0File "/var/task/app.py", line 7, in handler\n'
    "\u00a0\u00a0\u00a0\u00a0return order['total']"
)
NO_MODULE = (
    "[ERROR] Runtime.ImportModuleError: Unable to import module 'app': No module named 'pandas'\n"
    "Traceback (most recent call last):"
)


def init(phase: str, status: str = "error", kind: str = "Runtime.ImportModuleError") -> str:
    what = f"\tError Type: {kind}" if kind else ""
    return f"INIT_REPORT Init Duration: 206.72 ms\tPhase: {phase}\tStatus: {status}{what}\n"


def node(what: str = "Invoke Error", kind: Any = "TypeError", request: str = A) -> str:
    error = {"errorType": kind, "errorMessage": "x is undefined", "stack": ["TypeError: x", " at"]}
    return f"{AT}\t{request}\tERROR\t{what} \t{json.dumps(error)}\n"


def record(name: str, **said: Any) -> str:
    line = {"time": AT, "type": f"platform.{name}", "record": said}
    return json.dumps(line, separators=(",", ":")) + "\n"


def json_line(**said: Any) -> str:
    return json.dumps({"timestamp": AT, **said}) + "\n"


PYTHON_JSON = json_line(
    level="ERROR", errorMessage="'total'", errorType="KeyError", requestId=A, stackTrace=["  File"]
)
GO = '{"errorMessage":"no such order","errorType":"errorString"}\n'
RUBY_OBJECT = json.dumps(
    {"errorMessage": "boom", "errorType": "Function<NoMethodError>", "stackTrace": ["/var"]},
    indent=2,
)
RUBY = f"Error raised from handler method\n{RUBY_OBJECT}\n"
NODE_JSON = json_line(
    level="ERROR",
    requestId=A,
    message={"errorType": "TypeError", "errorMessage": "x", "stackTrace": ["TypeError: x"]},
)
DOTNET_JSON = json_line(
    level="Error",
    requestId=A,
    message="",
    errorType="System.ArgumentException",
    errorMessage="x",
    stackTrace=["at"],
)
JSON_START = record("start", requestId=A, version="8")

#: The lines of one failed call, and what is made of them.
CALLS = {
    "a time-out": ([START, TIMED_OUT, END, REPORT], "timed out", A),
    "a newer time-out, which only the report tells": (
        [START, END, f"{REPORT}Status: timeout\n"],
        "timed out",
        A,
    ),
    "a time-out that has both": ([START, TIMED_OUT, f"{REPORT}Status: timeout\n"], "timed out", A),
    "an exit": (
        [START, EXITED, END, f"{REPORT}Status: error\tError Type: Runtime.ExitError\n"],
        "Runtime.ExitError",
        A,
    ),
    "an exit without a reason": (
        [START, f"RequestId: {A} Error: Runtime exited without providing a reason\n"],
        "an error",
        A,
    ),
    "out of memory": (
        [START, KILLED, f"{REPORT}Status: error\tError Type: Runtime.OutOfMemory\n"],
        "Runtime.OutOfMemory",
        A,
    ),
    "an exit that is told after the report": (
        [START, END, f"{REPORT}Status: error\tError Type: Runtime.ExitError\n", EXITED],
        "Runtime.ExitError",
        A,
    ),
    "a report of an error without its type": ([START, f"{REPORT}Status: error"], "an error", A),
    "an init that fails, and again in the call": (
        [
            NO_MODULE,
            init("init"),
            NO_MODULE,
            init("invoke"),
            START,
            END,
            f"{REPORT}Status: error\tError Type: Runtime.ImportModuleError\n",
        ],
        "Runtime.ImportModuleError",
        A,
    ),
    "an init that fails, whose call is not told": (
        [init("init")],
        "Runtime.ImportModuleError",
        "",
    ),
    "an init that takes longer than the call may": (
        [init("invoke", "timeout", ""), START, f"{REPORT}Status: timeout"],
        "timed out",
        A,
    ),
    "Python": ([START, PYTHON, END, REPORT], "KeyError", A),
    "Python, on stdout": ([START, PYTHON.replace("\n", "\r") + "\n"], "KeyError", A),
    "Python, an error without a message": (
        [START, "[ERROR] Refused\nTraceback (most recent call last):\n"],
        "Refused",
        A,
    ),
    "Python, a message of several lines": (
        [START, PYTHON.replace("'total'", "a\n\nb: c\n")],
        "KeyError",
        A,
    ),
    "Python alone, without a line that tells the request": ([PYTHON], "KeyError", ""),
    "Python whose call began before": ([PYTHON, END, REPORT], "KeyError", A),
    "Python that ends the process": (
        [START, PYTHON, EXITED, f"{REPORT}Status: error\tError Type: Runtime.ExitError"],
        "KeyError",
        A,
    ),
    "Node.js": ([node()], "TypeError", A),
    "Node.js 24": ([START, node(request="-")], "TypeError", A),
    "Node.js in an init": (
        [node("Uncaught Exception", request="undefined"), init("init", kind="Runtime.ExitError")],
        "TypeError",
        "",
    ),
    "Node.js, a rejection": (
        [
            START,
            node("Unhandled Promise Rejection", "Runtime.UnhandledPromiseRejection"),
            EXITED,
        ],
        "Runtime.UnhandledPromiseRejection",
        A,
    ),
    "Node.js, cut off": ([node()[:120]], "an error", A),
    "Go": ([START, f"2026/11/23 01:02:03 {GO}", END, REPORT], "errorString", A),
    "Go, without its logger's date": ([START, GO], "errorString", A),
    "Go, a panic": (
        [START, f"2026/11/23 01:02:03.123456 {GO}", EXITED],
        "errorString",
        A,
    ),
    "Ruby": ([START, RUBY], "NoMethodError", A),
    "Ruby in two lines": (
        [START, "Critical exception from handler\n", RUBY_OBJECT],
        "NoMethodError",
        A,
    ),
    "a time-out in JSON": (
        [JSON_START, record("report", requestId=A, metrics={}, status="timeout")],
        "timed out",
        A,
    ),
    "an exit in JSON": (
        [record("report", requestId=A, status="error", errorType="Runtime.ExitError")],
        "Runtime.ExitError",
        A,
    ),
    "a failure in JSON, told twice": (
        [
            record("runtimeDone", requestId=A, status="failure", errorType="Runtime.OutOfMemory"),
            record("report", requestId=A, status="failure", errorType="Runtime.OutOfMemory"),
        ],
        "Runtime.OutOfMemory",
        A,
    ),
    "a time-out in JSON, by its type": (
        [record("runtimeDone", requestId=A, status="error", errorType="Sandbox.Timedout")],
        "timed out",
        A,
    ),
    "an init in JSON": (
        [
            record("initReport", phase="init", status="error", errorType="Runtime.HandlerNotFound"),
            JSON_START,
            record("report", requestId=A, status="error", errorType="Runtime.HandlerNotFound"),
        ],
        "Runtime.HandlerNotFound",
        A,
    ),
    "Python in JSON": ([JSON_START, PYTHON_JSON], "KeyError", A),
    "Python in JSON, whose report is as on success": (
        [JSON_START, PYTHON_JSON, record("report", requestId=A, status="success")],
        "KeyError",
        A,
    ),
    "Node.js in JSON": ([NODE_JSON], "TypeError", A),
    ".NET in JSON": ([DOTNET_JSON], "System.ArgumentException", A),
    "Go in JSON, by the line before it": ([JSON_START, GO], "errorString", A),
}

#: What Lambda writes of calls that go well.
GOES_WELL = {
    "a call": [START, END, REPORT],
    "a call in JSON": [JSON_START, record("report", requestId=A, status="success")],
    "an init of more than 10 s": [init("init", "timeout", ""), START, REPORT],
    "an init of more than 10 s in JSON": [record("initReport", phase="init", status="timeout")],
}

#: What a function logs itself.
OWN = {
    "logging.error": f"[ERROR]\t{AT}\t{A}\tKeyError: 'total'\n",
    "logging.exception": f"[ERROR]\t{AT}\t{A}\tno\nTraceback (most recent call last):\nKeyError: 1",
    "print": "[ERROR] KeyError: 'total'",
    "print of a traceback": "Traceback (most recent call last):\n  File\nKeyError: 'total'",
    "console.error": f"{AT}\t{A}\tERROR\tcould not reach the bank\n",
    "console.error of an error": f"{AT}\t{A}\tERROR\tTypeError: x\n    at handler (index.js:1:1)\n",
    "console.error of an object": f'{AT}\t{A}\tERROR\t{{"errorType":"E","errorMessage":"m"}}\n',
    "console.info of the runtime's words": node().replace("\tERROR\t", "\tINFO\t"),
    "words about a time-out": "the bank: Task timed out after 3.00 seconds",
    "a time-out that goes on": f"{AT} {A} Task timed out after 3.00 seconds, trying again",
    "a time-out without a request": f"{AT} checkout Task timed out after 3.00 seconds",
    "a report inside a line": f"seen: {REPORT}Status: timeout",
    "an exit inside a line": f"seen: {EXITED}",
    "logging.error in JSON": json_line(level="ERROR", message="no total", logger="a", requestId=A),
    "logging.exception in JSON": json_line(
        level="ERROR", message="no", errorType="KeyError", errorMessage="'total'", requestId=A
    ),
    "console.error in JSON": json_line(level="ERROR", requestId=A, message="timeout"),
    "console.warn of an error in JSON": NODE_JSON.replace('"ERROR"', '"WARN"'),
    "a log line of .NET": DOTNET_JSON.replace('"message": ""', '"message": "no"'),
    "somebody's record": json.dumps({"type": "order", "record": {"status": "error"}}),
    "somebody's status": json.dumps({"type": "platform.x", "record": "error", "status": "error"}),
    "nothing": "",
    "half of an object": '{"errorType": "KeyError", "errorMess',
    "a list": '["errorType", "errorMessage"]',
    "a deep object": '{"errorType":' * 100_000,
}


def in_a_row(texts: list[str], stream: str = STREAM, begin: float = 1000.0) -> list[Line]:
    """Half a second apart, so that some are not of the same second."""
    return [Line(begin + 0.5 * number, stream, text) for number, text in enumerate(texts)]


def matches(text: str) -> bool:
    """As CloudWatch takes `?"…" ?"…"`: any of the phrases."""
    phrases = re.findall(r'\?"([^"]*)"', PATTERN)
    return any(phrase in text for phrase in phrases)


def which(lines: Iterable[Line]) -> list[Failure]:
    """The failed calls, without their times."""
    return [Failure(each.kind, each.request, each.stream) for each in failures(lines)]


@pytest.mark.parametrize("name", CALLS)
def test_a_failed_call_is_one_whatever_lines_tell_of_it(name: str) -> None:
    texts, kind, request = CALLS[name]
    assert which(in_a_row(texts)) == [Failure(kind, request, STREAM)]


@pytest.mark.parametrize("name", OWN)
def test_what_a_function_logs_itself_is_no_failed_call(name: str) -> None:
    assert failures(in_a_row([OWN[name]])) == []
    assert failures(in_a_row([START, OWN[name], END, REPORT])) == []


@pytest.mark.parametrize("name", GOES_WELL)
def test_a_call_that_goes_well_is_no_failed_call(name: str) -> None:
    assert failures(in_a_row(GOES_WELL[name])) == []


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_logs_and_fails_has_failed_once(name: str) -> None:
    texts, kind, request = CALLS[name]
    lines = [texts[0], *OWN.values(), *texts[1:]]
    by_millisecond = [Line(1000 + number / 1000, STREAM, text) for number, text in enumerate(lines)]
    assert which(by_millisecond) == [Failure(kind, request, STREAM)]


@pytest.mark.parametrize("name", CALLS)
def test_the_pattern_finds_every_failed_call(name: str) -> None:
    texts, kind, request = CALLS[name]
    found = failures([line for line in in_a_row(texts) if matches(line.text)])
    assert [failure.kind for failure in found] == [kind]
    # Lines of all calls, of those that go well, too, are not asked for: often they alone tell it.
    assert found[0].request in (request, "")


def test_the_pattern_is_one_that_cloudwatch_takes() -> None:
    assert len(PATTERN) <= 1024
    assert re.fullmatch(r'(\?"[A-Za-z .():]+" ?)+', PATTERN)


def test_the_pattern_leaves_out_what_calls_that_go_well_end_with() -> None:
    assert not any(matches(text) for text in (END, REPORT, GOES_WELL["a call in JSON"][-1]))


def test_when_a_call_began_is_told_where_a_line_tells_it() -> None:
    slow = REPORT.replace("Duration: 12.34 ms", "Duration: 2500.00 ms")
    in_json = record("report", requestId=A, status="error", metrics={"durationMs": 2500})
    for texts, began in (
        ([START, PYTHON], 0.0),
        ([TIMED_OUT], -3.0),
        ([PYTHON, slow], -2.0),
        ([in_json], -2.5),
        ([PYTHON], None),
    ):
        (failure,) = failures(in_a_row(texts))
        assert failure.began == (began if began is None else 1000.0 + began), texts
        assert failure.time == 1000.0 + 0.5 * (len(texts) - 1)


@pytest.mark.parametrize("number", ["9" * 400, "1e400", "-5", '"long"', "null", "true", "[1]"])
def test_a_duration_that_is_none_takes_no_call_out_of_time(number: str) -> None:
    texts = [
        f'{{"type":"platform.report","record":{{"requestId":"{A}","status":"error",'
        f'"metrics":{{"durationMs":{number}}}}}}}',
        TIMED_OUT.replace("3.00", number),
        f"REPORT RequestId: {A}\tDuration: {number} ms\tStatus: error",
    ]
    for text in texts:
        for failure in failures([Line(1000, STREAM, text)]):
            assert failure.began is None or 100 <= failure.began <= 1000


def test_calls_of_one_stream_and_of_several_are_told_apart() -> None:
    start_b = START.replace(A, B)
    one = in_a_row([START, PYTHON, start_b, PYTHON], STREAM)
    other = in_a_row([START.replace(A, "c" * 8 + A[8:]), GO], OTHER)
    mixed = [line for pair in zip(one, [*other, *other], strict=True) for line in pair]
    found = which(dict.fromkeys(mixed))
    assert sorted(found) == sorted(
        [
            Failure("KeyError", A, STREAM),
            Failure("KeyError", B, STREAM),
            Failure("errorString", "c" * 8 + A[8:], OTHER),
        ]
    )


def test_a_call_that_went_well_is_not_blamed_for_the_next_one_s_init() -> None:
    lines = [START, END, REPORT, PYTHON, START.replace(A, B)]
    assert which(in_a_row(lines)) == [Failure("KeyError", B, STREAM)]


def test_without_a_request_each_line_that_names_an_error_is_a_call() -> None:
    times = [1000.0, 1000.0, 1000.4, 1003.0, 1010.0]
    assert len(failures([Line(at, STREAM, PYTHON) for at in times])) == 5
    assert len(failures([Line(1000.0, stream, PYTHON) for stream in (STREAM, OTHER)])) == 2


def test_an_init_that_fails_for_seconds_is_of_the_call_that_begins_next() -> None:
    texts = [NO_MODULE, init("init"), NO_MODULE, init("invoke"), START]
    lines = [Line(1000.0 + 5 * (number // 2), STREAM, text) for number, text in enumerate(texts)]
    assert which(lines) == [Failure("Runtime.ImportModuleError", A, STREAM)]


def test_a_second_try_of_the_same_request_is_a_second_call() -> None:
    found = which(in_a_row([START, PYTHON, START, PYTHON]))
    assert found == [Failure("KeyError", A, STREAM)] * 2


def test_lines_may_come_in_any_order() -> None:
    lines = in_a_row([START, PYTHON, START.replace(A, B), node(request="-")])
    assert failures(reversed(lines)) == failures(lines)


@pytest.mark.parametrize(
    "kind",
    ["two words", "a\nb", "\x1b[31m", "x" * 101, "E\u0301", "<script>", "", 7, None, ["KeyError"]],
)
def test_a_type_that_is_no_plain_name_is_an_error(kind: Any) -> None:
    texts = [node(kind=kind), GO.replace('"errorString"', json.dumps(kind))]
    for text in [*texts, record("report", requestId=A, status="error", errorType=kind)]:
        assert [failure.kind for failure in failures([Line(0, STREAM, text)])] == ["an error"]


@pytest.mark.parametrize("request_id", ["an order of Ann's", 7, None, {"id": A}, A + "\n", A[:-1]])
def test_a_request_that_is_no_id_is_left_out(request_id: Any) -> None:
    text = record("report", requestId=request_id, status="timeout")
    assert which([Line(0, STREAM, text)]) == [Failure("timed out", "", STREAM)]


LONG = 1_000_000
ENDLESS = {
    "one word": "[ERROR] " + "x" * LONG,
    "colons": "[ERROR] " + "x: " * LONG,
    "line ends": "[ERROR] x: " + "\n" * LONG,
    "exits": f"RequestId: {A} Error: Runtime exited" + "\n" * LONG + "x y",
    "reports": REPORT + "\tStatus: error" * 50_000 + "x",
    "time-outs": TIMED_OUT + " " * LONG + "x",
    "inits": "INIT_REPORT " + "Phase: x" * 100_000,
    "Ruby": "Init error when loading handler " + "x" * LONG,
    "Node.js": f"{AT}\t" + "x" * LONG,
    "a date": "2026/11/23 " + "1" * LONG,
    "an object": '{"errorMessage":"' + "x" * LONG + '"',
    "a number": '{"errorType":' + "9" * LONG + "}",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_line_of_a_megabyte_is_read_in_no_time(name: str) -> None:
    began = time.process_time()
    failures([Line(0, STREAM, ENDLESS[name])])
    assert time.process_time() - began < 2  # of what a quadratic reading takes: minutes


def test_an_error_of_a_megabyte_is_found() -> None:
    text = PYTHON.replace("'total'", "x" * LONG)
    assert which([Line(0, STREAM, text)]) == [Failure("KeyError", "", STREAM)]


SECRET = "s3cret"

messages = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", " ", "KeyError: ", "\n", "\t", '"', "}", "\\", "[ERROR] ", "\r", "é "])
    | st.text(max_size=20),
    st.sampled_from(["", ": ", "\n", "Traceback (most recent call last):\n"]),
    st.just(SECRET),
    st.sampled_from(
        [
            "",
            ": x",
            "\n",
            "\nRuntime.ExitError",
            "\nTraceback (most recent call last):",
            f"\n{TIMED_OUT}",
            f"\n{EXITED}",
            "\tStatus: error\tError Type: s3cret",
            '","errorType":"s3cret',
        ]
    )
    | st.text(max_size=20),
)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(messages)
def test_no_word_of_a_message_a_payload_or_a_traceback_comes_out(message: str) -> None:
    error = {"errorMessage": message, "errorType": "E", "stackTrace": [message], "stack": message}
    texts = [
        f"[ERROR] KeyError: {message}\nTraceback (most recent call last):\n  {message}",
        f"[ERROR]\t{AT}\t{A}\t{message}",
        f"{AT}\t{A}\tERROR\tInvoke Error \t{json.dumps(error)}",
        f"{AT}\t{A}\tERROR\tInvoke Error \t{{{message}",
        f"{AT}\t{A}\tERROR\t{message}",
        f"{AT}\t{message}\tERROR\tUncaught Exception \t{json.dumps(error)}",
        f"2026/11/23 01:02:03 {json.dumps(error)}",
        f"Error raised from handler method\n{json.dumps(error, indent=2)}",
        json.dumps(error),
        json_line(level="ERROR", requestId=message, message=error),
        json_line(level="ERROR", requestId=message, message=message),
        record("report", requestId=message, status="error", errorType="E", payload=message),
        f"RequestId: {A} Error: Runtime exited with error: exit status 1\nRuntime.ExitError",
        f"the order: {message}",
        f"{AT} {message} Task timed out after 3.00 seconds",
        f"START RequestId: {message} Version: 8",
    ]
    found = failures(in_a_row(texts))
    assert found
    assert SECRET not in repr(found) + told(found)
    for number, text in enumerate(texts):
        alone = failures([Line(number, STREAM, text)])
        assert SECRET not in repr(alone) + told(alone), text


@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.lists(st.text(), max_size=4), st.sampled_from([*CALLS]))
def test_any_words_at_all_can_be_read(words: list[str], name: str) -> None:
    texts, kind, request = CALLS[name]
    found = which(in_a_row([*words, *texts, *words]))
    assert found == [Failure(kind, request, STREAM)]


def test_the_request_of_a_line_without_one_is_that_of_the_call_that_began_before_it() -> None:
    lines = in_a_row([START, PYTHON, START.replace(A, B), PYTHON, START])
    for second, request in ((1000.0, A), (1000.5, A), (1001.0, B), (1001.5, B), (1002.0, A)):
        assert request_before(lines, second) == request
    assert request_before(lines, 999.0) == request_before([], 1000.0) == ""
    assert told([Failure("KeyError", "", STREAM)], A).endswith(f"request {A}, stream {STREAM}.")
    (phrase,) = re.findall(r'\?"([^"]*)"', BEGINNING)
    assert phrase in START and phrase not in REPORT


def test_told_in_words() -> None:
    found = [Failure("timed out", B, OTHER), *[Failure("KeyError", A, STREAM)] * 2]
    assert told(found) == (
        f"In its log: 2 × KeyError, 1 × timed out; such as request {A}, stream {STREAM}."
    )
    assert told([Failure("KeyError", "", STREAM)]) == (
        f"In its log: 1 × KeyError; such as stream {STREAM}."
    )
    assert told([]) == ""


def test_the_example_is_of_what_came_most_and_has_its_request_where_one_is_told() -> None:
    found = [
        Failure("timed out", B, OTHER),
        Failure("KeyError", "", OTHER),
        Failure("KeyError", A, STREAM),
    ]
    assert f"such as request {A}, stream {STREAM}." in told(found)


def test_of_many_kinds_five_are_told_and_the_others_counted() -> None:
    found = [Failure(f"Kind{number}", "", STREAM) for number in range(40)]
    assert told(found).startswith("In its log: 1 × Kind0, 1 × Kind1, 1 × Kind2, ")
    assert ", 1 × Kind4, 35 × others; such as" in told(found)
