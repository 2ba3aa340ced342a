"""What a person runs in a terminal: what it shows, and the exit status that it ends with."""

import ast
import contextlib
import inspect
import io
import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions
from botocore.parsers import ResponseParserError
from rich.console import Console

import lambda_rollout
from deployer.decisions import ending, errors
from deployer.decisions.evidence import Counts
from deployer.decisions.stamp import Stamp
from lambda_rollout import command as cli_command
from lambda_rollout import endings, lines, request, screen, words
from lambda_rollout.endings import MEANINGS, STATUSES, Status
from lambda_rollout.state import Looked, Plan, State
from tests.watched import CALLER, ID, START, UNTIL, Aws, Clock, refusal

HOUSE = Path(lambda_rollout.__file__).parent
MODULES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(HOUSE.glob("*.py"))}
ROLLOUT = "rollout --function checkout --alias live --version 8 --steps 2 --interval 30"
WATCH = "watch --function checkout --alias live"
VERBS = ("start", "watch", "plan", "stop", "promote", "undo", "history")
WHY = "Version 8 had 5 errors in 50 invocations (10.00%); version 7 had 0 errors in 100 invocations in the same time."


def test_a_rollout_is_started_once_and_followed_to_its_good_end(aws: Aws) -> None:
    ran = Ran(ROLLOUT, good(aws))
    assert ran.status == Status.DEPLOYED
    target = {"function-name": "checkout", "alias-name": "live", "new-version": "8"}
    assert aws.invoked == [{**target, "steps": 2, "interval": 30, "started-by": CALLER}]
    told = [line.split("  ", 1) for line in ran.out.splitlines()]
    assert [text for _, text in told] == [
        "Accepted; waiting for the first shift …",
        f"rollout {ID} on checkout:live  version 7 → 8",
        "weight 50 %  step 1 of 2  about 56 s left",
        "calls since 12:00:00  version 7: 0 errors in 100 invocations; version 8: 0 errors in 50 invocations",
        f"look nothing wrong so far  {WHY}",
        "weight 100 %  step 2 of 2  about 26 s left",
        "settling: until calls at full weight are published, at most 2 min",
        f"SUCCEEDED: {WHY} Alias 'live' of 'checkout' is on version 8.",
        "warning: Does anything call this alias?",
    ]
    assert (told[0][0], told[-1][0]) == ("12:00:07", "12:01:37")


def test_a_rollout_that_was_rolled_back_says_why_and_where(aws: Aws) -> None:
    aws.calls["8"] = (50, 5)
    ran = Ran(ROLLOUT, bad(aws))
    assert ran.status == Status.ROLLED_BACK
    assert f"look failed  {WHY}\n" in ran.out
    assert ran.out.endswith(
        f"HealthCheckFailed: {WHY} It was rolled back. Alias 'live' of 'checkout' is on version 7.\n"
    )


def test_watch_follows_what_somebody_else_has_started(aws: Aws) -> None:
    good(aws)
    aws.clock.sleep(20)
    ran = Ran(WATCH, aws)
    assert (ran.status, aws.invoked) == (Status.DEPLOYED, [])
    assert "weight 50 %  step 1 of 2  time left: not known yet" in ran.out
    assert f"look nothing wrong so far  {WHY}" in ran.out
    assert "weight 100 %  step 2 of 2  about 26 s left" in ran.out


def test_every_error_of_the_deployer_has_a_status_and_nothing_else_has() -> None:
    ours = {name for name, _ in inspect.getmembers(errors, inspect.isclass)} - {"DeployError"}
    assert ours == _classes(errors.DeployError) & ours
    assert set(STATUSES) == ours | (set(ending.WELL) - {"HANDED_OVER", "PLANNED"})


@pytest.mark.parametrize("message", STATUSES)
def test_the_status_is_that_of_the_log_s_last_word(aws: Aws, message: str) -> None:
    runs(aws, (40, lambda: aws.end(message, "7", reason="Because.")))
    assert Ran(ROLLOUT, aws).status == STATUSES[message]


def test_an_error_of_a_newer_deployer_is_an_end_too_and_progress_is_none() -> None:
    assert endings.status_of("SomethingNewHappened") is Status.ROLLED_BACK
    for message in (
        "STARTED",
        "SHIFTED",
        "SUSPENDED",
        "RESUMED",
        "LOOKED",
        "NOT_SEEN",
        "ROLLED_BACK",
        "HANDED_OVER",
        "SMOKE_TESTED",
    ):
        assert endings.status_of(message) is None


def test_the_statuses_are_told_in_the_help_and_in_the_docs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert set(MEANINGS) == set(Status)
    for verb in ((), *((verb,) for verb in VERBS), ("rollout",)):
        with pytest.raises(SystemExit):
            cli_command.main([*verb, "--help"])
        told = capsys.readouterr().out
        for example in verb or VERBS:
            asked = "start" if example == "rollout" else example
            assert re.search(rf"^  python -m lambda_rollout {asked}\b", told, re.M)
        assert all(
            re.search(rf"^  {status:d} +{re.escape(MEANINGS[status])}$", told, re.M)
            for status in Status
        )
    page = (HOUSE.parent / "docs" / "cli.md").read_text()
    assert all(f"| {status:d} | {MEANINGS[status]} |" in page for status in Status)


TYPOS = {
    "--steps x": "'steps' must be a whole number from 1 to 1000, but it is \"x\"",
    "--type liner": "did you mean 'linear'?",
    "--health tru": "'health-check' must be true, false, or an object, but it is \"tru\"",
    "--weights 0.5,0.4": "'weights'",
    "--function checkout:live": "leave out ':live'",
    "--function arn:aws:lambda:us-east-1:123456789012:function:checkout": "of the region us-east-1",
    "--interval 31449600": "more than 364 days",
}


@pytest.mark.parametrize("typo", TYPOS)
def test_a_typo_is_refused_before_anything_is_sent(aws: Aws, typo: str) -> None:
    ran = Ran(f"{ROLLOUT} {typo}", aws)
    assert (ran.status, aws.invoked) == (Status.REFUSED, [])
    assert TYPOS[typo] in ran.err and ran.err.count("\n") == 1


def test_options_become_the_payload_and_change_the_file_s(aws: Aws, tmp_path: Path) -> None:
    typed = {
        "weights": "0.1, 1",
        "health": '{"errors": "baseline"}',
        "interval": "1.5",
        "version": "8",
        "steps": None,
    }
    event = {
        "weights": [0.1, 1],
        "health-check": {"errors": "baseline"},
        "interval": 1.5,
        "new-version": "8",
    }
    assert request.payload(typed, {}) == event
    file = tmp_path / "payload.json"
    given = {
        "function-name": "checkout",
        "alias-name": "live",
        "new-version": 9,
        "type": "canary",
        "interval": 30,
    }
    file.write_text(json.dumps(given))
    good(aws)
    assert Ran("rollout --version 8 --payload", aws, also=[str(file)]).status == Status.DEPLOYED
    assert aws.invoked == [{**given, "new-version": "8", "started-by": CALLER}]
    for content, told in (("{", "not JSON"), ("[]", "The payload must be a JSON object")):
        file.write_text(content)
        ran = Ran("rollout --payload", aws, also=[str(file)])
        assert (ran.status, len(aws.invoked)) == (Status.REFUSED, 1) and told in ran.err
    assert "cannot be read" in Ran("rollout --payload", aws, also=[str(tmp_path / "absent")]).err


def test_an_alias_that_is_busy_is_not_asked_for_again(aws: Aws) -> None:
    aws.shift(0.5, 1)
    ran = Ran(ROLLOUT, aws)
    assert (ran.status, aws.invoked) == (Status.REFUSED, [])
    assert ran.err.startswith(
        f"AliasBusy: Rollout {ID} of version 8 runs on this alias: weight 0.5, step 1 of 2"
    )
    assert ran.err.endswith("Nothing was sent.\n")


REFUSALS: dict[str, tuple[str, Exception, str]] = {
    "no credentials": (
        "get_alias",
        exceptions.NoCredentialsError(),
        "There are no AWS credentials: run 'aws configure'",
    ),
    "expired": (
        "get_alias",
        refusal("ExpiredTokenException", status=403),
        "The AWS credentials have expired: renew",
    ),
    "unknown": (
        "get_alias",
        refusal("UnrecognizedClientException", status=403),
        "AWS does not know these credentials",
    ),
    "denied": (
        "get_alias",
        refusal("AccessDeniedException", status=403),
        "allow lambda:GetAlias on the function",
    ),
    "no network": (
        "get_alias",
        exceptions.EndpointConnectionError(endpoint_url="http://x"),
        "could not be reached",
    ),
    "no alias": (
        "get_alias",
        refusal("ResourceNotFoundException", status=404),
        "There is no alias 'live' of a function",
    ),
    "not installed": (
        "invoke",
        refusal("ResourceNotFoundException", status=404),
        "run ./install.sh, or set the Region.",
    ),
    "may not invoke": (
        "invoke",
        refusal("AccessDeniedException", status=403),
        "allow lambda:InvokeFunction on Simple",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_aws_refuses_is_one_sentence_with_a_remedy(aws: Aws, case: str) -> None:
    operation, fault, told = REFUSALS[case]
    aws.faults[operation] = fault
    ran = Ran(ROLLOUT, aws)
    assert (ran.status, aws.invoked, ran.err.count("\n")) == (Status.REFUSED, [], 1)
    assert told in ran.err and ran.err.endswith("Nothing was sent.\n")
    if operation == "get_alias" and case != "no network":
        ran = Ran(WATCH, aws)
        assert (ran.status, ran.err.count("\n")) == (Status.NOT_SEEN, 1) and told in ran.err


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (exceptions.NoRegionError(), "No AWS Region is set: export AWS_DEFAULT_REGION"),
        (exceptions.ProfileNotFound(profile="p"), "check AWS_PROFILE"),
    ],
)
def test_what_fails_before_aws_is_asked_is_a_sentence_too(
    fault: Exception, told: str, aws: Aws
) -> None:
    def connect() -> Any:
        raise fault

    for command, status in ((ROLLOUT, Status.REFUSED), (WATCH, Status.NOT_SEEN)):
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            assert cli_command.main(command.split(), connect, aws.clock, io.StringIO()) == status
        assert told in err.getvalue() and err.getvalue().count("\n") == 1


def test_an_invoke_without_an_answer_may_have_begun_something(aws: Aws) -> None:
    aws.faults["invoke"] = exceptions.ReadTimeoutError(endpoint_url="http://x")
    ran = Ran(ROLLOUT, aws)
    assert ran.status == Status.NOT_SEEN
    assert "Whether the rollout has begun is not known: 'make watch' tells." in ran.err


def test_ctrl_c_stops_watching_and_never_the_rollout(aws: Aws) -> None:
    def press() -> None:
        raise KeyboardInterrupt

    ran = Ran(ROLLOUT, good(aws).story((20, press)))
    assert ran.status == Status.STOPPED_WATCHING
    assert "Stopped watching; the rollout goes on." in ran.out
    assert "make watch FUNCTION=checkout ALIAS=live" in ran.out
    target = "--function-name checkout --name live"
    routing = "--routing-config AdditionalVersionWeights={}"
    command = f"aws lambda update-alias {target} {routing}"
    assert command in ran.out
    assert aws.routing == {"8": 0.5}


NO_LOG = {
    "logs denied": (
        "filter_log_events",
        refusal("AccessDeniedException", status=400),
        "allow logs:FilterLogEvents",
    ),
    "stack denied": (
        "describe_stacks",
        refusal("AccessDenied", status=403),
        "allow cloudformation:DescribeStacks",
    ),
    "no stack": ("describe_stacks", refusal("ValidationError"), "name the deployer's with --stack"),
}


@pytest.mark.parametrize(
    ("command", "case"),
    [
        *((f"{WATCH} --wait 10", case) for case in NO_LOG),
        # Where there is no stack, no rollout is started.
        *((ROLLOUT, case) for case in NO_LOG if case != "no stack"),
    ],
)
def test_without_the_log_the_end_is_seen_and_its_reason_unknown(
    aws: Aws, case: str, command: str
) -> None:
    operation, fault, told = NO_LOG[case]
    aws.faults[operation] = fault
    ran = Ran(command, good(aws))
    assert ran.status == Status.UNKNOWN and ran.seconds == pytest.approx(90, abs=3)
    assert told in ran.out and "weight 50 %  step 1 of 2" in ran.out and "calls since" in ran.out
    assert (
        "Ended; reason unknown" in ran.out
        and ".." not in ran.out
        and "Alias 'live' of 'checkout' is on version 8." in ran.out
    )


def test_an_answer_that_cannot_be_understood_is_asked_for_again(aws: Aws) -> None:
    for operation in ("describe_stacks", "filter_log_events", "get_metric_data"):
        aws.faults[operation] = ResponseParserError("invalid XML received")
    ran = Ran(ROLLOUT, good(aws).story((40, aws.faults.clear)))
    assert ran.status == Status.DEPLOYED
    assert f"look nothing wrong so far  {WHY}" in ran.out and "No log" not in ran.out


def test_without_the_log_a_rollout_that_never_shows_is_not_waited_for_long(aws: Aws) -> None:
    aws.faults["filter_log_events"] = refusal("AccessDeniedException")
    ran = Ran(ROLLOUT, aws)
    assert ran.status == Status.UNKNOWN and ran.seconds == pytest.approx(60, abs=3)
    assert "Nothing was seen of it; why, is unknown" in ran.out


def test_a_pending_version_is_waited_for_as_long_as_the_deployer_may_wait(aws: Aws) -> None:
    ran = Ran(
        ROLLOUT,
        aws.story((800, lambda: aws.end("InvalidRollout", "7", reason="It became Failed."))),
    )
    assert ran.status == Status.REFUSED and ran.seconds == pytest.approx(800, abs=3)
    assert Ran(ROLLOUT, Aws(Clock())).status == Status.UNKNOWN


def test_a_log_that_is_late_is_waited_for(aws: Aws) -> None:
    runs(
        aws,
        (40, aws.back),
        (70, lambda: aws.end("RolloutInterrupted", "7", reason="AWS did not answer.")),
    )
    ran = Ran(ROLLOUT, aws)
    assert ran.status == Status.ROLLED_BACK
    assert "The alias is on version 7. Waiting for the log to say how it ended …" in ran.out
    silent = Aws(Clock())
    assert Ran(ROLLOUT, runs(silent, (40, silent.back))).status == Status.UNKNOWN


def test_a_description_that_somebody_replaced_is_no_end(aws: Aws) -> None:
    def replaced() -> None:
        aws.stamp = ""

    runs(aws, (10, replaced), (22, lambda: aws.shift(0.5, 1, quiet=True)))
    assert (
        Ran(ROLLOUT, aws.story((40, lambda: aws.end("SUCCEEDED", "8")))).status == Status.DEPLOYED
    )


def test_the_watchdog_s_rollback_is_an_end_of_the_rollout(aws: Aws) -> None:
    died = "The deployer died, or its execution was stopped, before the rollout had ended. It was rolled back."
    runs(aws, (970, lambda: aws.end("RolloutInterrupted", "7", "watchdog", reason=died)))
    ran = Ran(ROLLOUT, aws)
    assert ran.status == Status.ROLLED_BACK and ran.seconds == pytest.approx(970, abs=3)
    assert "Its deployer seems to have died: waiting for the watchdog to roll it back …" in ran.out
    assert died in ran.out


def test_a_split_that_nobody_takes_back_is_told(aws: Aws) -> None:
    ran = Ran(ROLLOUT, runs(aws))
    assert ran.status == Status.STILL_SPLIT and ran.seconds == pytest.approx(900 + 60 + 1800, abs=5)
    assert "it sends 50 % of its calls to version 8" in ran.out.splitlines()[-1]


@pytest.mark.parametrize("request_id", ["request-1", "another"])
def test_a_rollout_that_is_handed_over_is_followed_on(aws: Aws, request_id: str) -> None:
    handed = {
        "execution": "arn:aws:states:eu-west-1:1:execution:D:e",
        "function_request_id": request_id,
    }
    aws.story(
        (2, lambda: aws.tell("HANDED_OVER", id="e" * 12, **handed)),
        (8, lambda: aws.shift(0.5, 1, id="e" * 12, quiet=True)),
        (40, lambda: aws.end("HealthCheckFailed", "7", "workflow", id="e" * 12, reason=WHY)),
    )
    ran = Ran(ROLLOUT, aws)
    assert ran.status == Status.ROLLED_BACK
    assert "Handed over to the state machine; waiting for the first shift …" in ran.out


def test_the_invocation_s_own_line_tells_whose_rollout_it_is(aws: Aws) -> None:
    """Somebody else has started the same version at the same moment: theirs runs, ours is
    refused."""
    busy = {
        "reason": "Another rollout runs.",
        "where": "It is split.",
        "function_request_id": "request-1",
    }
    runs(aws, (10, lambda: aws.tell("AliasBusy", id="f" * 12, **busy)))
    assert Ran(ROLLOUT, aws).status == Status.REFUSED


def test_what_ran_before_is_not_taken_for_ours(aws: Aws) -> None:
    aws.tell("SHIFTED", id="a" * 12, weight=0.5, step=1, steps=2)
    aws.clock.sleep(5)
    good(aws).story((3, lambda: aws.tell("HealthCheckFailed", id="a" * 12, reason="late line")))
    assert Ran(ROLLOUT, aws).status == Status.DEPLOYED


def test_the_end_of_a_dead_rollout_that_ours_rolls_back_first_is_not_ours(aws: Aws) -> None:
    dead = "d" * 12
    aws.routing = {"8": 0.5}
    aws.stamp = str(Stamp(dead, "8", 0.5, 1, 2, UNTIL - timedelta(hours=1)))
    ours = {"function_request_id": "request-1"}
    left = "The deployer died. It was rolled back."

    def undone() -> None:
        aws.tell("ROLLED_BACK", id=dead, reason=left, **ours)
        aws.end("RolloutInterrupted", "7", id=dead, reason=left, **ours)

    aws.story((2, undone))
    aws.story((12, lambda: aws.tell("STARTED", weight=0.0, step=0, steps=2, **ours)))
    aws.story((12, lambda: aws.shift(0.5, 1)))
    aws.story((60, lambda: aws.end("SUCCEEDED", "8", **ours)))
    ran = Ran(ROLLOUT, aws)
    assert ran.status == Status.DEPLOYED
    assert f"rollout {ID} on checkout:live" in ran.out and "RolloutInterrupted" not in ran.out


def test_watch_says_that_nothing_runs_or_waits_for_it(aws: Aws) -> None:
    ran = Ran(WATCH, aws)
    assert (ran.status, ran.seconds) == (Status.NOTHING_RUNS, 0)
    assert (
        ran.out
        == "12:00:07  NOTHING_RUNS: No rollout runs on this alias. Alias 'live' of 'checkout' is on version 7.\n"
    )
    ran = Ran(f"{WATCH} --wait 60", good(Aws(Clock())))
    assert ran.status == Status.DEPLOYED
    assert (
        "No rollout runs on this alias: it is on version 7. Waiting for one until 12:01:07 UTC …"
        in ran.out
    )


LITTERED = {
    "unsplit": ({}, "is on version 7."),
    "split by hand": (
        {"9": 0.1},
        "is split: it sends 10 % of its calls to version 9, the rest to version 7.",
    ),
}


@pytest.mark.parametrize("case", LITTERED)
def test_a_stamp_that_no_split_bears_out_is_litter_and_nothing_runs(aws: Aws, case: str) -> None:
    routing, where = LITTERED[case]
    ran = Ran(WATCH, littered(aws, routing))
    assert (ran.status, ran.seconds) == (Status.NOTHING_RUNS, 0)
    told = f"NOTHING_RUNS: No rollout runs on this alias. Alias 'live' of 'checkout' {where}"
    assert ran.out == f"12:00:07  {told}\n"


@pytest.mark.parametrize("command", [ROLLOUT, f"{WATCH} --wait 60"])
def test_the_rollout_that_begins_on_a_littered_alias_is_the_one_that_is_followed(
    aws: Aws, command: str
) -> None:
    ran = Ran(command, good(littered(aws, {})))
    assert ran.status == Status.DEPLOYED
    assert f"rollout {ID} on checkout:live" in ran.out and "c" * 12 not in ran.out


@pytest.mark.parametrize("command", [ROLLOUT, f"{WATCH} --wait 60"])
def test_an_alias_taken_back_under_a_stamp_that_stands_is_left_to_the_log(
    aws: Aws, command: str
) -> None:
    left = "Somebody else moved the alias during the rollout, so it was left to them."
    taken_back(aws).story((50, lambda: aws.end("AliasChanged", "7", reason=left)))
    ran = Ran(command, aws)
    assert ran.status == Status.CHANGED and ran.seconds == pytest.approx(50, abs=3)
    assert "The alias is on version 7. Waiting for the log to say how it ended …" in ran.out


@pytest.mark.parametrize("command", [ROLLOUT, f"{WATCH} --wait 60"])
def test_an_alias_that_is_taken_back_is_not_called_split_where_the_log_is_silent(
    aws: Aws, command: str
) -> None:
    ran = Ran(command, taken_back(aws))
    assert ran.status == Status.UNKNOWN and ran.seconds == pytest.approx(100, abs=3)


@pytest.mark.parametrize("wait", ["", " --wait 20"])
def test_watch_does_not_say_that_nothing_runs_where_aws_did_not_answer(aws: Aws, wait: str) -> None:
    aws.faults["get_alias"] = refusal("ServiceException", status=503)
    ran = Ran(WATCH + wait, aws)
    assert ran.status == Status.NOT_SEEN and "ServiceException" in ran.err
    assert "NOTHING_RUNS" not in ran.out and ran.err.count("\n") == 1


def test_an_alias_that_is_deleted_under_way_is_left_to_the_log(aws: Aws) -> None:
    def deleted() -> None:
        aws.there = False

    runs(
        aws,
        (20, deleted),
        (31, lambda: aws.tell("AliasChanged", reason="Somebody deleted the alias.")),
    )
    ran = Ran(ROLLOUT, aws)
    assert ran.status == Status.CHANGED and "Somebody deleted the alias." in ran.out


def test_metrics_that_cannot_be_read_are_said_and_end_nothing(aws: Aws) -> None:
    aws.faults["get_metric_data"] = refusal("AccessDenied", "not yours")
    ran = Ran(ROLLOUT, good(aws))
    assert ran.status == Status.DEPLOYED and "calls since" not in ran.out
    assert (
        ran.out.count(
            "No metrics: allow cloudwatch:GetMetricData. AWS says AccessDenied: not yours."
        )
        == 1
    )


def test_aws_may_be_silent_for_a_while_but_not_for_ever(aws: Aws) -> None:
    def silent() -> None:
        aws.faults |= {
            name: refusal("ThrottlingException", status=429)
            for name in ("get_alias", "filter_log_events")
        }

    assert (
        Ran(ROLLOUT, good(aws).story((20, silent), (80, aws.faults.clear))).status
        == Status.DEPLOYED
    )
    aws = Aws(Clock())
    ran = Ran(ROLLOUT, runs(aws, (20, silent)))
    assert ran.status == Status.NOT_SEEN and ran.seconds == pytest.approx(320, abs=5)
    assert "ThrottlingException" in ran.err


def test_credentials_that_expire_under_way_end_the_watch_with_a_remedy(aws: Aws) -> None:
    def expire() -> None:
        aws.faults["get_alias"] = refusal("ExpiredTokenException", status=403)

    ran = Ran(ROLLOUT, good(aws).story((20, expire)))
    assert (ran.status, ran.err.count("\n")) == (Status.NOT_SEEN, 1)
    assert "The AWS credentials have expired" in ran.err


SECONDS = {
    0: "0 s",
    59.6: "1 min",
    200: "3 min 20 s",
    7500: "2 h 5 min",
    86400: "1 day",
    187200: "2 days 4 h",
}


@pytest.mark.parametrize("seconds", SECONDS)
def test_a_time_is_told_in_two_units_at_most(seconds: float) -> None:
    assert words.for_long(seconds) == SECONDS[seconds]


def test_the_time_left_is_that_of_the_plan_or_of_the_shifts_seen() -> None:
    plan = Plan("8", 60.0, 120.0)
    assert _state(plan=plan, shifts={2: START}).left(START + 20) == 160
    assert _state(shifts={2: START}).left(START) is None
    assert _state(shifts={1: START - 30, 2: START}).left(START + 10) == 80
    assert _state(shifts={1: START - 30, 2: START}).left(START + 1000) == 60, "a step that is held"
    assert not _state(plan=plan, shifts={2: START}).settling(START + 1000)
    assert _state(plan=plan, step=4, shifts={4: START}).settling(START + 60)


def test_the_screen_shows_the_bar_the_calls_and_the_end() -> None:
    seen = (Counts(1024, 0), Counts(210, 3))
    state = _state(
        counts=seen, verdict=Looked(START, "FAILED", WHY), shifts={1: START - 60, 2: START}
    )
    shown = _drawn(state)
    assert "checkout:live  version 7 → 8" in shown and f"rollout {ID}" in shown
    assert "50 %" in shown and "step 2 of 4, about 3 min left" in shown and "━" in shown
    assert re.search(r"version 7, original +1,024 +0 +0\.00 %", shown)
    assert re.search(r"version 8, new +210 +3 +1\.43 %", shown)
    assert "Ctrl-C stops watching, not the rollout." in shown
    end = endings.End(
        "HealthCheckFailed",
        Status.ROLLED_BACK,
        START + 75,
        f"{WHY} It was rolled back.",
        "It is on 7.",
    )
    shown = _drawn(_state(verdict=state.verdict, end=end, began=True))
    assert (
        "✘ HealthCheckFailed after 1 min 15 s" in shown
        and "It was rolled back." in shown
        and "It is on 7." in shown
    )
    assert shown.count("Version 8 had 5 errors") == 1 and " 0 %" in shown
    assert "✔ SUCCEEDED" in _drawn(
        _state(end=endings.End("SUCCEEDED", Status.DEPLOYED, START + 75))
    )
    assert "no look yet" in _drawn(State("checkout", "live", START, START, Plan("8", 60.0, 120.0)))
    waiting = _drawn(State("checkout", "live", START, START + 60, where="is on version 7"))
    assert (
        "it is on version 7. Waiting for one until 12:01:07 UTC …" in waiting and "━" not in waiting
    )


def test_lines_that_are_no_rollout_s_are_left_out() -> None:
    messages = [
        "START RequestId",
        '{"message": "NOT_OURS"}',
        "[]",
        '{"message": "LOOKED", "rollout": "a"}',
    ]
    events = [{"timestamp": number, "message": message} for number, message in enumerate(messages)]
    assert [line.message for line in lines.read(events)] == ["LOOKED"]


def test_nothing_but_the_invoke_and_the_alias_by_hand_is_ever_written_to_aws() -> None:
    called = {
        (name, node.func.attr)
        for name, source in MODULES.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if re.search(r"clients\.\w+\.\w+$", ast.unparse(node.func))
    }
    assert called == {
        ("eyes", "get_alias"),
        ("logbook", "filter_log_events"),
        ("logbook", "describe_stacks"),
        ("start", "get_caller_identity"),
        ("start", "invoke"),
        ("by_hand", "update_alias"),
    }


@pytest.mark.parametrize("name", MODULES)
def test_a_file_says_what_it_is_for_and_pure_ones_are_pure(name: str) -> None:
    tree = ast.parse(MODULES[name])
    told = ast.get_docstring(tree)
    assert told
    imported = {
        str(node.module) if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert "time" not in imported or name == "command"
    if told.startswith("PURE"):
        assert not {module.split(".")[0] for module in imported} & {
            "boto3",
            "os",
            "time",
            "logging",
            "rich",
            "pathlib",
        }
        assert not re.search(r"\b(datetime|date)\.(now|utcnow|today)\b", MODULES[name])


# -- what the stories need ------------------------------------------------------------------------


class Ran:
    """What a command came to."""

    def __init__(self, command: str, aws: Aws, **more: Any) -> None:
        out = io.StringIO()
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            self.status = cli_command.main(
                [*command.split(), *more.get("also", ())],
                lambda: aws,
                aws.clock,
                out,
                more.get("typist"),
            )
        self.out = out.getvalue()
        self.err = err.getvalue()
        self.seconds = aws.clock.now - START


@pytest.fixture
def aws() -> Aws:
    return Aws(Clock())


def runs(aws: Aws, *acts: tuple[float, Callable[[], Any]]) -> Aws:
    """A rollout of two steps, from the first second on; then what comes."""
    started = (1, lambda: aws.tell("STARTED", weight=0.0, step=0, steps=2))
    return aws.story(started, (1, lambda: aws.shift(0.5, 1)), *acts)


def looked(aws: Aws, verdict: str = "PENDING", reason: str = WHY) -> Callable[[], None]:
    calls: dict[str, Any] = {
        "original": {"invocations": 100, "errors": 0},
        "new": {"invocations": 50, "errors": 5},
    }
    return lambda: aws.tell("LOOKED", verdict=verdict, reason=reason, weight=0.5, **calls)


def good(aws: Aws) -> Aws:
    second = (31, lambda: aws.shift(1, 2))
    warned = ["Does anything call this alias?"]
    return runs(
        aws,
        (16, looked(aws)),
        second,
        (90, lambda: aws.end("SUCCEEDED", "8", reason=WHY, warnings=warned)),
    )


def bad(aws: Aws, **more: Any) -> Aws:
    failed = (46, looked(aws, "FAILED"))
    rolled_back = (46, lambda: aws.tell("ROLLED_BACK", reason=WHY))
    ended = (46, lambda: aws.end("HealthCheckFailed", "7", reason=f"{WHY} It was rolled back."))
    return runs(aws, (16, looked(aws)), failed, rolled_back, ended)


def _classes(kind: type[Exception]) -> set[str]:
    return {name for each in kind.__subclasses__() for name in {each.__name__, *_classes(each)}}


def littered(aws: Aws, routing: dict[str, float], id: str = "c" * 12) -> Aws:
    """A stamp of a rollout to version 8 that is over, on an alias whose calls go as `routing`
    says."""
    aws.shift(0.5, 1, id=id, quiet=True)
    aws.routing = routing
    return aws


def taken_back(aws: Aws) -> Aws:
    """By an operator, with the README's command, which leaves the description and so the stamp."""
    return runs(aws, (40, lambda: setattr(aws, "routing", {})))


def _state(**more: Any) -> State:
    known: dict[str, Any] = {
        "rollout": ID,
        "original": "7",
        "new": "8",
        "weight": 0.5,
        "step": 2,
        "steps": 4,
    }
    return State("checkout", "live", START, START, **{**known, **more})


def _drawn(state: State) -> str:
    console = Console(file=io.StringIO(), width=100, record=True)
    console.print(screen.panel(state, START))
    return console.export_text()
