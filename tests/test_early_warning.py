"""The early warning: a line in the function's log suspends a rollout, and only metrics fail or
acquit the version. What is read, what accuses, what happens meanwhile, and how it ends."""

from collections import defaultdict
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from deployer.decisions.errors import DeployError
from tests.beginnings import TARGET, UNSPLIT
from world.aws import WORDS
from world.logs import SECRET, FakeLogs
from world.machine import Machine
from world.world import FakeClients, World

DRIVERS = ["the loop", "the state machine"]
both = pytest.mark.parametrize("driver", DRIVERS)

MINUTES: dict[str, Any] = {"steps": 10, "interval": 60}
QUICK: dict[str, Any] = {"steps": 5, "interval": 10}

#: A look, a reading or a write takes a few calls of 0.05 s; the state machine waits whole seconds.
ABOUT = 2.0


# What users get.


@both
@pytest.mark.parametrize("plan", [MINUTES, QUICK])
def test_a_version_that_fails_every_call_is_left_seconds_after_the_first_and_failed_by_metrics(
    driver: str, plan: dict[str, Any]
) -> None:
    world = logged(errors={"8": 1.0})
    status, message = play(world, driver, **plan)
    assert status == "HealthCheckFailed" and "It was rolled back. In its log: " in message
    shifted, suspended, back = world.moves
    assert suspended[1:] == ("7", {}) and suspended[0] - shifted[0] < 20
    assert world.failed_calls["8"] < 60
    # Metrics of the first minute are published 113 s after the start.
    assert 113 <= back[0] <= 113 + 15 + ABOUT
    assert world.alias.description == WORDS
    assert told(world) == ["STARTED", "SHIFTED", "SUSPENDED", "ROLLED_BACK", "HealthCheckFailed"]


@both
def test_while_it_is_suspended_the_alias_says_so_and_every_call_is_the_original_version_s(
    driver: str,
) -> None:
    world = logged(errors={"8": 1.0})
    seen = []
    world.at(60, lambda: seen.append((world.alias.routing, world.alias.description)))
    play(world, driver, **MINUTES)
    ((routing, description),) = seen
    assert routing == {}
    assert (
        description.startswith(f"{WORDS} [rollout ")
        and "to 8 suspended at 0.1 (1/10)" in description
    )
    _, event, *_ = [each for each in world.told if each["status"] in ("SHIFTED", "SUSPENDED")]
    assert (event["weight"], event["step"], event["where"]) == (
        0.1,
        1,
        "Alias 'live' of 'checkout' is on version 7.",
    )
    assert "The log of version 8 accuses it" in event["reason"]
    assert " × KeyError; such as " in event["reason"]


@both
def test_a_false_alarm_costs_minutes_and_not_the_release(driver: str) -> None:
    plain = World()
    play(plain, driver, **MINUTES)
    world = noisy(70)
    status, result = play(world, driver, **MINUTES)
    assert status == "SUCCEEDED"
    assert told(world).count("SUSPENDED") == told(world).count("RESUMED") == 1
    assert 0 <= world.moves[-1][0] - plain.moves[-1][0] < 180
    (warning,) = result["warnings"]
    assert warning == (
        "The log had 1 failed call of version 8, CloudWatch counted 0 errors in 86 invocations in "
        "the same minutes. The log is not listened to any more in this rollout."
    )
    assert result["checks"]["suspensions"] == 1


@both
def test_a_version_that_prints_failures_all_the_time_is_suspended_once(driver: str) -> None:
    world = noisy(*range(30, 900, 10))
    status, _ = play(world, driver, **MINUTES)
    assert (status, told(world).count("SUSPENDED")) == ("SUCCEEDED", 1)


# Reading.


def test_the_loop_reads_every_five_seconds() -> None:
    world = logged()
    play(world, "the loop", **MINUTES)
    reads = world.log.times[1:]  # the first one comes before the start
    assert all(4.9 <= later - earlier <= 5 + 1 for earlier, later in pairwise(reads[:100]))


def test_between_looks_that_are_far_apart_the_alias_is_seen_to_as_without_a_log() -> None:
    world = logged()
    world.at(70, lambda: world.update_alias(**UNSPLIT))
    status, _ = play(world, "the loop", steps=2, interval=300, health_check={"every": 300})
    assert status == "AliasChanged" and world.time < 70 + 36


def test_the_state_machine_reads_with_every_look() -> None:
    world = logged()
    _, result = play(world, "the state machine", **MINUTES)
    assert len(world.log.times) - 1 == result["checks"]["looks"]


def test_the_state_machine_does_not_listen_where_looks_come_more_than_half_a_minute_apart() -> None:
    world = noisy(100)
    _, result = play(world, "the state machine", steps=2, interval=120, health_check={"every": 31})
    assert result["checks"]["suspensions"] == 0 and len(world.log.times) == 1


@both
def test_it_looks_back_three_minutes_and_never_before_the_first_shift(driver: str) -> None:
    world = logged()
    play(world, driver, **MINUTES)
    shifted = world.moves[0][0]
    for time, since in zip(world.log.times[1:], world.log.since[1:], strict=True):
        assert since == pytest.approx(max(shifted, time - 180), abs=0.2)


@both
def test_lines_of_before_the_first_shift_accuse_nobody(driver: str) -> None:
    world = logged()
    for _ in range(5):
        world.write_failure("8")
    status, result = play(world, driver, **QUICK)
    assert (status, result["checks"]["suspensions"]) == ("SUCCEEDED", 0)


@pytest.mark.parametrize("group", ["/aws/lambda/checkout", "/shop/all"])
@both
def test_after_midnight_the_streams_of_the_day_before_are_read_too(driver: str, group: str) -> None:
    world = logged(errors={"8": 1.0})
    world.log_group = group
    world.starts = world.starts.replace(hour=23, minute=59, second=50)
    play(world, driver, **MINUTES)
    name = {"/shop/all": "checkout"}.get(group, "")
    assert {f"2026/01/05/{name}[8]", f"2026/01/06/{name}[8]"} <= set(world.log.prefixes)
    assert world.moves[1][0] < 20 and world.now().day == 6


def test_a_sandbox_that_started_before_midnight_is_heard_hours_later() -> None:
    world = logged(errors={"8": 1.0})
    world.log.started = world.starts.replace(hour=22)
    world.starts = world.starts.replace(hour=3) + timedelta(days=1)
    play(world, "the loop", **MINUTES)
    assert told(world)[2] == "SUSPENDED" and world.moves[1][0] < 20


def test_a_reading_takes_three_pages_at_most() -> None:
    world = noisy(*[7.0] * 2000)
    play(world, "the loop", **MINUTES, health_check={"errors": 0.5})
    assert max(world.log.pages) == 3


@both
@pytest.mark.parametrize("fault", ["throttled", "broken"])
def test_a_log_that_cannot_be_read_is_read_less_often_and_changes_nothing(
    driver: str, fault: str
) -> None:
    plain = World(errors={"8": 0.05})
    play(plain, driver, **MINUTES)
    world = logged(errors={"8": 0.05})
    world.log_fault = fault
    status, _ = play(world, driver, **MINUTES)
    assert status == "HealthCheckFailed" and world.history == plain.history
    assert world.moves[-1][0] == pytest.approx(plain.moves[-1][0], abs=ABOUT)
    assert world.calls.count("FilterLogEvents") < 12


def test_a_log_that_cannot_be_read_for_a_while_is_listened_to_afterwards() -> None:
    world = logged(errors={"8": 1.0}, rate=1.0)
    world.log_fault = "throttled"
    world.at(30, lambda: setattr(world, "log_fault", ""))
    play(world, "the loop", **MINUTES)
    assert told(world)[:3] == ["STARTED", "SHIFTED", "SUSPENDED"]
    assert 30 < world.moves[1][0] < 80


@both
def test_a_log_that_may_not_be_read_is_said_once_and_off(driver: str) -> None:
    world = logged()
    world.log_fault = "denied"
    status, result = play(world, driver, **MINUTES)
    assert status == "SUCCEEDED" and world.calls.count("FilterLogEvents") == 1
    (warning,) = result["warnings"]
    assert warning.startswith(
        "No early warning: Its log /aws/lambda/checkout could not be read: "
        "allow it to the deployer with the template's parameters TargetFunctions and "
        "TargetLogGroups, or set 'logs' to false. AWS says AccessDeniedException"
    )


@both
def test_a_log_group_that_is_not_there_yet_is_waited_for(driver: str) -> None:
    world = logged(errors={"8": 1.0})
    world.log.absent_until = 30
    status, _ = play(world, driver, **MINUTES)
    assert status == "HealthCheckFailed"
    assert 30 < world.moves[1][0] < 60 and told(world)[2] == "SUSPENDED"


@both
def test_where_the_payload_says_so_nothing_is_read(driver: str) -> None:
    world = logged(errors={"8": 0.3})
    play(world, driver, **MINUTES, health_check={"logs": False})
    assert "FilterLogEvents" not in world.calls and "SUSPENDED" not in told(world)


# What accuses.


@both
@pytest.mark.parametrize(
    "check",
    [
        {"errors": False, "alarms": ["sales"]},
        {"errors": False, "min-invocations": 1},
    ],
)
def test_where_errors_do_not_matter_lines_do_not_either(driver: str, check: dict[str, Any]) -> None:
    world = noisy(20, 25, 30)
    world.alarms = {"sales": "OK"}
    status, result = play(world, driver, steps=2, interval=60, health_check=check)
    assert (status, result["checks"]["suspensions"]) == ("SUCCEEDED", 0)


@both
def test_for_any_one_failed_call_is_enough(driver: str) -> None:
    world = noisy(20)
    play(world, driver, **MINUTES)
    assert told(world)[:4] == ["STARTED", "SHIFTED", "SUSPENDED", "RESUMED"]


@both
def test_for_a_rate_as_many_as_metrics_would_need(driver: str) -> None:
    """10 calls a second: 1 % of the new version's are 1 in 100 s."""
    few = noisy(20)
    few.rate_before = 10.0
    play(few, driver, **MINUTES, health_check={"errors": 0.01})
    assert "SUSPENDED" not in told(few)
    many = noisy(20, 21, 22, 23, 24)
    many.rate_before = 10.0
    play(many, driver, **MINUTES, health_check={"errors": 0.01})
    assert told(many)[:3] == ["STARTED", "SHIFTED", "SUSPENDED"]


@both
def test_what_fails_on_both_versions_accuses_nobody(driver: str) -> None:
    world = logged(errors={"7": 0.3, "8": 0.3})
    world.rate_before = 10.0
    world.log.PAGE = 10_000  # as AWS's
    status, result = play(world, driver, **MINUTES, health_check={"errors": "baseline"})
    assert (status, result["checks"]["suspensions"]) == ("SUCCEEDED", 0)


@both
def test_what_fails_on_the_new_version_alone_accuses_it_beside_the_original(driver: str) -> None:
    world = logged(errors={"8": 0.5})
    world.rate_before = 10.0
    status, _ = play(world, driver, **MINUTES, health_check={"errors": "baseline"})
    assert status == "HealthCheckFailed" and world.moves[1][0] < 40
    assert told(world)[2] == "SUSPENDED"


def test_an_original_version_whose_log_cannot_be_read_is_waited_for() -> None:
    """Whether it fails as well is not known, so nobody is accused."""
    world = logged(errors={"7": 0.3, "8": 0.3})
    world.rate_before = 10.0
    world.log.unreadable = "[7]"
    status, _ = play(world, "the loop", **MINUTES, health_check={"errors": "baseline"})
    assert status == "SUCCEEDED" and "SUSPENDED" not in told(world)


def test_an_original_version_that_has_more_lines_than_can_be_read_is_not_compared() -> None:
    """Only a part of its failed calls is known, so nobody is accused."""
    world = logged(errors={"7": 0.3, "8": 0.3})
    world.rate_before = 10.0
    world.log.PAGE = 10
    status, _ = play(world, "the loop", **MINUTES, health_check={"errors": "baseline"})
    assert status == "SUCCEEDED" and "SUSPENDED" not in told(world)


# Meanwhile.


@both
@pytest.mark.parametrize("words", [{}, {"Description": "Mine"}])
def test_an_operator_who_takes_a_suspended_alias_back_ends_the_rollout(
    driver: str, words: dict[str, str]
) -> None:
    world = noisy(20)
    world.at(60, lambda: world.update_alias(**UNSPLIT, **words))
    status, message = play(world, driver, **MINUTES)
    assert status == "AliasChanged" and "Somebody else moved the alias" in message
    assert (world.alias.version, world.alias.routing) == ("7", {})
    assert world.alias.description == words.get("Description", WORDS)


@both
def test_an_operator_may_promote_what_is_suspended(driver: str) -> None:
    world = noisy(20)
    world.at(60, lambda: world.update_alias(FunctionVersion="8", **UNSPLIT))
    status, result = play(world, driver, **MINUTES)
    assert status == "SUCCEEDED" and "Promoted by hand" in result["warnings"][-1]
    assert (world.alias.version, world.alias.description) == ("8", WORDS)


def test_the_step_s_clock_stands_still_and_later_weights_move_with_it() -> None:
    world = noisy(70)
    play(world, "the state machine", **MINUTES)
    shifts = [time for time, _, routing in world.moves if routing]
    (suspended,) = [time for time, version, routing in world.moves[:-1] if not routing]
    resumed = shifts[2]
    stood = resumed - suspended
    assert stood > 60
    for step, time in enumerate([*shifts[:2], *shifts[3:]]):
        assert time - shifts[0] == pytest.approx(60 * step + (stood if step > 1 else 0), abs=3)


def test_the_clock_of_a_hold_stands_still_too() -> None:
    """Held from 60 s on, for at most 230 s; suspended from 70 s to about 180 s. The first whole
    minute after that is published at 353 s."""
    world = noisy(65, rate=2.0)
    check = {"min-invocations": 20, "hold": 230}
    status, message = play(world, "the state machine", steps=2, interval=60, health_check=check)
    assert told(world)[2] == "SUSPENDED"
    assert status == "SUCCEEDED", message


def test_to_settle_begins_anew_after_a_suspension() -> None:
    world = noisy(48)
    status, result = play(world, "the loop", **QUICK)
    assert (status, result["checks"]["judged"]) == ("SUCCEEDED", True)
    *_, resumed, ended = [time for time, _, _ in world.moves]
    assert world.history[-3:] == ["7", 1.0, "8"] and ended - resumed > 60


@pytest.mark.parametrize("delay", [60.0, 180.0])
@pytest.mark.parametrize("second", [5, 70, 130, 250, 370, 430, 490, 550, 610, 700])
def test_in_one_invocation_the_steps_share_the_time_and_lack_of_it_rolls_nothing_back(
    second: int, delay: float
) -> None:
    world = noisy(second, delay=delay)
    status, result = play(world, "the loop", **MINUTES)
    assert status == "SUCCEEDED", result
    lasted: dict[float, float] = defaultdict(float)
    for (begin, _, routing), (end, _, _) in pairwise(world.moves):
        lasted[routing.get("8", 0.0)] += end - begin
    lasted.pop(0.0, None)
    assert min(lasted.values()) >= (30 - ABOUT if result["checks"]["suspensions"] else 58)


def test_late_in_an_invocation_the_log_is_not_listened_to_any_more() -> None:
    """With less than 150 s for a suspension beside half of the steps that remain."""
    world = noisy(560)
    status, result = play(world, "the loop", **MINUTES)
    assert (status, result["checks"]["suspensions"]) == ("SUCCEEDED", 0)
    assert max(world.log.times) < 560


def test_a_rollout_is_suspended_three_times_at_most() -> None:
    """One call in 100 fails, which is too few for this rate; now and then some come together."""
    world = logged()
    world.rate_before = 10.0
    for begin in range(30, 2000, 250):
        world.at(begin, lambda: setattr(world, "errors", {"7": 0.0, "8": 0.3}))
        world.at(begin + 6, lambda: setattr(world, "errors", {"7": 0.0, "8": 0.0}))
    check = {"errors": 0.05, "every": 5}
    status, result = play(world, "the state machine", steps=20, interval=120, health_check=check)
    assert told(world).count("SUSPENDED") <= 3, result
    assert status in ("SUCCEEDED", "HealthCheckFailed")


# How it ends.


@both
def test_as_many_errors_as_the_log_has_but_too_few_to_fail_resume_it_and_it_is_listened_on(
    driver: str,
) -> None:
    """The alias has more calls than in the hour before: among them the failed ones are few."""
    world = logged()
    world.rate_before = 1.0
    world.at(12, lambda: world.errors.update({"8": 1.0}))
    world.at(16, lambda: world.errors.update({"8": 0.0}))
    status, result = play(world, driver, **MINUTES, health_check={"errors": 0.1})
    assert status == "SUCCEEDED", result
    resumed = [each for each in world.told if each["status"] == "RESUMED"]
    assert all("too few to fail it" in each["reason"] for each in resumed) and resumed
    assert result["warnings"] == []
    assert max(world.log.times) > 300, "it is listened to further"


@both
def test_calls_that_were_not_this_alias_s_acquit_it(driver: str) -> None:
    """The version is called in other ways, too; by this alias it had no call in those minutes."""
    world = noisy(20, rate=0.2)
    world.at(0.1, lambda: setattr(world, "_random", Never()))
    status, result = play(world, driver, **MINUTES)
    assert status == "SUCCEEDED", result
    assert any("CloudWatch counted no published calls" in each for each in result["warnings"])


def test_calls_of_before_a_suspension_count_for_what_a_step_asks_for() -> None:
    """Suspended 10 s before the step ends: what was seen of it until then need not come again."""
    world = noisy(285, rate=1.0)
    check = {"errors": 0.1, "min-invocations": 40, "hold": 100}
    world.rate_before = 1.0
    for second in range(285, 288):
        for _ in range(20):
            world.at(second, lambda: world.write_failure("8"))
    _, result = play(world, "the state machine", steps=2, interval=300, health_check=check)
    assert told(world)[2] == "SUSPENDED"
    assert result["status"] == "SUCCEEDED", result


@both
def test_a_rate_is_not_saved_by_errors_that_were_published_before(driver: str) -> None:
    """The log accuses of calls; those errors that CloudWatch had before are none of them."""
    world = logged(errors={"8": 0.03})
    world.rate_before = 10.0
    for second in (400, 401, 402):
        for _ in range(11):
            world.at(second, lambda: world.write_failure("8"))
    status, result = play(world, driver, **MINUTES, health_check={"errors": 0.03})
    assert status == "SUCCEEDED", result
    assert any("is not listened to any more" in each for each in result["warnings"])


@both
def test_lines_that_cannot_be_understood_roll_nothing_back(
    driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(lines: Any) -> Any:
        raise ValueError(SECRET)

    monkeypatch.setattr("deployer.logs.failures", broken)
    world = logged()
    status, result = play(world, driver, **MINUTES)
    assert status == "SUCCEEDED"
    assert result["warnings"] == ["No early warning: The log could not be understood (ValueError)."]
    bad = logged(errors={"8": 1.0})
    status, message = play(bad, driver, **MINUTES)
    assert status == "HealthCheckFailed" and SECRET not in message
    assert told(bad)[-1] == "HealthCheckFailed"


@both
def test_an_alias_of_which_nothing_is_published_is_inconclusive_after_five_minutes(
    driver: str,
) -> None:
    world = noisy(20, delay=10_000.0)
    status, message = play(world, driver, **MINUTES)
    assert status == "HealthCheckInconclusive"
    assert "The log had 1 failed call of version 8, and CloudWatch did not publish" in message
    suspended, back = [time for time, _, routing in world.moves if not routing]
    assert 300 <= back - suspended <= 300 + 16 + ABOUT


@both
def test_a_cloudwatch_that_cannot_be_asked_is_inconclusive_after_five_minutes(driver: str) -> None:
    world = noisy(20)
    world.at(35, lambda: world.faults.update({"GetMetricData": "broken"}))
    status, _ = play(world, driver, **MINUTES)
    assert status == "HealthCheckInconclusive"
    suspended, back = [time for time, _, routing in world.moves if not routing]
    assert back - suspended <= 480 + 16 + ABOUT
    assert (world.alias.version, world.alias.routing) == ("7", {})


# -- what the stories need ------------------------------------------------------------------------


class WatchedLogs(FakeLogs):
    """Notes what was read, and when."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.times: list[float] = []
        self.since: list[float] = []
        self.prefixes: list[str] = []
        self.pages: list[int] = []
        self.unreadable = "none"
        self.absent_until = 0.0

    def filter_log_events(self, **request: Any) -> Any:
        prefix = request["logStreamNamePrefix"]
        self.prefixes.append(prefix)
        if "nextToken" in request:
            self.pages[-1] += 1
        else:
            self.pages.append(1)
            if prefix.endswith("[8]") and "START" not in request["filterPattern"]:
                self.times.append(self._world.time)
                self.since.append(request["startTime"] / 1000 - self._world.starts.timestamp())
        if self.unreadable in prefix:
            self._world.faults["FilterLogEvents"] = "broken"
        else:
            self._world.faults.pop("FilterLogEvents", None)
        if self._world.time < self.absent_until:
            request["logGroupName"] = "/aws/lambda/absent"
        return super().filter_log_events(**request)


class LoggedWorld(World):
    """A world whose function writes of its failed calls, 5 s late."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.log_delay = 5.0
        self.log = WatchedLogs(self)


class Never:
    """A generator that sends no call to the new version."""

    def random(self) -> float:
        return 0.999


def logged(**settings: Any) -> LoggedWorld:
    return LoggedWorld(**settings)


def noisy(*seconds: float, **settings: Any) -> LoggedWorld:
    """A healthy version that prints what looks like a failed call in these seconds."""
    world = logged(**settings)
    for second in seconds:
        world.at(second, lambda: world.write_failure("8"))
    return world


def play(world: LoggedWorld | World, driver: str, **payload: Any) -> tuple[str, Any]:
    """How it ended: the result's `rollout`, or the message."""
    event = TARGET | {key.replace("_", "-"): value for key, value in payload.items()}
    if driver == "the state machine":
        machine = LoggedMachine(world, event).run()
        if machine.status == "SUCCEEDED":
            return "SUCCEEDED", machine.output["rollout"]
        return machine.error, machine.cause
    try:
        return "SUCCEEDED", world.invoke(event, clients=clients(world))["rollout"]
    except DeployError as error:
        return type(error).__name__, str(error)


def clients(world: World, budget: float | None = None) -> FakeClients:
    made = FakeClients(world, budget=budget)
    made.logs = getattr(world, "log", made.logs)
    return made


class LoggedMachine(Machine):
    def _clients(self) -> FakeClients:
        made = super()._clients()
        made.logs = getattr(self.world, "log", made.logs)
        return made


def told(world: World) -> list[str]:
    """What was told, in order, without the shifts after the first."""
    seen: list[str] = []
    for each in world.told:
        if each["status"] != "SHIFTED" or "SHIFTED" not in seen:
            seen.append(each["status"])
    return seen
