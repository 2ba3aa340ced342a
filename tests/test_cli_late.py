"""Who watches late, by a wrong clock, or with a slow network accuses no deployer that lives, and tells
of one that does not."""

from collections.abc import Callable
from typing import Any

import pytest

from lambda_rollout.endings import Status
from lambda_rollout.pulse import MOST_BEHIND
from tests.test_cli import ROLLOUT, WATCH, Ran
from tests.test_cli_silence import TOLD, Timed, iso, looked, timed, told
from tests.watched import Clock

#: By how many seconds the log is late, or the watcher's clock ahead.
BEHIND = 30.0
#: How often the deployer looks, and moves its lease on.
LOOKS = 15
LEASES = 30
#: When it ends, or dies.
LAST = 200


@pytest.fixture(params=["the log is late", "the clock is ahead"])
def aws(request: pytest.FixtureRequest) -> "Behind":
    late = BEHIND if request.param == "the log is late" else 0.0
    return Behind(Clock(), late, BEHIND - late)


@pytest.mark.parametrize("after", [None, 40, 47, 52, 58])
def test_a_deployer_that_lives_is_never_accused(aws: "Behind", after: int | None) -> None:
    lives(aws)
    aws.story((LAST, aws.as_deployer(lambda: aws.end("SUCCEEDED", "8"))))
    if after:
        aws.clock.sleep(after)
    ran = Ran(WATCH if after else ROLLOUT, aws)
    assert ran.status == Status.DEPLOYED
    assert told(ran, "NO WORD") == told(ran, "Its deployer seems") == []


def test_one_that_dies_is_told_of_and_later_by_no_more_than_that(aws: "Behind") -> None:
    due = lives(aws) + LOOKS
    aws.story((500, lambda: aws.end("RolloutInterrupted", "7", "watchdog")))
    ran = Ran(ROLLOUT, aws)
    assert ran.status == Status.ROLLED_BACK
    (at,) = [seconds for seconds, line in timed(ran) if line.startswith("NO WORD")]
    # Its own clock tells when its look was due.
    assert due - aws.ahead < at <= due - aws.ahead + BEHIND + TOLD
    assert len(told(ran, "Its deployer seems to have died")) == 1
    assert told(ran, "The deployer is heard again") == []


def test_one_that_is_dead_is_told_of_to_who_comes_later() -> None:
    aws = Behind(Clock())
    due = lives(aws) + LOOKS
    aws.story((500, lambda: aws.end("RolloutInterrupted", "7", "watchdog")))
    aws.clock.sleep(LAST + 10)
    (at,) = [seconds for seconds, line in timed(Ran(WATCH, aws)) if line.startswith("NO WORD")]
    assert at <= due + MOST_BEHIND + TOLD


@pytest.mark.parametrize("operation", ["get_metric_data", "filter_log_events"])
def test_while_a_look_of_ours_hangs_nobody_is_accused(operation: str) -> None:
    aws = Behind(Clock())
    lives(aws)
    aws.story((LAST, lambda: aws.end("SUCCEEDED", "8")))
    aws.story((100, lambda: setattr(aws, "hangs", operation)))
    ran = Ran(ROLLOUT, aws)
    assert ran.status == Status.DEPLOYED and aws.hangs == "", "it has hung"
    assert told(ran, "NO WORD") == []


# -- what the stories need ------------------------------------------------------------------------


class Behind(Timed):
    """Whose log can be read so many seconds late, and whose deployer's clock is so many seconds
    behind that of who watches; one call of `hangs` takes a minute."""

    hangs = ""

    def __init__(self, clock: Clock, late: float = 0.0, ahead: float = 0.0) -> None:
        super().__init__(clock)
        self.late = late
        self.ahead = ahead

    def as_deployer(self, act: Callable[[], Any]) -> Callable[[], None]:
        """The same by the deployer's clock."""

        def acted() -> None:
            self.clock.now -= self.ahead
            act()
            self.clock.now += self.ahead

        return acted

    def filter_log_events(self, **request: Any) -> Any:
        whole = self.log
        seen = (self.clock.now - self.ahead - self.late) * 1000
        self.log = {
            name: [line for line in lines if line["timestamp"] <= seen]
            for name, lines in whole.items()
        }
        try:
            answer = super().filter_log_events(**request)
        finally:
            self.log = whole
        self._hang("filter_log_events")
        return answer

    def get_metric_data(self, **request: Any) -> Any:
        self._hang("get_metric_data")
        return super().get_metric_data(**request)

    def _hang(self, operation: str) -> None:
        if self.hangs == operation:
            self.hangs = ""
            self.clock.sleep(60)


def lives(aws: Behind) -> int:
    """A rollout that looks and moves its lease on until `LAST`; when it looked last."""

    def leased() -> None:
        aws.tell("LEASED", until=iso((aws.clock.now + 90) // 60 * 60 + 60))

    aws.story((1, aws.as_deployer(leased)))
    aws.story((1, aws.as_deployer(lambda: aws.tell("STARTED", weight=0.0, step=0, steps=2))))
    aws.story((1, aws.as_deployer(lambda: aws.shift(0.5, 1))))
    looks = range(1 + LOOKS, LAST, LOOKS)
    for seconds in looks:
        aws.story((seconds, aws.as_deployer(looked(aws))))
    for seconds in range(1 + LEASES, LAST, LEASES):
        aws.story((seconds, aws.as_deployer(leased)))
    return looks[-1]
