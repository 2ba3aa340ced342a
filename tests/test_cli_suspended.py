"""What a person sees of a rollout that is suspended: since when, why, where the users are, and what
is waited for; and that it is no end."""

import io

import pytest
from rich.console import Console

from deployer.decisions.evidence import Counts
from lambda_rollout import screen
from lambda_rollout.endings import End, Status
from lambda_rollout.state import Looked, Plan, State
from lambda_rollout.suspension import RESUMED, SUSPENDED, Suspensions, Turn
from tests.test_cli import ROLLOUT, WATCH, WHY, Ran, looked, runs
from tests.watched import ID, START, UNTIL, Aws, Clock, refusal

ACCUSED = (
    "The log of version 8 accuses it; CloudWatch has not published these calls yet. "
    "In its log: 3 × KeyError; such as request 8f3a1c2e-1f0c-4c7a-9b1e-0123456789ab, "
    "stream 2026/01/05/[8]0123456789abcdef0123456789abcdef."
)
CLEARED = "The log had 3 failed calls of version 8, CloudWatch counted 0 errors in 210 invocations."
CONVICTED = (
    f"{WHY} It was rolled back. In its log: 9 × KeyError, 3 × timed out; such as request "
    "8f3a1c2e-1f0c-4c7a-9b1e-0123456789ab, stream 2026/01/05/[8]0123456789abcdef0123456789abcdef."
)


def test_a_rollout_is_suspended_and_goes_on_to_its_good_end(aws: Aws) -> None:
    ran = Ran(ROLLOUT, suspended_and_resumed(aws))
    assert ran.status == Status.DEPLOYED
    told = [line.split("  ", 1)[1] for line in ran.out.splitlines()]
    assert told[2:] == [
        "weight 50 %  step 1 of 2  about 56 s left",
        "calls since 12:00:00  version 7: 0 errors in 100 invocations; version 8: 0 errors in 50 invocations",
        f"SUSPENDED since 12:00:19 UTC: {ACCUSED}",
        f"SUSPENDED at 50 %, step 1 of 2: all users are on version 7. {waited_for('12:00')}",
        "look suspected",
        f"look not decided yet  {WHY}",
        f"RESUMED at 12:02:09 UTC, after 1 min 50 s: {CLEARED}",
        "weight 50 %  step 1 of 2  about 46 s left",
        "look cleared",
        f"look nothing wrong so far  {WHY}",
        "weight 100 %  step 2 of 2  about 26 s left",
        "settling: until calls at full weight are published, at most 2 min",
        f"SUCCEEDED: {WHY} Alias 'live' of 'checkout' is on version 8.",
    ]


def test_a_suspended_rollout_that_is_convicted_says_why_it_failed(aws: Aws) -> None:
    ran = Ran(WATCH + " --wait 10", convicted(aws))
    assert ran.status == Status.ROLLED_BACK
    assert f"SUSPENDED since 12:00:19 UTC: {ACCUSED}\n" in ran.out
    ending = f"HealthCheckFailed: {CONVICTED} Alias 'live' of 'checkout' is on version 7.\n"
    assert ran.out.endswith(ending), "the whole reason, uncut"


def test_who_comes_while_it_is_suspended_sees_since_when_and_why(aws: Aws) -> None:
    suspended_and_resumed(aws)
    aws.clock.sleep(60)
    ran = Ran(WATCH, aws)
    assert ran.status == Status.DEPLOYED
    assert ran.out.splitlines()[1:3] == [
        f"12:01:07  SUSPENDED since 12:00:19 UTC: {ACCUSED}",
        "12:01:07  SUSPENDED at 50 %, step 1 of 2: all users are on version 7. "
        + waited_for("12:00"),
    ]


@pytest.mark.parametrize("command", [ROLLOUT, f"{WATCH} --wait 10"])
def test_without_the_log_a_suspension_is_seen_and_is_no_end(aws: Aws, command: str) -> None:
    aws.faults["filter_log_events"] = refusal("AccessDeniedException")
    ran = Ran(command, suspended_and_resumed(aws, until=200))
    assert ran.status == Status.UNKNOWN and ran.seconds == pytest.approx(200, abs=3)
    assert "SUSPENDED at 50 %, step 1 of 2: all users are on version 7. Waiting for Clo" in ran.out
    assert "weight 50 %  step 1 of 2  time left: not known yet" in ran.out
    assert "is on version 8." in ran.out.splitlines()[-1]


def test_a_line_that_comes_late_is_told_when_it_comes(aws: Aws) -> None:
    late = aws.suspend
    runs(
        aws,
        (12, lambda: late(ACCUSED, quiet=True)),
        (20, lambda: late(ACCUSED)),
        (60, lambda: aws.end("HealthCheckFailed", "7", reason=CONVICTED)),
    )
    ran = Ran(ROLLOUT, aws)
    assert ran.status == Status.ROLLED_BACK
    told = ran.out.splitlines()
    (shown,) = [number for number, line in enumerate(told) if "all users are on" in line]
    (why,) = [number for number, line in enumerate(told) if ACCUSED in line]
    assert shown < why


def test_it_is_told_how_often_it_was_suspended(aws: Aws) -> None:
    runs(
        aws,
        (12, lambda: aws.suspend(ACCUSED)),
        (40, lambda: aws.resume(CLEARED)),
        (50, lambda: aws.suspend(ACCUSED)),
        (90, lambda: aws.resume(CLEARED)),
        (100, lambda: aws.suspend(ACCUSED)),
        (150, lambda: aws.end("HealthCheckInconclusive", "7", reason="Nothing was published.")),
    )
    out = Ran(ROLLOUT, aws).out
    assert out.count(f": {ACCUSED}\n") == 3 and out.count(f": {CLEARED}\n") == 2
    assert "SUSPENDED since 12:00:57 UTC, for the second time: " in out
    assert "SUSPENDED since 12:01:47 UTC, for the third time: " in out


# Who else has the alias meanwhile.
@pytest.mark.parametrize("log", ["told", "silent"])
def test_an_operator_who_takes_a_suspended_alias_back_ends_the_rollout(aws: Aws, log: str) -> None:
    left = "Somebody else moved the alias during the rollout, so it was left to them."
    runs(aws, (12, lambda: aws.suspend(ACCUSED)), (50, aws.back))
    if log == "told":
        aws.story((52, lambda: aws.tell("AliasChanged", reason=left)))
    ran = Ran(ROLLOUT, aws)
    assert ran.status == (Status.CHANGED if log == "told" else Status.UNKNOWN)
    assert "The alias is on version 7. Waiting for the log to say how it ended …" in ran.out


@pytest.mark.parametrize("version", ["8", "6"])
def test_an_alias_moved_under_a_stamp_that_says_suspended_is_left_to_the_log(
    aws: Aws, version: str
) -> None:
    """The operator's command leaves the description as it is."""
    runs(
        aws,
        (12, lambda: aws.suspend(ACCUSED)),
        (50, lambda: setattr(aws, "version", version)),
        (60, lambda: aws.end("SUCCEEDED", version)),
    )
    ran = Ran(f"{WATCH} --wait 10", aws)
    assert ran.status == Status.DEPLOYED
    assert f"The alias is on version {version}. Waiting for the log to say how it ended" in ran.out


def test_a_split_under_a_stamp_that_says_suspended_is_nobody_s_rollout(aws: Aws) -> None:
    aws.suspend(ACCUSED, quiet=True)
    aws.routing = {"8": 0.5}
    assert Ran(WATCH, aws).status == Status.NOTHING_RUNS


@pytest.mark.parametrize("command", [ROLLOUT, WATCH])
def test_nothing_runs_where_the_version_was_promoted_under_such_a_stamp(
    aws: Aws, command: str
) -> None:
    aws.suspend(ACCUSED, quiet=True)
    aws.version = "8"
    ran = Ran(command, aws)
    assert (ran.status == Status.NOTHING_RUNS) == (command == WATCH)
    assert len(aws.invoked) == (command == ROLLOUT), "the deployer has the last word"


def test_nothing_is_sent_while_a_rollout_of_the_alias_is_suspended(aws: Aws) -> None:
    aws.suspend(ACCUSED)
    ran = Ran(ROLLOUT, aws)
    assert (ran.status, aws.invoked) == (Status.REFUSED, [])
    assert ran.err.startswith("AliasBusy: ") and ran.err.endswith("Nothing was sent.\n")


# Its deployer dies.
def test_the_watchdog_ends_a_suspension_whose_deployer_has_died(aws: Aws) -> None:
    died = "The deployer died before the rollout had ended."
    runs(
        aws,
        (12, lambda: aws.suspend(ACCUSED)),
        (1000, lambda: aws.end("RolloutInterrupted", "7", "watchdog", reason=died)),
    )
    ran = Ran(ROLLOUT, aws)
    assert ran.status == Status.ROLLED_BACK and ran.seconds == pytest.approx(1000, abs=3)
    died = "Its deployer seems to have died while it was suspended: all users are on version 7."
    assert f"{died} Waiting for the watchdog …" in ran.out


@pytest.mark.parametrize("log", ["silent", "denied"])
def test_a_suspension_that_nobody_ends_has_left_the_users_on_the_original_version(
    aws: Aws, log: str
) -> None:
    if log == "denied":
        aws.faults["filter_log_events"] = refusal("AccessDeniedException")
    ran = Ran(ROLLOUT, runs(aws, (12, lambda: aws.suspend(ACCUSED))))
    assert ran.status == Status.ROLLED_BACK and ran.seconds == pytest.approx(2760, abs=5)
    assert "users are on the original version" in ran.out.splitlines()[-1]


def test_the_stamp_of_a_suspension_that_is_long_over_is_litter(aws: Aws) -> None:
    aws.suspend(ACCUSED, quiet=True)
    aws.clock.sleep(900 + 60 + 1800 + 1)
    ran = Ran(WATCH, aws)
    assert ran.status == Status.NOTHING_RUNS


# The times.
def test_the_clock_of_a_step_stands_still_while_it_is_suspended() -> None:
    turns = (Turn(START + 10, SUSPENDED), Turn(START + 70, RESUMED))
    rested = Suspensions(turns, seen=1)
    assert (rested.rest(START, START + 100), rested.rest(START + 20, START + 30)) == (60, 10)
    assert rested.rest(START + 80, START + 100) == 0
    assert Suspensions(turns[:1], START + 10, 1).rest(START, START + 40) == 30
    assert Suspensions(seen=1).rest(START, START + 40) is None, "the log has not told yet"
    known = state(plan=Plan("8", 60.0, 120.0), suspensions=rested)
    assert known.left(START + 100) == 20 + 60
    watched = state(shifts={1: START, 2: START + 120}, step=2, suspensions=rested)
    assert watched.interval == 60


def test_lines_heard_again_change_nothing() -> None:
    suspensions = Suspensions().tell(Turn(1.0, SUSPENDED, ACCUSED))
    assert suspensions.tell(Turn(1.0, SUSPENDED, ACCUSED)) == suspensions
    assert suspensions.count == 1


# The screen.
def test_a_suspended_rollout_is_unmistakable_on_the_screen() -> None:
    suspensions = Suspensions((Turn(START - 75, SUSPENDED, ACCUSED),), START - 74, 1)
    shown = drawn(state(suspensions=suspensions))
    assert "SUSPENDED at 50 %, step 1 of 2: all users are on version 7" in shown
    assert "Since 11:58:52 UTC, for 1 min 15 s." in shown
    assert ACCUSED in shown and waited_for("11:58") in shown
    assert " 0 % " in shown and "left" not in shown
    third = Suspensions((*suspensions.turns, *suspensions.turns), START - 74, 3)
    assert "for 1 min 15 s, for the third time." in drawn(state(suspensions=third))
    unheard = drawn(state(suspensions=Suspensions((), START - 74, 1)))
    assert "Why, the deployer's log has not told yet." in unheard


@pytest.mark.parametrize("end", ["is left by its stamp", "is left by its deployer"])
def test_the_screen_waits_for_no_metrics_once_nobody_reads_them(end: str) -> None:
    known = Suspensions((Turn(START - 75, SUSPENDED, ACCUSED),), START - 74, 1)
    if end == "is left by its stamp":
        shown = drawn(state(suspensions=known, gone=START - 1, where="is on version 7"))
        assert "The alias is on version 7. Waiting for the log to say how it ended …" in shown
    else:
        shown = drawn(state(suspensions=known, until=START - 61))
        assert "Its deployer seems to have died while it was suspended" in shown
    assert "CloudWatch's metrics" not in shown and " 0 % " in shown


def test_the_screen_says_that_it_goes_on_and_at_the_end_that_it_was_suspended() -> None:
    turns = (Turn(START - 75, SUSPENDED, ACCUSED), Turn(START - 15, RESUMED, CLEARED))
    known = Suspensions(turns, None, 1)
    shown = drawn(state(suspensions=known))
    assert f"RESUMED at 11:59:52 UTC, after 1 min: {CLEARED}" in shown
    assert "SUSPENDED" not in shown and " 50 % " in shown
    end = End("HealthCheckFailed", Status.ROLLED_BACK, START, CONVICTED, "It is on version 7.")
    shown = drawn(state(suspensions=known, end=end, verdict=Looked(START, "FAILED", WHY)))
    assert "It was suspended once." in shown and "RESUMED" not in shown
    assert "It was suspended 2 times." in drawn(state(suspensions=Suspensions(seen=2), end=end))
    assert "suspended" not in drawn(state(end=end))


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_why_a_version_failed_is_read_whole_on_any_screen(width: int) -> None:
    end = End("HealthCheckFailed", Status.ROLLED_BACK, START, CONVICTED, "It is on version 7.")
    shown = drawn(state(end=end, verdict=Looked(START, "FAILED", WHY)), width)
    because = CONVICTED.removeprefix(WHY).strip()
    # A word that is longer than a line goes on in the next one.
    assert because.replace(" ", "") in shown.replace(" ", "")


def test_why_a_version_failed_is_read_whole_where_the_window_has_few_lines() -> None:
    end = End("HealthCheckFailed", Status.ROLLED_BACK, START, CONVICTED, "It is on version 7.")
    out = io.StringIO()
    terminal = Console(file=out, width=100, height=10, force_terminal=True)
    with screen.Screen(terminal) as shown:
        shown.show(state(end=end, verdict=Looked(START, "FAILED", WHY)), START)
    last = out.getvalue()
    assert "[8]0123456789abcdef0123456789abcdef." in last and "It is on version 7." in last


# -- what the stories need ------------------------------------------------------------------------


@pytest.fixture
def aws() -> Aws:
    return Aws(Clock())


def waited_for(minute: str) -> str:
    return (
        f"Waiting for CloudWatch's metrics of the minutes up to {minute} UTC, which come one to "
        "three minutes late. It goes on at 50 %, or is rolled back, as these say."
    )


def suspended_and_resumed(aws: Aws, until: float = 200) -> Aws:
    """In the first step, for 110 s of it."""
    return runs(
        aws,
        (12, lambda: aws.suspend(ACCUSED)),
        (12, looked(aws, "SUSPECTED", ACCUSED)),
        (30, looked(aws)),
        (122, looked(aws, "CLEARED", CLEARED)),
        (122, lambda: aws.resume(CLEARED)),
        (135, looked(aws)),
        (141, lambda: aws.shift(1, 2)),
        (until, lambda: aws.end("SUCCEEDED", "8", reason=WHY)),
    )


def convicted(aws: Aws) -> Aws:
    return runs(
        aws,
        (12, lambda: aws.suspend(ACCUSED)),
        (90, looked(aws, "FAILED")),
        (90, lambda: aws.tell("ROLLED_BACK", reason=WHY)),
        (90, lambda: aws.end("HealthCheckFailed", "7", reason=CONVICTED)),
    )


def state(**more: object) -> State:
    known = {
        "rollout": ID,
        "original": "7",
        "new": "8",
        "weight": 0.5,
        "step": 1,
        "steps": 2,
        "shifts": {1: START},
        "until": UNTIL.timestamp(),
        "counts": (Counts(1024, 0), Counts(210, 3)),
    }
    return State("checkout", "live", START, START, **{**known, **more})  # type: ignore[arg-type]


def drawn(known: State, width: int = 100) -> str:
    """Without its frame, and without breaks of lines."""
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(screen.panel(known, START))
    lines = [line.strip("│╭╮╰╯─ ") for line in console.export_text().splitlines()]
    return " ".join(lines)
