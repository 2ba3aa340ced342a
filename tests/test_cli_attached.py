"""What a person sees who begins to watch what others have started: only what is known, and what
became of what does not run any more."""

import json
from datetime import datetime
from typing import Any

import pytest

from lambda_rollout.endings import Status
from lambda_rollout.eyes import START_PATIENCE
from lambda_rollout.watch import EVERY
from tests.test_cli import ROLLOUT, WATCH, WHY, Ran, runs
from tests.test_cli_silence import timed, told
from tests.watched import ID, START, Aws, Clock, refusal

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
