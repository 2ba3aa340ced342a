"""What was rolled out before, as the deployer's log has it: told by `history`, and taken back by
`undo`. What the log does not say is said, and then nothing is done."""

import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore import exceptions
from rich.console import Console

from lambda_rollout import past, table
from lambda_rollout.endings import Status
from tests.test_cli import WHY, Ran, littered
from tests.watched import CALLER, ID, START, Aws, Clock, refusal

UNDO = "undo --function checkout --alias live --yes"
BACK = {
    "function-name": "checkout",
    "alias-name": "live",
    "new-version": "7",
    "type": "all-at-once",
    "interval": 0,
    "health-check": False,
    "started-by": CALLER,
}
BY_HAND = (
    "Nothing was sent. To go back by hand, with the version that you want: make rollout "
    "FUNCTION=checkout ALIAS=live VERSION=VERSION TYPE=all-at-once INTERVAL=0 HEALTH=false\n"
)
DAY = 86400.0


# Undo.
def test_undo_goes_back_to_the_version_before_the_last_success(aws: Aws) -> None:
    succeeded(aws, began=-7200)
    ran = Ran(UNDO, undoes(aws))
    assert (ran.status, aws.invoked) == (Status.DEPLOYED, [BACK])
    assert ran.err.startswith(
        "checkout:live goes from version 8 back to version 7, all users at once, unjudged: "
        f"it undoes rollout {ID}, which succeeded at 2026-01-05 10:01:37 UTC, started by ada.\n"
    )
    assert "SUCCEEDED: Unjudged." in ran.out
    assert "rollout eeeeeeeeeeee on checkout:live  version 8 → 7" in ran.out


def test_what_failed_or_moved_nothing_since_is_passed_over(aws: Aws) -> None:
    succeeded(aws, began=-9 * DAY)
    said = {"original-version": "8", "new-version": "9", "id": "f" * 12}
    at(aws, -3000, lambda: aws.tell("HealthCheckFailed", **said))
    at(aws, -2000, lambda: aws.tell("ALREADY_DEPLOYED", **said))
    ran = Ran(UNDO, undoes(aws))
    assert (ran.status, aws.invoked) == (Status.DEPLOYED, [BACK])


def test_undo_as_json_is_one_object(aws: Aws) -> None:
    ran = Ran(f"{UNDO} --json --started-by ops", undoes(succeeded(aws)))
    told = json.loads(ran.out)
    assert (told["exit-status"], told["status"]) == (0, "SUCCEEDED")
    assert (told["original-version"], told["new-version"]) == ("8", "7")
    assert told["rollout"] == "e" * 12
    assert aws.invoked == [{**BACK, "started-by": "ops"}]


def test_undo_need_not_be_waited_for(aws: Aws) -> None:
    ran = Ran(f"{UNDO} --json --no-wait", succeeded(aws))
    told = json.loads(ran.out)
    assert (ran.status, told["status"], ran.seconds) == (Status.DEPLOYED, "ACCEPTED", 0)
    assert (told["original-version"], told["new-version"]) == ("8", "7")


ANSWERS = {"y\n": True, "YES\n": True, "n\n": False, "\n": False, "": False}


@pytest.mark.parametrize("answer", ANSWERS)
def test_on_a_terminal_it_is_asked_first(aws: Aws, answer: str) -> None:
    ran = Ran(UNDO.removesuffix(" --yes"), undoes(succeeded(aws)), typist=Typist(answer))
    assert "back to version 7" in ran.err and "Go on? [y/N] " in ran.err
    assert bool(aws.invoked) == ANSWERS[answer]
    assert ran.status == (Status.DEPLOYED if ANSWERS[answer] else Status.REFUSED)


def test_an_alias_that_is_moved_while_it_asks_is_left_to_who_moved_it(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    def think() -> str:
        aws.back("9")
        return "y\n"

    typist = Typist()
    monkeypatch.setattr(typist, "readline", think)
    ran = Ran(UNDO.removesuffix(" --yes"), undoes(succeeded(aws)), typist=typist)
    assert (ran.status, aws.invoked) == (Status.REFUSED, [])
    assert ran.err.endswith(
        "Alias 'live' of 'checkout' is on version 9, and no longer on version 8: "
        "somebody else has moved it meanwhile. Nothing was sent.\n"
    )


def test_where_nobody_can_be_asked_nothing_is_done(aws: Aws) -> None:
    ran = Ran(UNDO.removesuffix(" --yes"), succeeded(aws), typist=io.StringIO("y\n"))
    assert (ran.status, aws.invoked) == (Status.REFUSED, [])
    assert ran.err.endswith("Nobody can be asked here: say --yes to do it. Nothing was sent.\n")


def moved_by_hand(aws: Aws) -> None:
    succeeded(aws)
    aws.version = "5"


def no_log(aws: Aws) -> None:
    succeeded(aws)
    aws.faults["filter_log_events"] = refusal("AccessDeniedException")


def no_stack(aws: Aws) -> None:
    succeeded(aws)
    aws.faults["describe_stacks"] = refusal("ValidationError", "does not exist")


def silent(aws: Aws) -> None:
    succeeded(aws)
    aws.faults["filter_log_events"] = exceptions.ReadTimeoutError(endpoint_url="http://x")


UNKNOWN: dict[str, tuple[Callable[[Aws], Any], str]] = {
    "no rollout": (lambda aws: None, "tells of no rollout of this alias that succeeded: which"),
    "too old": (
        lambda aws: succeeded(aws, began=-91 * DAY),
        "Since 2025-10-07 the deployer's log tells of no rollout of this alias",
    ),
    "moved by hand": (
        moved_by_hand,
        "is on version 5, but the last rollout that succeeded put it on version 8: "
        "somebody else has moved it since.",
    ),
    "no log": (no_log, "access to it is denied: allow logs:FilterLogEvents."),
    "no stack": (no_stack, "name the deployer's with --stack"),
    "a log that is not answered": (silent, "it could not be read: AWS says ReadTimeoutError"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_undo_cannot_know_it_says_with_the_command_by_hand(aws: Aws, case: str) -> None:
    prepare, told = UNKNOWN[case]
    prepare(aws)
    ran = Ran(f"{UNDO} --json", aws)
    assert (ran.status, aws.invoked) == (Status.REFUSED, [])
    assert told in ran.err and ran.err.endswith(BY_HAND) and ran.err.count("\n") == 1
    assert json.loads(ran.out)["exit-status"] == 2


def test_undo_does_nothing_where_a_later_success_may_have_been_left_out(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest lines come first: the alias was on version 8 before, and is again."""
    monkeypatch.setattr("lambda_rollout.archive._PAGES", 1)
    succeeded(aws, began=-7200)
    back = {"original-version": "9", "new-version": "8", "id": "f" * 12}
    at(aws, -3000, lambda: aws.end("SUCCEEDED", "8", **back))
    ran = Ran(UNDO, aws)
    assert (ran.status, aws.invoked) == (Status.REFUSED, [])
    told = "The deployer's log was too long to be read whole: which version was there before is"
    assert ran.err == f"{told} not known. {BY_HAND}"


def suspended(aws: Aws) -> None:
    aws.version = "7"
    aws.suspend("Its log tells of failed calls.")


def overwritten(aws: Aws) -> None:
    aws.shift(0.5, 1)
    aws.routing = {"9": 0.1}


SPLIT: dict[str, tuple[Callable[[Aws], Any], bool]] = {
    "split": (lambda aws: aws.shift(0.5, 1), True),
    "suspended": (suspended, True),
    "somebody's own": (lambda aws: setattr(aws, "routing", {"9": 0.1}), False),
    "somebody's own beside a stamp": (overwritten, False),
}


@pytest.mark.parametrize("case", SPLIT)
def test_an_alias_that_is_busy_is_not_undone(aws: Aws, case: str) -> None:
    """`stop` is named where it finds a rollout to stop."""
    split, stops = SPLIT[case]
    split(succeeded(aws))
    ran = Ran(UNDO, aws)
    assert (ran.status, aws.invoked) == (Status.REFUSED, [])
    assert ran.err.startswith("AliasBusy: ") and ran.err.endswith("Nothing was sent.\n")
    assert ("make stop FUNCTION=checkout ALIAS=live" in ran.err) == stops
    assert "aws lambda update-alias" in ran.err
    aws.faults["update_alias"] = refusal("AccessDeniedException", status=403)
    stopped = Ran("stop --function checkout --alias live", aws)
    assert ("lambda:UpdateAlias" in stopped.err) == stops


def test_undo_without_permission_to_read_or_to_invoke_does_nothing(aws: Aws) -> None:
    succeeded(aws)
    for operation, told in (("get_alias", "lambda:GetAlias"), ("invoke", "lambda:InvokeFunction")):
        aws.faults = {operation: refusal("AccessDeniedException", status=403)}
        ran = Ran(UNDO, aws)
        assert (ran.status, aws.invoked) == (Status.REFUSED, [])
        assert f"allow {told} on" in ran.err


# History.
def test_history_tells_who_when_which_versions_how_it_ended_and_why(aws: Aws) -> None:
    ran = Ran("history", of_all_kinds(aws))
    assert ran.status == Status.DEPLOYED
    heads = [line for line in ran.out.splitlines() if not line.startswith(" ")]
    assert heads == [
        "2026-01-05 12:00:07  other:live  version 3 → 4  RUNNING  by whom is not known",
        "2026-01-05 11:40:07  checkout:live  version 7 → 8  AliasBusy  by ada",
        "2026-01-05 11:31:37  checkout:live  version 7 → 8  HealthCheckFailed after 1 min 30 s  by ada",
        "2026-01-03 12:01:37  checkout:live  version 7 → 8  SUCCEEDED after 1 min 30 s  by ada",
    ]
    assert "    It failed. Alias 'live' of 'checkout' is on version 7. Rollout" in ran.out


@pytest.mark.parametrize(
    ("options", "statuses"),
    [
        ("", ["RUNNING", "AliasBusy", "HealthCheckFailed", "SUCCEEDED"]),
        ("--last 2", ["RUNNING", "AliasBusy"]),
        ("--since 1h", ["RUNNING", "AliasBusy", "HealthCheckFailed"]),
        ("--since 2026-01-05T11:35", ["RUNNING", "AliasBusy"]),
        ("--function checkout --alias live", ["AliasBusy", "HealthCheckFailed", "SUCCEEDED"]),
        ("--function other", ["RUNNING"]),
        ("--function checkout --alias test", []),
    ],
)
def test_history_tells_of_what_is_asked_for(aws: Aws, options: str, statuses: list[str]) -> None:
    ran = Ran(f"history --json {options}", of_all_kinds(aws))
    told = json.loads(ran.out)
    assert (ran.status, told["exit-status"], told["status"], ran.err) == (0, 0, "LISTED", "")
    assert [each["status"] for each in told["rollouts"]] == statuses


def test_in_a_terminal_it_stands_below_its_headline(aws: Aws) -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, record=True)
    good = past.Past(ID, "checkout", "live", "7", "8", "ada", START, START + 90, "SUCCEEDED", WHY)
    table.list_of([good], console, out, ["There may be more."])
    assert out.getvalue().endswith("There may be more.\n")
    head, *why = console.export_text().splitlines()
    assert head == (
        "2026-01-05 12:01:37  checkout:live  version 7 → 8  SUCCEEDED after 1 min 30 s  by ada"
    )
    assert all(line.startswith("    ") for line in why)
    assert " ".join(line.strip() for line in why) == f"{WHY} Rollout {ID}."


def test_one_rollout_as_json_has_what_is_known_of_it(aws: Aws) -> None:
    (told,) = json.loads(Ran("history --json", succeeded(aws)).out)["rollouts"]
    assert told == {
        "status": "SUCCEEDED",
        "rollout": ID,
        "function-name": "checkout",
        "alias-name": "live",
        "original-version": "7",
        "new-version": "8",
        "started-by": "ada",
        "reason": "All is well.",
        "where": "Alias 'live' of 'checkout' is on version 8.",
        "started": "2026-01-05T11:00:07+00:00",
        "ended": "2026-01-05T11:01:37+00:00",
        "seconds": 90.0,
        "warnings": [],
    }


def test_a_handed_over_rollout_is_one_and_so_is_one_that_the_watchdog_ended(aws: Aws) -> None:
    execution = "arn:aws:states:eu-west-1:1:execution:D:e"
    at(aws, -900, lambda: aws.tell("HANDED_OVER", execution=execution))
    at(aws, -890, lambda: aws.tell("STARTED", "workflow", step=0))
    at(aws, -500, lambda: aws.tell("RollbackFailed", "workflow", step=1, reason="No."))
    at(aws, -300, lambda: aws.tell("RolloutInterrupted", "watchdog", step=1, reason="At last."))
    (told,) = json.loads(Ran("history --json", aws).out)["rollouts"]
    assert (told["status"], told["reason"], told["seconds"]) == (
        "RolloutInterrupted",
        "At last.",
        590.0,
    )
    assert told["execution-arn"] == execution


def test_what_the_hook_refused_is_in_history_and_told_by_watch(aws: Aws) -> None:
    hooked(aws)
    refused = {"reason": "There is no version 8.", "started-by": "CodeDeploy d-1"}
    at(aws, -100, lambda: aws.tell("InvalidRollout", "hook", **refused))
    at(aws, -100, lambda: aws.tell("ANSWERED", "hook", status="Failed"))
    (told,) = json.loads(Ran("history --json", aws).out)["rollouts"]
    assert (told["status"], told["started-by"]) == ("InvalidRollout", "CodeDeploy d-1")
    assert told["reason"] == refused["reason"]
    ran = Ran("watch --function checkout --alias live", aws)
    assert "InvalidRollout: There is no version 8." in ran.out + ran.err


def test_a_dry_run_is_no_rollout(aws: Aws) -> None:
    at(aws, -60, lambda: aws.tell("PLANNED"))
    ran = Ran("history", aws)
    assert ran.status == Status.DEPLOYED
    assert ran.out == "The deployer's log tells of no rollout since 2025-10-07 12:00:07 UTC.\n"


def test_an_ending_that_is_not_told_is_said_to_be(aws: Aws) -> None:
    at(aws, -3600, lambda: aws.tell("STARTED", step=0))
    told = "The log does not say how it ended."
    ran = Ran("history", aws)
    assert "  NOT_TOLD  " in ran.out
    assert f"    {told} Alias 'live' of 'checkout' is on version 7 now. Rollout {ID}.\n" in ran.out
    aws.faults["get_alias"] = refusal("AccessDeniedException", status=403)
    told = "The log does not say how it ended, and its alias could not be read:"
    assert f"    {told} " in Ran("history", aws).out


def test_a_beginning_of_long_ago_is_looked_for(aws: Aws) -> None:
    """Its ending is of today; a rollout may last for days."""
    succeeded(aws, began=-5 * DAY, lasted=4.9 * DAY)
    (told,) = json.loads(Ran("history --json --last 1", aws).out)["rollouts"]
    assert told["seconds"] == pytest.approx(4.9 * DAY)
    ran = Ran("history --last 1 --since 4d", aws)
    assert "SUCCEEDED  by ada" in ran.out, "how long it took is not known"


def test_a_log_that_is_too_long_is_said_not_to_be_read_whole(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lambda_rollout.archive._PAGES", 1)
    for number in range(5):
        succeeded(aws, began=-7200 + 100 * number, id=f"{number:012x}")
    ran = Ran("history --json", aws)
    (warning,) = json.loads(ran.out)["warnings"]
    assert warning.startswith("The log was too long to be read whole")
    assert warning in Ran("history", aws).out


@pytest.mark.parametrize("operation", ["filter_log_events", "describe_stacks"])
def test_history_without_the_log_says_what_to_allow(aws: Aws, operation: str) -> None:
    aws.faults[operation] = refusal("AccessDeniedException", status=403)
    ran = Ran("history --json", aws)
    assert (ran.status, json.loads(ran.out)["status"]) == (Status.NOT_SEEN, "NOT_SEEN")
    assert re.search(r"allow (logs:FilterLogEvents|cloudformation:DescribeStacks)\.\n$", ran.err)


def test_history_without_credentials_says_how_to_get_them(aws: Aws) -> None:
    aws.faults["describe_stacks"] = exceptions.NoCredentialsError()
    ran = Ran("history", aws)
    assert ran.status == Status.NOT_SEEN and "run 'aws configure'" in ran.err


def test_nothing_has_happened_in_the_time_to_come(aws: Aws) -> None:
    ran = Ran("history --since 2026-02-01", succeeded(aws))
    assert (ran.status, ran.out.count("\n")) == (Status.DEPLOYED, 1)


WRONG = {
    "--since yesterday": "must be some time ago, such as 90m, 24h or 7d, or a date",
    "--last 0": "must be a whole number from 1 to 1000, but it is '0'.",
    "--last x": "must be a whole number from 1 to 1000, but it is 'x'.",
}


@pytest.mark.parametrize("option", WRONG)
def test_history_refuses_what_it_cannot_read(
    aws: Aws, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        Ran(f"history --json {option}", aws)
    assert ended.value.code == Status.REFUSED
    ran = Ran("history --alias live", aws)
    assert ran.status == Status.REFUSED and "Which function?" in ran.err
    ran = Ran("history --function checkout:live", aws)
    assert ran.status == Status.REFUSED and "leave out ':live'" in ran.err


@pytest.mark.parametrize("option", WRONG)
def test_what_cannot_be_read_is_answered_as_json_too(aws: Aws, option: str) -> None:
    from lambda_rollout import command

    out = io.StringIO()
    with pytest.raises(SystemExit):
        command.main(["history", "--json", *option.split()], lambda: aws, aws.clock, out)
    told = json.loads(out.getvalue())
    assert (told["exit-status"], told["status"]) == (2, "REFUSED")
    assert WRONG[option] in told["reason"]


def test_what_is_asked_of_the_log_fits_into_a_pattern() -> None:
    longest = past.pattern("f" * 64, "a" * 128)
    assert len(longest) <= 1024, "the longest that CloudWatch takes"


# -- what the stories need ------------------------------------------------------------------------


class Typist(io.StringIO):
    """Somebody at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def aws() -> Aws:
    return Aws(Clock())


def hooked(aws: Aws) -> None:
    """The deployer's stack has the hook."""
    aws.outputs["HookLogGroupName"] = "hook"
    aws.log["hook"] = []


def at(aws: Aws, seconds: float, act: Callable[[], Any]) -> None:
    """Something that happened so many seconds from the start, mostly before it."""
    now = aws.clock.now
    aws.clock.now = START + seconds
    act()
    aws.clock.now = now


def succeeded(aws: Aws, began: float = -3600, lasted: float = 90, id: str = ID) -> Aws:
    """A rollout that went well."""
    ada = {"started-by": "ada"}
    at(aws, began, lambda: aws.tell("STARTED", id=id, step=0, **ada))
    good: dict[str, Any] = {"step": 2, "reason": "All is well.", **ada}
    at(aws, began + lasted, lambda: aws.end("SUCCEEDED", "8", id=id, **good))
    return aws


def undoes(aws: Aws) -> Aws:
    """What the deployer then does."""
    said = {"original-version": "8", "new-version": "7", "id": "e" * 12}
    started = (2, lambda: aws.tell("STARTED", step=0, steps=1, **said))
    ended = (4, lambda: aws.end("SUCCEEDED", "7", reason="Unjudged.", step=1, **said))
    return aws.story(started, ended)


def of_all_kinds(aws: Aws) -> Aws:
    succeeded(aws, began=-2 * DAY)
    ada = {"started-by": "ada"}
    at(aws, -1800, lambda: aws.tell("STARTED", id="b" * 12, step=0, **ada))
    failed: dict[str, Any] = {"step": 1, "reason": "It failed.", **ada}
    at(aws, -1710, lambda: aws.end("HealthCheckFailed", "7", id="b" * 12, **failed))
    busy = {"reason": "Another one runs.", "where": "It is split.", **ada}
    at(aws, -1200, lambda: aws.tell("AliasBusy", id="c" * 12, **busy))
    other = {"function": "other", "original-version": "3", "new-version": "4"}
    at(aws, 0, lambda: aws.tell("STARTED", id="d" * 12, step=0, **other))
    aws.others["other", "live"] = littered(Aws(Clock()), {"8": 0.5}, id="d" * 12)
    return aws
