"""Which calls failed, as Lambda's log has it: lines as Lambda and its runtimes write them, in text
and in JSON; and never a word of what a function or its users wrote."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.decisions.failures import PATTERN, Failure, Line, failures, told

ID = "8f3a1c2e-11d5-4b5f-9a51-0f5f2d6b7c11"
OTHER = "0b9f1d7a-22d5-4b5f-9a51-0f5f2d6b7c22"
STREAM = "2026/11/23/[8]ab12cd34ab12cd34ab12cd34ab12cd34"
AT = "2026-11-23T01:02:03.456Z"
SECRET = "card-4111"
TRACE = f"Traceback (most recent call last):\n  File x, line 3, in handler\n    raise {SECRET}"


def record(kind: str, **said: Any) -> str:
    return json.dumps({"time": AT, "type": kind, "record": {"requestId": ID, **said}})


#: By what happened: the lines of one call, and what is to be told of it.
FAILED: dict[str, tuple[list[str], str, str]] = {
    "it timed out": (
        [
            f"{AT} {ID} Task timed out after 3.00 seconds\n\n",
            f"REPORT RequestId: {ID}\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\tMemory Size: "
            "128 MB\tMax Memory Used: 40 MB\tStatus: timeout",
        ],
        "timed out",
        ID,
    ),
    "it timed out, and only REPORT says so": (
        [f"REPORT RequestId: {ID}\tDuration: 3000.00 ms\tStatus: timeout"],
        "timed out",
        ID,
    ),
    "its process ended": (
        [
            f"RequestId: {ID} Error: Runtime exited with error: exit status 1\nRuntime.ExitError",
            f"REPORT RequestId: {ID}\tDuration: 5 ms\tStatus: error\tError Type: Runtime.ExitError",
        ],
        "Runtime.ExitError",
        ID,
    ),
    "it ran out of memory": (
        [f"REPORT RequestId: {ID}\tDuration: 5 ms\tStatus: error\tError Type: Runtime.OutOfMemory"],
        "Runtime.OutOfMemory",
        ID,
    ),
    "its init failed": (
        [
            "INIT_REPORT Init Duration: 9.00 ms\tPhase: invoke\tStatus: error\t"
            "Error Type: Runtime.ImportModuleError",
            f"REPORT RequestId: {ID}\tDuration: 9.00 ms\tStatus: error\t"
            "Error Type: Runtime.ImportModuleError",
        ],
        "Runtime.ImportModuleError",
        ID,
    ),
    "Python raised": ([f"[ERROR] KeyError: '{SECRET}'\n{TRACE}"], "KeyError", ""),
    "Python raised what has no words": ([f"[ERROR] StopIteration\n{TRACE}"], "StopIteration", ""),
    "Python raised, in JSON": (
        [
            json.dumps(
                {
                    "timestamp": AT,
                    "log_level": "ERROR",
                    "errorMessage": SECRET,
                    "errorType": "KeyError",
                    "requestId": ID,
                    "stackTrace": [SECRET],
                }
            )
        ],
        "KeyError",
        ID,
    ),
    "Node.js threw": (
        [
            f"{AT}\t{ID}\tERROR\tInvoke Error \t"
            + json.dumps({"errorType": "TypeError", "errorMessage": SECRET, "stack": [SECRET]})
        ],
        "TypeError",
        ID,
    ),
    "Node.js was left with a promise": (
        [
            f"{AT}\t-\tERROR\tUnhandled Promise Rejection \t"
            + json.dumps({"errorType": "Runtime.UnhandledPromiseRejection", "errorMessage": SECRET})
        ],
        "Runtime.UnhandledPromiseRejection",
        "",
    ),
    "Go answered with an error": (
        [json.dumps({"errorMessage": SECRET, "errorType": "errorString"})],
        "errorString",
        "",
    ),
    "it timed out, in JSON": ([record("platform.report", status="timeout")], "timed out", ID),
    "it crashed, in JSON": (
        [record("platform.report", status="error", errorType="Runtime.ExitError")],
        "Runtime.ExitError",
        ID,
    ),
}


@pytest.mark.parametrize("what", FAILED)
def test_a_failed_call_is_told_once_by_its_kind(what: str) -> None:
    texts, kind, request = FAILED[what]
    assert failures(lines(*texts)) == [Failure(kind, request, STREAM)]


@pytest.mark.parametrize("what", FAILED)
def test_the_pattern_finds_a_line_of_each(what: str) -> None:
    phrases = re.findall(r'\?"([^"]+)"', PATTERN)
    assert len(PATTERN) <= 1024
    assert any(phrase in text for text in FAILED[what][0] for phrase in phrases)


@pytest.mark.parametrize(
    "text",
    [
        f"REPORT RequestId: {ID}\tDuration: 5 ms\tBilled Duration: 6 ms",
        f"[ERROR]\t{AT}\t{ID}\tCould not reach the shop\n{TRACE}",
        "[ERROR] disk almost full",
        "[ERROR] card: 4111",
        f"{AT}\t{ID}\tERROR\tCould not reach the shop",
        "I think that my Task timed out after 3.00 seconds, did it not?",
        record("platform.report", status="success"),
        record("platform.start"),
        json.dumps({"level": "ERROR", "message": SECRET, "errorType": "KeyError"}),
        json.dumps({"errorType": "KeyError"}),
        "{not json, errorType",
        "[1, 2, 3]",
        "",
    ],
)
def test_what_a_function_says_while_its_call_succeeds_is_no_failed_call(text: str) -> None:
    assert failures(lines(text)) == []


def test_calls_are_told_apart_by_their_requests_and_counted_by_kind() -> None:
    found = failures(
        [
            *lines(*FAILED["it timed out"][0]),
            *lines(*FAILED["Python raised"][0], *FAILED["Python raised"][0]),
            *lines(FAILED["it timed out"][0][0].replace(ID, OTHER)),
            *lines(*FAILED["Python raised"][0]),
        ]
    )
    assert told(found) == (
        f"In its log: 3 × KeyError, 2 × timed out; such as request {ID}, stream {STREAM}."
    )
    assert told([]) == ""


@pytest.mark.parametrize("name", [SECRET, "Key Error", "x" * 200, "", 7, None, {"a": 1}, "E\nF"])
def test_what_is_no_name_of_a_type_is_an_error(name: Any) -> None:
    text = json.dumps({"errorType": name, "errorMessage": "x", "requestId": SECRET})
    assert failures(lines(text)) == [Failure("an error", "", STREAM)]


@settings(derandomize=True, deadline=None, database=None, max_examples=500)
@given(st.lists(st.text() | st.sampled_from([t for ts, *_ in FAILED.values() for t in ts])))
def test_whatever_stands_there_nobody_s_words_come_out(texts: list[str]) -> None:
    said = [text.replace("KeyError", f"KeyError: {SECRET}", 1) for text in texts]
    found = failures(lines(*said))
    assert len(found) <= len(texts)
    assert SECRET not in told(found) and SECRET not in repr(found)


# -- what the stories need ------------------------------------------------------------------------


def lines(*texts: str) -> list[Line]:
    return [Line(float(number), STREAM, text) for number, text in enumerate(texts)]
