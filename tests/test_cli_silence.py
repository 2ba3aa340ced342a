"""What a person is told when the deployer falls silent, when AWS gives no answer, and how long it
will take: never less than is known, and never more."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from rich.console import Console

from lambda_rollout import screen, words
from lambda_rollout.endings import Status
from lambda_rollout.eyes import Eyes
from lambda_rollout.plain import Plain
from lambda_rollout.pulse import LATE, Lengths, Pulse, Told
from lambda_rollout.reach import Reach
from lambda_rollout.state import State
from lambda_rollout.watch import EVERY, SHOWN_EVERY, Watch
from tests.test_cli import ROLLOUT, WATCH, WHY, Ran
from tests.test_cli_suspended import ACCUSED, state
from tests.watched import ID, START, Aws, Clock, refusal

STOP = (
    "aws lambda update-alias --function-name checkout --name live "
    "--routing-config AdditionalVersionWeights={}"
)
#: How long after the look that was due its absence is told, at the latest.
TOLD = LATE + EVERY + SHOWN_EVERY


def test_a_deployer_that_falls_silent_is_told_with_what_users_get_and_what_to_do(aws: Aws) -> None:
    begun(aws)
    ran = Ran(ROLLOUT, aws.story((200, lambda: aws.end("RolloutInterrupted", "7", "watchdog"))))
    assert ran.status == Status.ROLLED_BACK
    assert told(ran, "NO WORD") == [
        "NO WORD from the deployer since 12:00:23 UTC. "
        "Its look was due at 12:00:38 UTC and has not come: it may have died. "
        "Now version 8 gets 50 % of the calls, version 7 50 %. "
        "Its lease runs out at 12:02:00 UTC: if it is dead, the watchdog rolls back within two minutes of that. "
        f"To take the alias back yourself: {STOP}"
    ]
    (at,) = [seconds for seconds, line in timed(ran) if line.startswith("NO WORD")]
    assert at - 31 <= TOLD <= 30


def test_words_that_come_again_are_told_once(aws: Aws) -> None:
    begun(aws)
    aws.story((100, looked(aws)), (115, looked(aws)), (120, lambda: aws.end("SUCCEEDED", "8")))
    ran = Ran(ROLLOUT, aws)
    assert ran.status == Status.DEPLOYED
    assert len(told(ran, "NO WORD")) == 1
    assert told(ran, "The deployer is heard again") == [
        "The deployer is heard again: at 12:01:47 UTC, after 1 min 24 s"
    ]


def test_what_a_dead_deployer_left_suspended_is_told_with_a_command_that_keeps_it(
    aws: Aws,
) -> None:
    begun(aws)
    ran = Ran(ROLLOUT, aws.story((20, lambda: aws.suspend(ACCUSED))))
    (line,) = told(ran, "NO WORD")
    assert "All users are on version 7; version 8 gets no calls." in line
    assert line.endswith(f"To keep all users there, whoever comes back: {STOP}")


def test_without_a_lease_it_is_told_when_the_state_machine_s_watchdog_comes(aws: Aws) -> None:
    begun(aws, lease=False)
    ran = Ran(ROLLOUT, aws.story((400, lambda: aws.end("RolloutInterrupted", "7", "watchdog"))))
    (line,) = told(ran, "NO WORD")
    told_of_both = (
        "No lease of it is known: the watchdog rolls back what a dead deployer has left "
        "about three minutes after its end, and within 20 minutes at the latest."
    )
    assert told_of_both in line, "of the state machine, and of a deployer that logs no lease"


def test_a_dead_deployer_s_split_that_outlasts_its_lease_is_still_split_ten_minutes_on(
    aws: Aws,
) -> None:
    ran = Ran(ROLLOUT, begun(aws))
    assert ran.status == Status.STILL_SPLIT
    assert ran.seconds == pytest.approx(113 + 600, abs=2 * EVERY)
    waiting = "Its deployer seems to have died: waiting for the watchdog to roll it back …"
    assert len(told(ran, waiting)) == 1
    assert told(ran, "ABANDONED")[0].endswith(STOP)


def test_who_cannot_read_the_log_accuses_nobody_and_says_what_the_stamp_says(aws: Aws) -> None:
    aws.faults["filter_log_events"] = refusal("AccessDeniedException")
    aws.story((200, lambda: aws.end("SUCCEEDED", "8")))
    ran = Ran(ROLLOUT, begun(aws))
    assert told(ran, "NO WORD") == []
    assert told(
        ran, "The alias's stamp says that it ends by 2026-01-05 12:15:07 UTC at the latest."
    )


def test_before_any_line_was_heard_nobody_is_accused(aws: Aws) -> None:
    aws.story((1, lambda: aws.shift(0.5, 1, quiet=True)), (300, lambda: aws.end("SUCCEEDED", "8")))
    assert told(Ran(WATCH + " --wait 10", aws), "NO WORD") == []


def test_a_lease_that_is_moved_on_is_a_word_too(aws: Aws) -> None:
    begun(aws)
    aws.story((50, lambda: leased(aws)), (68, looked(aws)), (70, lambda: aws.end("SUCCEEDED", "8")))
    assert told(Ran(ROLLOUT, aws), "NO WORD") == []


def test_the_watchdog_s_own_lines_are_no_word_of_the_deployer(aws: Aws) -> None:
    begun(aws)
    for seconds in range(30, 190, 10):
        aws.story((seconds, lambda: aws.tell("NOTHING_TO_DO", "watchdog")))
    ran = Ran(ROLLOUT, aws.story((200, lambda: aws.end("RolloutInterrupted", "7", "watchdog"))))
    (at,) = [seconds for seconds, line in timed(ran) if line.startswith("NO WORD")]
    assert at - 31 <= TOLD and "since 12:00:23 UTC" in told(ran, "NO WORD")[0]


def test_silence_is_told_once_though_the_log_cannot_be_read_meanwhile(aws: Aws) -> None:
    def throttle() -> None:
        aws.faults["filter_log_events"] = refusal("ThrottlingException", "Rate exceeded")

    begun(aws)
    aws.story((70, throttle), (78, aws.faults.clear), (100, looked(aws)))
    ran = Ran(ROLLOUT, aws.story((110, lambda: aws.end("SUCCEEDED", "8"))))
    assert len(told(ran, "NO WORD")) == len(told(ran, "The deployer is heard again")) == 1


def test_a_watch_asks_for_the_alias_every_five_seconds_and_no_more(aws: Aws) -> None:
    asked = []
    get_alias = aws.get_alias

    def counted(**request: Any) -> Any:
        asked.append(aws.clock.now)
        return get_alias(**request)

    aws.lambda_.get_alias = counted
    begun(aws)
    Ran(WATCH + " --wait 10", aws.story((100, lambda: aws.end("SUCCEEDED", "8"))))
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert set(gaps[:-1]) == {EVERY} and gaps[-1] == 0, "and once more where it has ended"


# AWS gives no answer.
OUT = {
    "ServiceException: Out of order": refusal("ServiceException", "Out of order", 503),
    "EndpointConnectionError: Could not connect to the endpoint URL": (
        EndpointConnectionError(endpoint_url="http://x")
    ),
}


@pytest.mark.parametrize("why", OUT)
def test_aws_that_cannot_be_reached_is_said_with_the_age_and_nobody_is_accused(
    aws: Aws, why: str
) -> None:
    error = OUT[why]

    def gone() -> None:
        aws.faults |= dict.fromkeys(("get_alias", "filter_log_events", "get_metric_data"), error)

    begun(aws)
    aws.story((18, gone), (130, aws.faults.clear), (100, looked(aws)), (128, looked(aws)))
    ran = Ran(ROLLOUT, aws.story((150, lambda: aws.end("SUCCEEDED", "8"))))
    assert ran.status == Status.DEPLOYED
    assert told(ran, "NO WORD") == []
    assert told(ran, "AWS") == [
        f"AWS cannot be reached since 12:00:27 UTC ({why}); what is shown is 5 s old",
        "AWS answers again, after 1 min 50 s",
    ]
    assert told(ran, "The deployer's log") == told(ran, "CloudWatch's") == []


def test_throttling_of_the_log_is_said_once_it_lasts(aws: Aws) -> None:
    throttled = refusal("ThrottlingException", "Rate exceeded")

    def throttle() -> None:
        aws.faults["filter_log_events"] = throttled

    begun(aws)
    aws.story((12, throttle), (18, aws.faults.clear), (32, throttle), (70, aws.faults.clear))
    aws.story((45, looked(aws)), (60, looked(aws)), (75, lambda: aws.end("SUCCEEDED", "8")))
    ran = Ran(ROLLOUT, aws)
    assert told(ran, "NO WORD") == []
    assert told(ran, "The deployer's log") == [
        "The deployer's log cannot be read since 12:00:42 UTC (ThrottlingException: "
        "Rate exceeded); what is shown of it is 20 s old",
        "The deployer's log can be read again, after 35 s",
    ]


def test_metrics_without_an_answer_are_said_and_read_again(aws: Aws) -> None:
    def gone() -> None:
        aws.faults["get_metric_data"] = refusal("InternalFailure", "Oops", 500)

    begun(aws)
    aws.story((20, gone), (60, aws.faults.clear), (40, looked(aws)), (55, looked(aws)))
    ran = Ran(ROLLOUT, aws.story((80, lambda: aws.end("SUCCEEDED", "8"))))
    assert [line.split(" (")[0] for line in told(ran, "CloudWatch's metrics")] == [
        "CloudWatch's metrics cannot be read since 12:00:27 UTC",
        "CloudWatch's metrics can be read again, after 50 s",
    ]


# No data.
NOTHING = {"invocations": 0, "errors": 0}
SOME = {"invocations": 40, "errors": 0}
SEEN: dict[str, tuple[dict[str, Any], str]] = {
    "nobody calls": (
        {"original": NOTHING, "new": NOTHING},
        "look no calls published yet: nothing is known",
    ),
    "the original is called": (
        {"original": SOME, "new": NOTHING},
        "look no calls of version 8 published yet: nothing is known of it",
    ),
    "both are called": ({"original": SOME, "new": SOME}, "look nothing wrong so far"),
    "switched off": ({}, "look not judged"),
}


@pytest.mark.parametrize("case", SEEN)
@pytest.mark.parametrize("verdict", ["PENDING", "SUCCEEDED"])
def test_no_data_is_not_called_good(aws: Aws, case: str, verdict: str) -> None:
    calls, said = SEEN[case]
    aws.story((1, lambda: aws.shift(0.5, 1)))
    aws.story((16, lambda: aws.tell("LOOKED", verdict=verdict, reason="", step=1, **calls)))
    ran = Ran(ROLLOUT, aws.story((30, lambda: aws.end("SUCCEEDED", "8"))))
    assert told(ran, "look") == [said]


# How long it takes.
COUNTED: dict[str, tuple[Told, Lengths, str]] = {
    "a step": (
        Told(START, 1, "LASTING", START + 15, START + 7),
        Lengths(30, 120, 0),
        "step 1 of 2, 37 s of steps, then up to 2 min settling",
    ),
    "a step that may be held": (
        Told(START, 1, "LASTING", START + 15, START + 7),
        Lengths(30, 0, 300),
        "step 1 of 2, 37 s of steps (each up to 5 min longer where calls are few)",
    ),
    "a step that is held": (
        Told(START, 1, "HELD", START + 15, START),
        Lengths(30, 120, 300),
        "held for calls in step 1 of 2, at most 5 min more, then 30 s of steps "
        "(each up to 5 min longer where calls are few), then up to 2 min settling",
    ),
    "settling": (
        Told(START, 1, "SETTLING", START + 15, START - 40),
        Lengths(30, 120, 0),
        "settling: until calls at full weight are published, at most 1 min 20 s more",
    ),
}


@pytest.mark.parametrize("case", COUNTED)
def test_the_countdown_counts_all_that_may_come(case: str) -> None:
    step, lengths, said = COUNTED[case]
    shown = drawn(state(pulse=Pulse(START, told=step, lengths=lengths)))
    assert said in shown


def test_a_suspension_says_when_it_is_judged_and_what_comes_then(aws: Aws) -> None:
    begun(aws)
    aws.story((20, lambda: aws.suspend(ACCUSED)), (33, looked(aws, phase="SUSPENDED")))
    ran = Ran(ROLLOUT, aws.story((40, lambda: aws.end("HealthCheckFailed", "7", reason=WHY))))
    (line,) = told(ran, "SUSPENDED at")
    assert line.endswith(
        "It is judged by 12:08:27 UTC at the latest; then come 1 min 41 s of steps, then up to 2 min settling."
    )


# The end.
def test_what_is_taken_back_by_hand_is_stopped_and_no_failure(aws: Aws) -> None:
    begun(aws)
    aws.story((30, lambda: aws.end("AliasChanged", "7", reason="Somebody else moved the alias.")))
    ran = Ran(ROLLOUT, aws)
    assert ran.status == Status.CHANGED
    assert told(ran, "Stopped by hand (AliasChanged): Somebody else moved the alias.")


def test_a_split_of_somebody_else_is_not_called_stopped_by_hand(aws: Aws) -> None:
    begun(aws)

    def moved() -> None:
        aws.end("AliasChanged", "7", reason="Somebody else moved the alias.")
        aws.routing = {"9": 0.1}

    ran = Ran(ROLLOUT, aws.story((30, moved)))
    assert ran.status == Status.CHANGED
    assert told(ran, "AliasChanged: ") and told(ran, "Stopped") == []


#: How many columns a full bar has on a screen of 100.
BAR = 87

ENDS: dict[str, tuple[str, str, dict[str, float], str]] = {
    "rolled back": ("HealthCheckFailed", "7", {}, "0 %"),
    "promoted": ("SUCCEEDED", "8", {}, "100 %"),
    "failed, and promoted by hand": ("HealthCheckFailed", "8", {}, "100 %"),
    "taken back": ("AliasChanged", "7", {}, "0 %"),
    "split by somebody": ("AliasChanged", "7", {"8": 0.2}, "20 %"),
    "not rolled back": ("RollbackFailed", "7", {"8": 0.5}, "50 %"),
}


@pytest.mark.parametrize("case", ENDS)
@pytest.mark.parametrize("moved", ["before the look", "while it is made"])
def test_after_an_end_the_bar_is_where_the_alias_is(aws: "Timed", case: str, moved: str) -> None:
    name, version, routing, share = ENDS[case]
    begun(aws)

    def end() -> None:
        aws.end(name, version, reason=WHY)
        aws.routing = routing

    if moved == "before the look":
        aws.story((30, end))
    else:
        aws.story((30, lambda: setattr(aws, "before_the_log", end)))
    known = State("checkout", "live", START, START + 10)
    eyes = Eyes(aws, "checkout", "live", "aws-lambda-deploy-stack")
    ended = Watch(known).follow(eyes, Plain(io.StringIO()), aws.clock)
    assert ended.end and ended.end.name == name
    assert words.share(ended.share) == share
    bar = re.search(r"→ 8 +(━*)╸? +(\d+ %) ", drawn(ended))
    assert bar and bar[2] == share
    assert len(bar[1]) == pytest.approx(ended.share * BAR, abs=1)


# The screen.
@pytest.mark.parametrize("width", [80, 120])
def test_the_command_is_read_whole_on_any_screen(width: int) -> None:
    silent = Pulse(START - 60, START + 60, Told(START - 60, 1, "LASTING", START - 45, START))
    known = state(pulse=silent, version="7", routing={"8": 0.5})
    shown = drawn(known, width)
    assert "NO WORD from the deployer since 11:59:07 UTC, for 1 min" in shown
    assert STOP.replace(" --routing", " \\ --routing") in shown
    assert "Its lease runs out at 12:01:07 UTC" in shown
    lines = rendered(known, width)
    assert len(lines) <= 24 and max(map(len, lines)) <= width - 4, "^C has room behind it"


@pytest.mark.parametrize("dead", [False, True])
def test_an_outage_that_the_watch_has_met_may_have_kept_the_deployer_silent_too(
    aws: Aws, dead: bool
) -> None:
    error = OUT[next(iter(OUT))]

    def gone() -> None:
        aws.faults |= dict.fromkeys(("get_alias", "filter_log_events", "get_metric_data"), error)

    begun(aws)
    aws.story((18, gone), (130, aws.faults.clear))
    if not dead:
        aws.story((145, looked(aws)))
    ran = Ran(ROLLOUT, aws.story((200, lambda: aws.end("RolloutInterrupted", "7"))))
    accused = [seconds for seconds, line in timed(ran) if line.startswith("NO WORD")]
    if dead:
        (at,) = accused
        assert 130 + LATE < at <= 130 + TOLD + EVERY
    else:
        assert not [at for at in accused if at < 145 + LATE]


@pytest.mark.parametrize("width", [80, 120])
def test_long_names_are_not_cut_off(width: int) -> None:
    function = "checkout-" * 7
    shown = drawn(replace(state(), function=function, alias="live-in-all-regions"), width)
    # A word that is longer than a line goes on in the next one.
    assert f"{function}:live-in-all-regionsversion7→8" in shown.replace(" ", "")


def test_what_is_shown_has_its_age_on_the_screen() -> None:
    reach = Reach().answered("alias", START - 40).missed("alias", "Oops: no", START - 35)
    shown = drawn(state(reach=reach))
    assert "AWS cannot be reached since 11:59:32 UTC (Oops: no); what is shown is 40 s old" in shown


# -- what the stories need ------------------------------------------------------------------------


class Timed(Aws):
    """Whose deployer says when its next look is due, every 15 s."""

    before_the_log: Callable[[], Any] | None = None
    step_ends = 61.0

    def tell(self, message: str, group: str = "simple", id: str = ID, **said: Any) -> None:
        now = self.clock.now
        if message in ("SHIFTED", "SUSPENDED", "RESUMED", "LOOKED"):
            times = {"next-look": iso(now + 15), "step-ends": iso(START + self.step_ends)}
            said = {**times, **said}
        if message == "STARTED":
            said = {"interval": 60, "settle": 120, "hold": 0, **said}
        super().tell(message, group, id, **said)

    def filter_log_events(self, **request: Any) -> Any:
        if self.before_the_log:
            self.before_the_log()
            self.before_the_log = None
        return super().filter_log_events(**request)


def begun(aws: Aws, lease: bool = True) -> Aws:
    """A rollout with its first look; what comes then is the story's."""
    if lease:
        aws.story((0.5, lambda: leased(aws)))
    aws.story((1, lambda: aws.tell("STARTED", weight=0.0, step=0, steps=2)))
    return aws.story((1, lambda: aws.shift(0.5, 1)), (16, looked(aws)))


def leased(aws: Aws) -> None:
    """It runs out at 12:02:00, or so much later as it is renewed."""
    until = (aws.clock.now + 90) // 60 * 60 + 60
    aws.tell("LEASED", until=iso(until))


def looked(aws: Aws, phase: str = "LASTING") -> Callable[[], None]:
    said: dict[str, Any] = {
        "verdict": "PENDING",
        "reason": WHY,
        "step": 1,
        "weight": 0.5,
        "phase": phase,
    }
    return lambda: aws.tell("LOOKED", **said, original=SOME, new=SOME)


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def timed(ran: Ran) -> list[tuple[float, str]]:
    """The lines, and when each was printed, in seconds since the start."""
    found = []
    for line in ran.out.splitlines():
        clock, _, text = line.partition("  ")
        at = datetime.fromisoformat(f"2026-01-05T{clock}+00:00").timestamp()
        found.append((at - START, text))
    return found


def told(ran: Ran, begin: str) -> list[str]:
    """The lines that begin with these words."""
    return [line for _, line in timed(ran) if line.startswith(begin)]


def rendered(known: State, width: int) -> list[str]:
    """What a terminal of that width, and of 24 lines, shows."""
    out = io.StringIO()
    console = Console(file=out, width=width, height=24, force_terminal=True, color_system=None)
    with screen.Screen(console) as shown:
        shown.show(known, START)
    last = out.getvalue().split("╭")[-1].split("╯")[0]
    return f"╭{last}╯".splitlines()


def drawn(known: State, width: int = 104) -> str:
    """Without its frame, and without breaks of lines."""
    lines = [line.strip("│╭╮╰╯─ ") for line in rendered(known, width)]
    return " ".join(lines)


@pytest.fixture
def aws() -> Timed:
    return Timed(Clock())
