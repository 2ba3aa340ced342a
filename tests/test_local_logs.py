"""The local AWS: what a function's log holds, and who finds what in it, when.

A function that fails leaves the lines that it leaves on AWS, from Lambda's own runtime; they can be
read late, by the streams' prefix, by patterns that mean what they mean on AWS, page by page.
"""

import contextlib
import io
import itertools
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lambda_rollout.lines import pattern as pattern_of_the_watch
from local import patterns, roles
from local.cloud import ALIAS
from local.lines import Function, stream
from local.sandbox import REGION
from tests.conftest import LOG_DELAY
from tests.parts import Parts

#: What the function does is what its payload says.
CODE = """
import json, logging, os, sys, time

def handler(event, context):
    do = event.get("do")
    if do == "raise":
        raise KeyError("total")
    if do == "exit":
        os._exit(3)
    if do == "sleep":
        time.sleep(30)
    if do == "log":
        logging.error("as it was told")
    if do == "look like a report":
        print(f"REPORT RequestId: {context.aws_request_id}\\tDuration: 3.00 ms\\tStatus: timeout")
    if do == "end without a line":
        print("half a line", end="")
    return context.log_stream_name
"""

#: Ways not to begin.
BROKEN = {
    "imports": "import nothing_of_that_name",
    "raises": "raise ValueError('at once')",
    "exits": "import os; os._exit(7)",
    "sleeps": "import time; time.sleep(30)",
}

#: Between them, in a report, stands how long it took.
MS = r"[\d.]+ ms"
MEMORY = r"Memory Size: 128 MB\tMax Memory Used: 128 MB"


# A call.


def test_a_call_that_goes_well_leaves_start_end_and_report(parts: Parts, made: Any) -> None:
    name = made("well")
    first, _ = _called(parts, name)
    second, _ = _called(parts, name)
    assert _told(parts, name) == [
        r"INIT_START Runtime Version: python:3\.13\.v1\tRuntime Version ARN: arn:\S+\n",
        *(rf"START RequestId: {first} Version: \$LATEST\n", rf"END RequestId: {first}\n"),
        rf"REPORT RequestId: {first}\tDuration: {MS}\tBilled Duration: \d+ ms\t{MEMORY}"
        rf"\tInit Duration: {MS}\t\n",
        *(rf"START RequestId: {second} Version: \$LATEST\n", rf"END RequestId: {second}\n"),
        rf"REPORT RequestId: {second}\tDuration: {MS}\tBilled Duration: \d+ ms\t{MEMORY}\t\n",
    ]


def test_a_handler_that_raises_leaves_its_error_and_the_report_of_a_call_that_went_well(
    parts: Parts, made: Any
) -> None:
    name = made("raises")
    request, answer = _called(parts, name, do="raise")
    assert answer["errorType"] == "KeyError"
    assert _told(parts, name)[1:] == [
        rf"START RequestId: {request} .*",
        # One event, without an end of line; the runtime indents with spaces that do not break.
        r"\[ERROR\] KeyError: 'total'\nTraceback \(most recent call last\):\n\xa0\xa0File .+[^\n]",
        rf"END RequestId: {request}\n",
        rf"REPORT RequestId: {request}\t.*\tInit Duration: {MS}\t\n",
    ]


def test_a_call_that_times_out_says_so_in_two_lines(parts: Parts, made: Any) -> None:
    name = made("times-out", Timeout=1)
    request, answer = _called(parts, name, do="sleep")
    assert answer["errorType"] == "Sandbox.Timedout"
    assert _told(parts, name)[1:] == [
        rf"START RequestId: {request} .*",
        rf"20\d\d-\d\d-\d\dT\S+Z {request} Task timed out after 1\.00 seconds\n\n",
        rf"END RequestId: {request}\n",
        rf"REPORT RequestId: {request}\tDuration: 1000\.00 ms\t.*\tStatus: timeout\n",
    ]


def test_a_runtime_that_exits_says_so_in_two_lines_and_the_next_call_has_another(
    parts: Parts, made: Any
) -> None:
    name = made("exits")
    request, answer = _called(parts, name, do="exit")
    assert answer["errorType"] == "Runtime.ExitError"
    well, _ = _called(parts, name)
    assert _told(parts, name)[1:] == [
        rf"START RequestId: {request} .*",
        rf"RequestId: {request} Error: Runtime exited with error: exit status 3\n"
        r"Runtime\.ExitError\n",
        rf"END RequestId: {request}\n",
        rf"REPORT RequestId: {request}\t.*\tStatus: error\tError Type: Runtime\.ExitError\n",
        *(rf"START RequestId: {well} .*", rf"END RequestId: {well}\n"),
        rf"REPORT RequestId: {well}\t.*{MEMORY}\t\n",
    ]


def test_so_does_one_whose_host_is_lost(parts: Parts, made: Any) -> None:
    name = made("lost", Environment={"Variables": {"LOCAL_KILLED_AFTER": "0.5"}})
    request, _ = _called(parts, name, do="sleep")
    assert _told(parts, name)[-3:] == [
        rf"RequestId: {request} Error: Runtime exited with error: signal: killed\n.*",
        rf"END RequestId: {request}\n",
        rf"REPORT RequestId: {request}\t.*\tStatus: error\tError Type: Runtime\.ExitError\n",
    ]


@pytest.mark.parametrize(
    ("way", "written", "kind"),
    [
        ("imports", r"\[ERROR\] Runtime\.ImportModuleError: .*", "Runtime.ImportModuleError"),
        ("raises", r"\[ERROR\] ValueError: at once\n.*", "Runtime.Unknown"),
        ("exits", "", "Runtime.ExitError"),
    ],
)
def test_a_function_that_cannot_begin_is_told_of_by_the_init_and_by_the_call(
    parts: Parts, made: Any, way: str, written: str, kind: str
) -> None:
    name = made(f"never-{way}", code=BROKEN[way])
    (first, _), (second, answer) = _called(parts, name), _called(parts, name)
    assert answer["errorMessage"]
    told = [line for line in _told(parts, name) if "LAMBDA_WARNING" not in line]
    own = [written] if written else []
    exited = kind == "Runtime.ExitError"
    ended = f"Status: error\tError Type: {kind}\n"

    def call(request: str) -> list[str]:
        return [
            rf"START RequestId: {request} .*",
            *([rf"RequestId: {request} Error: Runtime exited .* 7\n.*"] if exited else []),
            rf"END RequestId: {request}\n",
            rf"REPORT RequestId: {request}\t.*{MEMORY}\t{ended}",
        ]

    assert told[1:] == [
        *own,
        *(rf"INIT_REPORT Init Duration: {MS}\tPhase: {each}\t{ended}" for each in INITS),
        *call(first),
        *own,
        rf"INIT_REPORT Init Duration: {MS}\tPhase: invoke\t{ended}",
        *call(second),
    ]


def test_an_init_that_takes_too_long_has_timed_out(parts: Parts, made: Any) -> None:
    name = made("never-ready", code=BROKEN["sleeps"], Timeout=1)
    request, _ = _called(parts, name)
    assert _told(parts, name)[1:] == [
        rf"INIT_REPORT Init Duration: {MS}\tPhase: init\tStatus: timeout\n",
        rf"START RequestId: {request} .*",
        rf"\S+ {request} Task timed out after 1\.00 seconds\n\n",
        rf"END RequestId: {request}\n",
        rf"REPORT RequestId: {request}\t.*\tStatus: timeout\n",
    ]


def test_what_a_function_prints_is_its_own_whatever_it_looks_like(parts: Parts, made: Any) -> None:
    name = made("prints")
    forged, _ = _called(parts, name, do="look like a report")
    half, _ = _called(parts, name, do="end without a line")
    assert _told(parts, name)[2:] == [
        rf"REPORT RequestId: {forged}\tDuration: 3\.00 ms\tStatus: timeout\n",
        *(rf"END RequestId: {forged}\n", rf"REPORT RequestId: {forged}\t.*\t\n"),
        *(rf"START RequestId: {half} .*", r"half a line\n"),
        *(rf"END RequestId: {half}\n", rf"REPORT RequestId: {half}\t.*\t\n"),
    ]


# The same in JSON.


def test_in_json_a_handler_that_raises_leaves_its_error_and_a_report_of_success(
    parts: Parts, made: Any
) -> None:
    name = made("json-raises", LoggingConfig={"LogFormat": "JSON"})
    request, _ = _called(parts, name, do="raise")
    begun, started, error, report = _records(parts, name)
    assert begun["type"] == "platform.initStart"
    assert started["record"]["requestId"] == request and started["type"] == "platform.start"
    assert (error["level"], error["errorType"], error["requestId"]) == (
        "ERROR",
        "KeyError",
        request,
    )
    assert "message" not in error and error["stackTrace"]
    assert (report["type"], report["record"]["status"]) == ("platform.report", "success")
    assert {"durationMs", "initDurationMs"} <= report["record"]["metrics"].keys()


@pytest.mark.parametrize(
    ("do", "status"),
    [
        ("sleep", {"status": "timeout"}),
        ("exit", {"status": "error", "errorType": "Runtime.ExitError"}),
    ],
)
def test_in_json_a_call_that_lambda_ends_has_its_status_twice(
    parts: Parts, made: Any, do: str, status: dict[str, str]
) -> None:
    name = made(f"json-{do}", Timeout=1, LoggingConfig={"LogFormat": "JSON"})
    request, _ = _called(parts, name, do=do)
    _, _, done, report = _records(parts, name)
    assert (done["type"], report["type"]) == ("platform.runtimeDone", "platform.report")
    assert done["record"] == {"requestId": request, **status}
    metrics = report["record"].pop("metrics")
    assert report["record"] == {"requestId": request, **status}
    assert metrics["memorySizeMB"] == 128


def test_in_json_an_init_that_fails_has_a_record(parts: Parts, made: Any) -> None:
    name = made("json-imports", code=BROKEN["imports"], LoggingConfig={"LogFormat": "JSON"})
    _called(parts, name)
    records = _records(parts, name)
    failed = [each["record"] for each in records if each.get("type") == "platform.initReport"]
    assert [each["phase"] for each in failed] == INITS
    kind = "Runtime.ImportModuleError"
    assert {(each["status"], each["errorType"]) for each in failed} == {("error", kind)}
    assert records[-1]["record"]["errorType"] == kind


def test_in_json_what_is_below_the_levels_is_not_written(parts: Parts, made: Any) -> None:
    levels = {"SystemLogLevel": "WARN", "ApplicationLogLevel": "FATAL"}
    name = made("json-quiet", LoggingConfig={"LogFormat": "JSON", **levels})
    for do in ("raise", "log", "end without a line", "nothing"):
        _called(parts, name, do=do)
    assert _records(parts, name) == []
    _called(parts, name, do="exit")
    kinds = [each["type"] for each in _records(parts, name)]
    assert kinds == ["platform.runtimeDone", "platform.report"]


# Where.


def test_a_sandbox_has_a_stream_of_its_own_that_names_the_version(parts: Parts, made: Any) -> None:
    name = made("streams")
    lambda_ = parts.client("lambda")
    version = lambda_.publish_version(FunctionName=name)["Version"]
    streams = [
        _called(parts, name, Qualifier=qualifier)[1]
        for qualifier in ("$LATEST", "$LATEST", version)
    ]
    assert streams[0] == streams[1] != streams[2]
    day = r"20\d\d/\d\d/\d\d"
    assert re.fullmatch(rf"{day}/\[\$LATEST\][0-9a-f]{{32}}", streams[0])
    assert re.fullmatch(rf"{day}/\[{version}\][0-9a-f]{{32}}", streams[2])
    assert {each["logStreamName"] for each in _written(parts, name)} == set(streams)


def test_in_a_group_of_another_name_it_names_the_function_too(parts: Parts, made: Any) -> None:
    name = made("shared", LoggingConfig={"LogGroup": "/shared/by/many"})
    _, told = _called(parts, name)
    assert re.fullmatch(rf"[\d/]{{10}}/{name}\[\$LATEST\][0-9a-f]{{32}}", told)
    assert {each["logStreamName"] for each in parts.cloud.written("/shared/by/many")} == {told}
    assert _written(parts, name) == []


def test_a_group_that_is_deleted_is_made_anew(parts: Parts, made: Any, logs: Any) -> None:
    name = made("deleted")
    _called(parts, name)
    logs.delete_log_group(logGroupName=f"/aws/lambda/{name}")
    request, _ = _called(parts, name)
    assert len(_told(parts, name)) == 3 and request in _told(parts, name)[0]


def test_a_stream_s_day_is_that_of_its_beginning_in_utc() -> None:
    late = datetime(2026, 12, 31, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    name = stream(Function("f", "8"), "/aws/lambda/f", late, "ab12")
    assert name == "2027/01/01/[8]ab12"


def test_the_configuration_says_where_and_how(parts: Parts, made: Any) -> None:
    name = made("configured")
    lambda_ = parts.client("lambda")

    def told(**asked: Any) -> Any:
        return lambda_.get_function_configuration(FunctionName=name, **asked)["LoggingConfig"]

    group = f"/aws/lambda/{name}"
    assert told() == {"LogFormat": "Text", "LogGroup": group}
    version = lambda_.publish_version(FunctionName=name)["Version"]
    update = lambda_.update_function_configuration
    update(FunctionName=name, LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "WARN"})
    update(FunctionName=name, LoggingConfig={"LogGroup": "mine"})
    update(FunctionName=name, Timeout=2)
    assert told() == {
        "LogFormat": "JSON",
        "ApplicationLogLevel": "INFO",
        "SystemLogLevel": "WARN",
        "LogGroup": "mine",
    }
    assert told(Qualifier=version) == {"LogFormat": "Text", "LogGroup": group}
    with pytest.raises(ClientError, match="SystemLogLevel can only be set where LogFormat is JSON"):
        update(FunctionName=name, LoggingConfig={"LogFormat": "Text", "SystemLogLevel": "INFO"})
    with pytest.raises(ClientError, match="The value XML for LogFormat is not known"):
        update(FunctionName=name, LoggingConfig={"LogFormat": "XML"})


# When.


def test_a_line_can_be_read_only_after_a_while(parts: Parts, put: Any, logs: Any) -> None:
    parts.cloud.logs(delay=60)
    put("late", "2026/01/05/[8]a", "a line")
    of_stream = {"logGroupName": "late", "logStreamName": "2026/01/05/[8]a"}

    def found() -> list[list[str]]:
        answers = [logs.filter_log_events(logGroupName="late"), logs.get_log_events(**of_stream)]
        return [[event["message"] for event in answer["events"]] for answer in answers]

    assert found() == [[], []]
    assert [each["message"] for each in parts.cloud.written("late")] == ["a line"]
    parts.cloud.logs(delay=0)
    assert found() == [["a line"], ["a line"]]


# Which.


@pytest.mark.parametrize(
    ("pattern", "found", "passed_over"),
    [
        ("", ["anything", ""], []),
        ("ERROR", ["[ERROR] x", "ERROR"], ["ERRORS", "error", "MYERROR"]),
        ("two words", ["words, two"], ["two", "words"]),
        ('"Task timed out"', ["x Task timed out after"], ["Task timed  out", "timed Task out"]),
        (r'"a \"b\""', ['a "b"'], ["a b"]),
        ('"Status: timeout"', ["\tStatus: timeout\n"], ["Status: timeouts"]),
        ("?ERROR ?WARN", ["ERROR", "WARN"], ["INFO"]),
        ('?"timed out" ?"Error: Runtime"', ["it timed out", "1 Error: Runtime exited"], ["timed"]),
        ("ERROR -test", ["ERROR 1"], ["ERROR test", "1"]),
        ('-"a test"', ["a", "test"], ["a test"]),
        ('{ $.x = "y" }', ['{"x": "y"}'], ['{"x": "z"}', '{"z": "y"}', "x = y", '["x"]', "{x"]),
        ("{ $.x = y* }", ['{"x": "yes"}', '{"x": "y"}'], ['{"x": "my"}', '{"x": 1}']),
        ('{ $.x != "y" }', ['{"x": "z"}'], ['{"x": "y"}', "{}"]),
        ("{$.x>=2}", ['{"x": 2}', '{"x": 2.5}'], ['{"x": 1}', '{"x": "3"}', '{"x": true}']),
        ("{ $.x = 1e1 }", ['{"x": 10}'], ['{"x": 1}']),
        ("{ $.x IS NULL }", ['{"x": null}'], ["{}", '{"x": 0}']),
        ("{ $.x IS TRUE }", ['{"x": true}'], ['{"x": 1}', '{"x": false}']),
        ("{ $.x NOT EXISTS }", ['{"y": 1}'], ['{"x": null}']),
        ("{ $.a.b[1].c = 3 }", ['{"a": {"b": [0, {"c": 3}]}}'], ['{"a": {"b": [{"c": 3}]}}']),
        (
            '{ $.a = 1 && $.b = 2 || $.c = "3" }',
            ['{"a": 1, "b": 2}', '{"c": "3"}'],
            ['{"a": 1, "c": 3}'],
        ),
        ("{ $.a = 1 && ($.b = 2 || $.c = 3) }", ['{"a": 1, "c": 3}'], ['{"b": 2}', '{"c": 3}']),
    ],
)
def test_a_pattern_lets_through_what_aws_s_pages_say(
    pattern: str, found: list[str], passed_over: list[str]
) -> None:
    matches = patterns.read(pattern)
    assert [message for message in found + passed_over if matches(message)] == found


REFUSED = {
    "%regex%": "at '%regex%'",
    '?"a %b"%': "at '",
    "[ip, user]": "at '",
    "a.b": "stands in quotation marks",
    "a*": "stands in quotation marks",
    '"no end': "at '",
    '""': "a phrase is empty",
    "?a b": "passes over the question mark",
    "?a -b": "passes over the question mark",
    "{ $.x = 1": "the closing brace is missing",
    "{ }": "it ends too early",
    "{ $.x }": "it ends too early",
    "{ $.x = 1 $.y = 2 }": "at '$.y'",
    "{ x = 1 }": "'x' is no selector",
    '{ $.x > "a" }': "compares numbers",
    "{ $.x = }": "it ends too early",
    "{ $.x = %a% }": "at '%a%'",
    "{ $.x IS FUN }": "is no comparison",
    "{ $.x EXISTS }": "it ends too early",
    "{ ($.x = 1 }": "a closing parenthesis is missing",
    "{ $.x = $.y }": "is no value",
    f'"{"a" * 1023}"': "longer than 1024 characters",
}


@pytest.mark.parametrize("pattern", REFUSED)
def test_a_pattern_that_is_not_known_is_refused(pattern: str) -> None:
    with pytest.raises(patterns.Unknown, match=re.escape(REFUSED[pattern])):
        patterns.read(pattern)


def test_the_refusal_names_the_pattern(put: Any, logs: Any) -> None:
    put("patterns", "s", "a")
    told = "Invalid filter pattern '%a%'"
    with pytest.raises(logs.exceptions.InvalidParameterException, match=told):
        logs.filter_log_events(logGroupName="patterns", filterPattern="%a%")


def test_the_watch_s_own_pattern_finds_its_rollout_and_no_other(
    parts: Parts, put: Any, logs: Any
) -> None:
    parts.cloud.logs(delay=0)
    mine = {"function": "checkout", "alias": ALIAS, "rollout": "1"}
    lines = [mine, {"rollout": "2"}, {"function_request_id": "3"}, {**mine, "alias": "other"}]
    put("rollouts", "s", *map(json.dumps, lines), "START RequestId: 3 Version: 1")
    wanted = pattern_of_the_watch("checkout", ALIAS, "2", "3")
    found = logs.filter_log_events(logGroupName="rollouts", filterPattern=wanted)["events"]
    assert [json.loads(event["message"]) for event in found] == lines[:3]


def test_only_the_streams_of_the_prefix_are_read(parts: Parts, put: Any, logs: Any) -> None:
    parts.cloud.logs(delay=0)
    for name in ("2026/01/05/[8]a", "2026/01/05/[80]b", "2026/01/04/[8]c", "2026/01/05/[8]d"):
        put("streams", name, name)

    def found(**asked: Any) -> list[str]:
        events = logs.filter_log_events(logGroupName="streams", **asked)["events"]
        return [event["logStreamName"] for event in events if event["message"]]

    assert found(logStreamNamePrefix="2026/01/05/[8]") == ["2026/01/05/[8]a", "2026/01/05/[8]d"]
    assert found(logStreamNamePrefix="[8]") == []
    assert found(logStreamNames=["2026/01/04/[8]c"]) == ["2026/01/04/[8]c"]
    assert len(found()) == 4
    with pytest.raises(logs.exceptions.InvalidParameterException, match="cannot be given together"):
        found(logStreamNames=["2026/01/04/[8]c"], logStreamNamePrefix="2026")
    with pytest.raises(logs.exceptions.ResourceNotFoundException, match="does not exist: 2026"):
        found(logStreamNames=["2026"])


def test_only_the_time_that_is_asked_for_is_read_both_ends_included(
    parts: Parts, put: Any, logs: Any
) -> None:
    parts.cloud.logs(delay=0)
    put("times", "s", "1", "2", "3", "4")
    times = [each["timestamp"] for each in parts.cloud.written("times")]
    asked = {"logGroupName": "times", "startTime": times[1], "endTime": times[2]}
    assert [each["message"] for each in logs.filter_log_events(**asked)["events"]] == ["2", "3"]


# Page by page.


def test_pages_may_be_empty_before_the_end_and_every_event_comes_once(
    parts: Parts, put: Any, logs: Any
) -> None:
    parts.cloud.logs(delay=0, looked_at=2)
    put("pages", "one", "a", "a", "b", "a")
    put("pages", "two", "a", "b", "a")
    asked = {"logGroupName": "pages", "filterPattern": "b"}
    pages = list(_pages(logs, **asked))
    assert [len(page["events"]) for page in pages] == [0, 1, 1, 0]
    assert all(page["searchedLogStreams"] == [] for page in pages)
    everything = _events(_pages(logs, logGroupName="pages"))
    ids = [event["eventId"] for event in everything]
    assert len(set(ids)) == len(everything) == 7
    times = [event["timestamp"] for event in everything]
    assert times == sorted(times), "the streams are told in one"
    parts.cloud.logs(delay=0)
    again = logs.filter_log_events(logGroupName="pages")["events"]
    assert [event["eventId"] for event in again] == ids, "an event keeps its id"


def test_a_page_has_at_most_as_many_as_are_asked_for_and_a_megabyte(
    parts: Parts, put: Any, logs: Any
) -> None:
    parts.cloud.logs(delay=0)
    put("long", "s", *(f"{number} {'x' * 200_000}" for number in range(7)))
    asked = {"logGroupName": "long"}
    assert [len(page["events"]) for page in _pages(logs, **asked)] == [5, 2]
    assert [len(page["events"]) for page in _pages(logs, **asked, limit=3)] == [3, 3, 1]
    with pytest.raises(ClientError, match="between 1 and 10000"):
        logs.filter_log_events(**asked, limit=10_001)


def test_a_token_is_of_use_only_to_the_request_that_got_it(
    parts: Parts, put: Any, logs: Any
) -> None:
    parts.cloud.logs(delay=0, looked_at=1)
    put("tokens", "s", "a", "b")
    token = logs.filter_log_events(logGroupName="tokens")["nextToken"]
    for asked in ({"nextToken": "x"}, {"nextToken": token, "filterPattern": "a"}):
        with pytest.raises(logs.exceptions.InvalidParameterException, match="nextToken is invalid"):
            logs.filter_log_events(logGroupName="tokens", **asked)


# Whose.


def test_a_group_that_is_not_there_is_not_found(logs: Any) -> None:
    for call in (logs.filter_log_events, logs.get_log_events):
        more = {"logStreamName": "s"} if call == logs.get_log_events else {}
        with pytest.raises(logs.exceptions.ResourceNotFoundException):
            call(logGroupName="/aws/lambda/never-called", **more)
    with pytest.raises(logs.exceptions.InvalidParameterException, match="Exactly one"):
        logs.filter_log_events()


def test_a_function_reads_what_its_role_lets_it_read(
    parts: Parts, made: Any, put: Any, role: str
) -> None:
    name = made("reader")
    put("open", "s", "a")
    put("shut", "s", "a")
    arn = "arn:aws:logs:us-east-1:012345678912:log-group:{}"
    # For the name alone AWS lets nobody in: it asks for the group's streams.
    allowed = [arn.format("open:*"), arn.format("shut")]
    statement = {"Effect": "Allow", "Action": "logs:FilterLogEvents", "Resource": allowed}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    parts.client("iam").put_role_policy(
        RoleName=role, PolicyName="read", PolicyDocument=json.dumps(policy)
    )
    logs = _as_function(parts, name)
    logs.filter_log_events(logGroupName="open")
    for call, more in ((logs.filter_log_events, {}), (logs.get_log_events, {"logStreamName": "s"})):
        with pytest.raises(ClientError, match="not authorized to perform: logs:") as refused:
            call(logGroupName="shut", **more)
        assert refused.value.response["Error"]["Code"] == "AccessDeniedException"


def test_a_function_reads_what_a_managed_policy_of_its_template_lets_it_read(
    parts: Parts, made: Any, put: Any
) -> None:
    for group in ("managed-open", "managed-shut"):
        put(group, "s", "a")
    allowed = "arn:aws:logs:us-east-1:012345678912:log-group:managed-open:*"
    statement = {"Effect": "Allow", "Action": "logs:FilterLogEvents", "Resource": allowed}
    role = {"AssumeRolePolicyDocument": {"Statement": []}, "ManagedPolicyArns": [{"Ref": "Read"}]}
    template = {
        "Resources": {
            "Read": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {
                    "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}
                },
            },
            "Role": {"Type": "AWS::IAM::Role", "Properties": role},
        },
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}}},
    }
    formation = parts.client("cloudformation")
    formation.create_stack(StackName="with-a-policy", TemplateBody=json.dumps(template))
    (stack,) = formation.describe_stacks(StackName="with-a-policy")["Stacks"]
    logs = _as_function(parts, made("managed", Role=stack["Outputs"][0]["OutputValue"]))
    logs.filter_log_events(logGroupName="managed-open")
    with pytest.raises(ClientError, match="not authorized to perform: logs:"):
        logs.filter_log_events(logGroupName="managed-shut")


def test_a_template_s_arn_of_a_group_is_that_of_its_streams(parts: Parts) -> None:
    template = {
        "Resources": {"Log": {"Type": "AWS::Logs::LogGroup"}},
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Log", "Arn"]}}},
    }
    formation = parts.client("cloudformation")
    formation.create_stack(StackName="with-a-log", TemplateBody=json.dumps(template))
    (stack,) = formation.describe_stacks(StackName="with-a-log")["Stacks"]
    assert stack["Outputs"][0]["OutputValue"].endswith(":*")


# -- what the stories need ------------------------------------------------------------------------

#: The emulator tells of an init that fails once more when it comes to the call.
INITS = ["init", "invoke"]


class Like(str):
    """A message of a log, which is equal to a regular expression that it matches wholly."""

    def __eq__(self, expected: object) -> bool:
        return re.fullmatch(str(expected), self, re.DOTALL) is not None

    def __hash__(self) -> int:
        return hash(str(self))


@pytest.fixture(autouse=True)
def usual(parts: Parts) -> Iterator[None]:
    yield
    parts.cloud.logs(delay=LOG_DELAY)


@pytest.fixture
def logs(parts: Parts) -> Any:
    return parts.client("logs")


@pytest.fixture(scope="module")
def role(parts: Parts) -> str:
    name = "of-the-logged"
    trust = json.dumps({"Statement": []})
    parts.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    return name


@pytest.fixture
def made(parts: Parts, role: str) -> Callable[..., str]:
    """Makes a function, with a log of its own; its name."""
    arn = parts.client("iam").get_role(RoleName=role)["Role"]["Arn"]

    def make(name: str, code: str = CODE, **configuration: Any) -> str:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("app.py", code)
        name = f"logged-{name}"
        parts.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="app.handler",
            Code={"ZipFile": packed.getvalue()},
            **{"Role": arn, "Timeout": 5, **configuration},
        )
        return name

    return make


@pytest.fixture
def put(logs: Any) -> Callable[..., None]:
    """Puts messages into a stream, a millisecond apart; what is not there yet is made."""
    ticks = itertools.count(int(datetime.now(UTC).timestamp() * 1000) - 10_000)

    def put(group: str, stream: str, *messages: str) -> None:
        for make, name in (
            (logs.create_log_group, {}),
            (logs.create_log_stream, {"logStreamName": stream}),
        ):
            with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
                make(logGroupName=group, **name)
        events = [{"timestamp": next(ticks), "message": each} for each in messages]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    return put


def _as_function(parts: Parts, name: str) -> Any:
    """A client of that function's: it may what the function's role may."""
    return boto3.client(
        "logs",
        endpoint_url=parts.cloud.endpoint,
        region_name=REGION,
        aws_access_key_id=roles.access_key(name),
        aws_secret_access_key="local",
    )


def _called(parts: Parts, name: str, do: str = "", **asked: Any) -> tuple[str, Any]:
    """Its request id, and its answer."""
    payload = json.dumps({"do": do})
    answer = parts.client("lambda").invoke(FunctionName=name, Payload=payload, **asked)
    return answer["ResponseMetadata"]["RequestId"], json.loads(answer["Payload"].read())


def _written(parts: Parts, name: str) -> list[dict[str, Any]]:
    return parts.cloud.written(f"/aws/lambda/{name}")


def _told(parts: Parts, name: str) -> list[Like]:
    """The messages, to be compared with regular expressions."""
    return [Like(event["message"]) for event in _written(parts, name)]


def _records(parts: Parts, name: str) -> list[dict[str, Any]]:
    """The messages that are JSON, without the runtime's warning."""
    messages = [event["message"] for event in _written(parts, name)]
    records = [json.loads(each) for each in messages if each.startswith("{")]
    return [each for each in records if each.get("level") != "WARNING"]


def _pages(logs: Any, **asked: Any) -> Iterator[dict[str, Any]]:
    page = logs.filter_log_events(**asked)
    yield page
    while token := page.get("nextToken"):
        page = logs.filter_log_events(**asked, nextToken=token)
        yield page


def _events(pages: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for page in pages for event in page["events"]]
