"""What a person sees who begins to watch what others have started: only what is known, and what
became of what does not run any more."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from lambda_rollout.endings import End, Status
from lambda_rollout.eyes import START_PATIENCE
from lambda_rollout.state import Last, Plan, State, conclude
from lambda_rollout.watch import EVERY
from tests.test_cli import ROLLOUT, WATCH, Ran, runs
from tests.test_cli_silence import drawn, rendered, timed, told
from tests.test_cli_suspended import state
from tests.watched import CALLER, ID, START, Aws, Clock, refusal

#: How late the log's lines can be read in some of the stories, in seconds.
LATE_BY = 12.0


def test_no_calls_are_shown_until_it_is_known_since_when_they_count(aws: "Late") -> None:
    attached(aws)
    ran = Ran(WATCH, aws.story((60, lambda: aws.end("SUCCEEDED", "8"))))
    assert ran.status == Status.DEPLOYED
    assert told(ran, "calls since") == [
        "calls since 12:00:00  version 7: 0 errors in 100 invocations; version 8: 0 errors in 50 invocations"
    ]
    assert aws.counted and min(aws.counted) >= START // 60 * 60, "never what was before"


def test_calls_are_counted_at_once_when_the_beginning_is_heard(aws: "Late") -> None:
    attached(aws)
    ran = Ran(WATCH, aws.story((60, lambda: aws.end("SUCCEEDED", "8"))))
    (at,) = [seconds for seconds, line in timed(ran) if line.startswith("calls since")]
    assert at <= 1 + LATE_BY + EVERY


@pytest.mark.parametrize("case", ["the log is denied", "there is no such line"])
def test_where_the_beginning_is_not_heard_calls_are_counted_after_a_while(
    aws: "Late", case: str
) -> None:
    aws.story((1, lambda: aws.shift(0.5, 1)), (120, lambda: aws.end("SUCCEEDED", "8")))
    if case == "the log is denied":
        aws.faults["filter_log_events"] = refusal("AccessDeniedException")
    aws.clock.sleep(3)
    ran = Ran(WATCH, aws)
    first, *_ = (seconds for seconds, line in timed(ran) if line.startswith("calls since"))
    waited = 0 if case == "the log is denied" else START_PATIENCE
    assert first - 3 == pytest.approx(waited, abs=EVERY)
    assert told(ran, "calls since")[0].startswith("calls since 11:45:00")


REFUSED: dict[str, Any] = {
    "reason": "Version 8 of 'checkout' is Failed.",
    "where": "Alias 'live' of 'checkout' is on version 7.",
}


def test_where_nothing_runs_any_more_it_is_told_how_the_last_rollout_ended(aws: "Late") -> None:
    aws.late = 0
    aws.tell("SUCCEEDED", id="a" * 12, reason="Long ago.")
    aws.clock.sleep(10)
    aws.tell("InvalidRollout", **REFUSED)
    aws.clock.sleep(12)
    ran = Ran(WATCH, aws)
    assert ran.status == Status.NOTHING_RUNS
    assert ran.out == (
        "12:00:29  NOTHING_RUNS: No rollout runs on this alias. "
        f"The last one, {ID}, ended at 12:00:17 UTC, 12 s ago: "
        "InvalidRollout: Version 8 of 'checkout' is Failed. "
        "Alias 'live' of 'checkout' is on version 7.\n"
    )


def test_an_alias_that_was_moved_since_the_last_ending_is_told_as_it_is_now(aws: "Late") -> None:
    aws.late = 0
    aws.tell("HealthCheckFailed", **REFUSED)
    aws.version = "9"
    ran = Ran(WATCH, aws)
    assert ran.out.endswith("Alias 'live' of 'checkout' is on version 7. Now it is on version 9.\n")


def test_a_refusal_is_told_while_another_rollout_is_waited_for(aws: "Late") -> None:
    aws.late = 0
    aws.story((10, lambda: aws.tell("InvalidRollout", **REFUSED)))
    aws.story((30, lambda: aws.shift(0.5, 1, id="f" * 12)))
    aws.story((50, lambda: aws.end("SUCCEEDED", "8", id="f" * 12)))
    ran = Ran(f"{WATCH} --wait 60", aws)
    assert ran.status == Status.DEPLOYED
    (line,) = told(ran, "The last one")
    assert line.startswith(f"The last one, {ID}, ended at 12:00:17 UTC, 0 s ago: InvalidRollout: ")
    assert told(ran, f"rollout {'f' * 12} on checkout:live")


@pytest.mark.parametrize("wait", [0, 60])
def test_the_screen_tells_how_the_last_one_ended(wait: int) -> None:
    refused = End("InvalidRollout", Status.REFUSED, START - 12, **REFUSED)
    known = State("checkout", "live", START, START + wait, last=Last(ID, refused))
    known = conclude(replace(known, where="is on version 7", version="7"), START)
    assert bool(known.end) == (wait == 0)
    shown = drawn(known)
    assert "No rollout runs on this alias" in shown
    assert f"The last one, {ID}, ended at 11:59:55 UTC, 12 s ago: InvalidRollout: Version" in shown
    assert shown.count("Alias 'live' of 'checkout' is on version 7.") == 1


def test_where_the_log_is_denied_nothing_is_told_of_the_last_one(aws: "Late") -> None:
    aws.faults["filter_log_events"] = refusal("AccessDeniedException")
    ran = Ran(WATCH, aws)
    assert ran.status == Status.NOTHING_RUNS and "The last one" not in ran.out


def test_an_accepted_rollout_that_is_not_heard_for_a_minute_is_told_with_where_to_look(
    aws: "Late",
) -> None:
    aws.late = 0
    aws.story((800, lambda: aws.end("InvalidRollout", "7", reason="It became Failed.")))
    ran = Ran(ROLLOUT, aws)
    assert told(ran, "Nothing was heard") == [
        "Nothing was heard since 12:00:07 UTC. It looks like this where the version is Pending, "
        "where the smoke test takes long, and where the invocation died before its first line: "
        "look into the log of SimpleDeployFunction."
    ]
    (at,) = [seconds for seconds, line in timed(ran) if line.startswith("Nothing was heard")]
    assert at == pytest.approx(60, abs=EVERY)
    accepted = State("checkout", "live", START - 61, START + 1000, Plan("8", 60.0, 120.0))
    assert "Nothing was heard since 11:59:06 UTC" in drawn(accepted)


@pytest.mark.parametrize("case", ["begun", "cannot be heard"])
def test_nobody_wonders_at_what_was_heard_or_cannot_be(aws: "Late", case: str) -> None:
    aws.late = 0
    if case == "begun":
        aws.story((1, lambda: aws.tell("STARTED", weight=0.0, step=0, steps=2)))
    else:
        aws.faults["filter_log_events"] = refusal("ThrottlingException")
    aws.story((122, aws.faults.clear), (122, lambda: aws.end("RolloutInterrupted", "7")))
    assert told(Ran(ROLLOUT, aws), "Nothing was heard") == []


def test_who_has_started_it_is_told_in_the_first_line(aws: "Late") -> None:
    aws.late = 0
    by = {"started-by": CALLER}
    aws.story((1, lambda: aws.tell("STARTED", weight=0.0, step=0, steps=2, **by)))
    aws.story((1, lambda: aws.shift(0.5, 1)), (30, lambda: aws.end("SUCCEEDED", "8", **by)))
    aws.clock.sleep(3)
    first, *rest = Ran(WATCH, aws).out.splitlines()
    assert first == f"12:00:10  rollout {ID} on checkout:live  version 7 → 8  started by {CALLER}"
    assert not any("started by" in line for line in rest)


def test_who_has_started_it_is_told_later_where_the_log_is_late(aws: "Late") -> None:
    by = {"started-by": "release 7"}
    aws.story((1, lambda: aws.tell("STARTED", weight=0.0, step=0, steps=2, **by)))
    aws.story((1, lambda: aws.shift(0.5, 1)), (30, lambda: aws.end("SUCCEEDED", "8", **by)))
    assert told(Ran(ROLLOUT, aws), "started by") == ["started by release 7"]


@pytest.mark.parametrize("width", [80, 120])
def test_who_has_started_it_is_one_line_of_the_screen(width: int) -> None:
    by = f"{CALLER}-of-the-team-that-is-on-call"
    shown = rendered(state(started_by=by), width)
    (line,) = [line for line in shown if "started by" in line]
    assert line.count("arn:aws:sts::123456789012:assumed-role/Deployers/ada") == 1


# -- what the stories need ------------------------------------------------------------------------


class Late(Aws):
    """Whose log can be read late; before the rollout every call of the new version has failed."""

    late = LATE_BY

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.counted: list[float] = []

    def filter_log_events(self, **request: Any) -> Any:
        whole = self.log
        seen = (self.clock.now - self.late) * 1000
        self.log = {
            name: [line for line in lines if line["timestamp"] <= seen]
            for name, lines in whole.items()
        }
        try:
            return super().filter_log_events(**request)
        finally:
            self.log = whole

    def get_metric_data(self, **request: Any) -> Any:
        since: datetime = request["StartTime"]
        self.counted.append(since.timestamp())
        whole = self.calls
        if since.timestamp() < START // 60 * 60:
            self.calls = {"7": (900, 0), "8": (300, 300)}
        try:
            return super().get_metric_data(**request)
        finally:
            self.calls = whole


def attached(aws: Aws) -> Aws:
    """A rollout that somebody has started three seconds ago."""
    runs(aws)
    aws.clock.sleep(3)
    return aws


@pytest.fixture
def aws() -> Late:
    return Late(Clock())
