"""The order in which CloudWatch publishes metrics and versions decides nothing: it promises none.

Something that both versions need is down for a while, and both fail: a healthy release. Whichever
of the four metrics comes first, `baseline` promotes it; and what fails more often than the original
is rolled back as soon as both versions are published.
"""

import random
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.decisions import likelihood
from deployer.decisions.checks.errors import ENOUGH, Errors
from deployer.decisions.errors import DeployError, HealthCheckFailed
from deployer.decisions.evidence import MINUTE, PATIENCE, Counts, Evidence, Look
from tests.chance import drawn, interval
from world.aws import WORDS
from world.machine import Machine
from world.world import World

TENTHS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
MINUTES: dict[str, Any] = {"steps": 10, "interval": 60}
QUICK: dict[str, Any] = {"steps": 5, "interval": 10}
BASELINE = Errors("baseline")
AT_NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
NOON = round(AT_NOON.timestamp())

#: A look comes every 15 s, and it and a rollback take a few calls of 0.05 s.
ONE_LOOK = 15 + 0.3

#: By metric and version; version 7 is the original one.
FOUR = (("Invocations", "7"), ("Errors", "7"), ("Invocations", "8"), ("Errors", "8"))

Delays = dict[tuple[str, str], float]

#: The four metrics one after another, in every order, in half a minute or in four minutes.
ORDERS = list(permutations(FOUR))
IN_SECONDS: list[Delays] = [dict(zip(order, (0, 10, 20, 30), strict=True)) for order in ORDERS]
IN_MINUTES: list[Delays] = [dict(zip(order, (0, 80, 160, 240), strict=True)) for order in ORDERS]


def told(delays: Delays) -> str:
    return ", ".join(f"{metric} of {version} {late}" for (metric, version), late in delays.items())


in_every_order = pytest.mark.parametrize("delays", IN_SECONDS + IN_MINUTES, ids=told)
in_every_order_of_seconds = pytest.mark.parametrize("delays", IN_SECONDS, ids=told)


# Whole rollouts.
@in_every_order
def test_an_outage_of_both_versions_rolls_nothing_back_in_any_order_of_publication(
    delays: Delays,
) -> None:
    for seed, lasts in enumerate((20, 60, 180)):
        world = World(seed=seed)
        world.delays = delays
        outage(world, 130 + 100 * seed, lasts)
        assert ended(world, MINUTES) == "SUCCEEDED"
        assert world.history == [*TENTHS, "8"]
        assert world.alias.description == WORDS
        assert world.failed_calls["7"] > 20 and world.failed_calls["8"] > 5


@in_every_order
def test_a_failing_version_is_rolled_back_as_soon_as_a_minute_of_both_is_published(
    delays: Delays,
) -> None:
    world = World(errors={"7": 0.01, "8": 0.5})
    world.delays = delays
    assert ended(world, MINUTES) == "HealthCheckFailed"
    assert world.history == [*TENTHS[: len(world.history) - 1], "7"]
    assert 0 < world.moves[-1][0] - published(world, AT_NOON, *FOUR) <= ONE_LOOK
    assert world.alias.description == WORDS


@pytest.mark.parametrize("delays", [IN_SECONDS[0], IN_SECONDS[-1], IN_MINUTES[-1]], ids=told)
@pytest.mark.parametrize("bad", [False, True])
def test_the_same_in_the_state_machine(delays: Delays, bad: bool) -> None:
    world = World(errors={"8": 0.5 if bad else 0.0})
    world.delays = delays
    if not bad:
        outage(world, 130, 60)
    event = {"function-name": "checkout", "alias-name": "live", "new-version": "8", **MINUTES}
    execution = Machine(world, {**event, "health-check": {"errors": "baseline"}}).run()
    if bad:
        assert execution.status == "FAILED" and world.history[-1] == "7"
        # It waits in whole seconds.
        assert 0 < world.moves[-1][0] - published(world, AT_NOON, *FOUR) <= ONE_LOOK + 1
    else:
        assert execution.status == "SUCCEEDED" and world.history == [*TENTHS, "8"]


@in_every_order_of_seconds
@pytest.mark.parametrize("second", [7, 27, 47])
@pytest.mark.parametrize("errors", ["any", 0.01, "baseline"])
def test_a_failing_version_s_quick_rollout_does_not_settle_on_half_of_the_metrics(
    errors: Any, second: int, delays: Delays
) -> None:
    world = World(errors={"8": 1.0}, starts=AT_NOON.replace(second=second))
    world.delays = delays
    assert ended(world, QUICK, errors) == "HealthCheckFailed"
    assert world.history == [0.2, 0.4, 0.6, 0.8, 1.0, "7"]


@pytest.mark.parametrize("errors", ["any", 0.01, "baseline"])
@in_every_order_of_seconds
def test_a_healthy_quick_rollout_settles_until_its_last_minute_is_published(
    delays: Delays, errors: Any
) -> None:
    world = World()
    needed = FOUR if errors == "baseline" else FOUR[2:]
    world.delays = delays
    assert ended(world, QUICK, errors) == "SUCCEEDED"
    assert world.history == [0.2, 0.4, 0.6, 0.8, 1.0, "8"]
    assert 0 < world.moves[-1][0] - published(world, AT_NOON, *needed) <= ONE_LOOK


def test_it_settles_no_longer_than_it_may_whatever_is_not_published() -> None:
    world = World()
    world.delays = {("Errors", "7"): 240}
    result = world.deploy(**QUICK, health_check={"errors": "baseline"})["rollout"]
    assert world.history == [0.2, 0.4, 0.6, 0.8, 1.0, "8"]
    assert 170 <= world.moves[-1][0] - world.moves[0][0] <= 170 + 0.3
    assert result["checks"]["judged"] is True
    _, warning = result["warnings"]  # the first says how quick it is
    assert warning.startswith("Not compared: ")


@pytest.mark.parametrize("late", [30, 240])
def test_any_error_rolls_back_at_once_whatever_else_is_not_published(late: float) -> None:
    world = World(errors={"8": 0.5})
    world.delays = {metric: late for metric in FOUR if metric != ("Errors", "8")}
    with pytest.raises(HealthCheckFailed, match=r"Version 8 had \d+ errors in 0 invocations;"):
        world.deploy(**MINUTES)
    assert world.history == [0.1, 0.2, "7"]
    assert 0 < world.moves[-1][0] - published(world, AT_NOON, ("Errors", "8")) <= ONE_LOOK


@in_every_order
def test_a_rate_waits_for_the_new_version_alone(delays: Delays) -> None:
    world = World(errors={"8": 0.5})
    world.delays = delays
    assert ended(world, MINUTES, 0.01) == "HealthCheckFailed"
    assert 0 < world.moves[-1][0] - published(world, AT_NOON, *FOUR[2:]) <= ONE_LOOK


@in_every_order
def test_at_full_weight_the_new_version_alone_is_waited_for(delays: Delays) -> None:
    """Weight 1.0 is set at 12:06:07; from 12:07:07 on the new version fails."""
    world = World(budget=2000)
    world.delays = delays
    world.at(420, lambda: world.errors.update({"8": 0.5}))
    assert ended(world, {"weights": [0.5, 1], "interval": 360}) == "HealthCheckFailed"
    assert world.history == [0.5, 1.0, "7"]
    failing = AT_NOON.replace(minute=7)
    assert 0 < world.moves[-1][0] - published(world, failing, *FOUR[2:]) <= ONE_LOOK


def test_where_the_original_is_not_called_a_version_is_judged_after_five_minutes() -> None:
    """It has none from 12:10:07 on, at the second weight; the new version fails from 12:11:07
    on."""
    world = World(budget=3000)
    world.at(660, lambda: world.errors.update({"8": 0.5}))
    assert ended(world, {"weights": [0.5, 0.999999, 1], "interval": 600}) == "HealthCheckFailed"
    assert world.history == [0.5, 0.999999, "7"]
    # Minute 12:11 ended at 12:12.
    assert 0 < world.moves[-1][0] - (12 * 60 - 7 + 300) <= ONE_LOOK


# Counts alone.
#: By version, by the minute's start.
Called = Mapping[str, Mapping[int, Counts]]

NAMES = [f"{metric}_{who}" for who in ("original", "new") for metric in Counts._fields]


#: What is late: the names that hold the word, or any of the four.
KINDS = {
    "invocations_original": "the original's Invocations",
    "errors_original": "the original's Errors",
    "original": "the original's, both",
    "errors": "Errors, both versions'",
    "new": "the new version's, both",
    "any": "each of the four",
}
TRIALS = 250


def test_at_most_one_healthy_release_of_a_hundred_is_rolled_back_in_an_outage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = []
    in_all = 0
    for kind, words in KINDS.items():
        for most in (30, 240):
            users = random.Random(5)
            clouds = random.Random(6)
            back = 0
            for trial in range(TRIALS):
                starts, called = a_rollout(users, (1, 3, 10, 30)[trial % 4], 0.0)
                back += rolled_back(starts, called, lateness(clouds, kind, most))
            low, high = interval(back, TRIALS)
            share = f"{back} of {TRIALS} ({low:.2%} to {high:.2%})"
            lines.append(f"  late by up to {most:3} s, {words}: {share}")
            in_all += back
            assert low <= likelihood.ALPHA
    assert in_all <= likelihood.ALPHA * TRIALS * len(lines)
    with capsys.disabled():
        print(
            f"\nHealthy releases in an outage of both versions: {in_all} rolled back.",
            *lines,
            sep="\n",
        )


def test_with_heavy_traffic_late_publication_rolls_back_no_more_than_prompt(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """There an outage in the minute of a shift can look like the new version's, late or not."""
    users = random.Random(9)
    clouds = random.Random(10)
    promptly = late = 0
    for trial in range(120):
        starts, called = a_rollout(users, 1000, 0.0)
        prompt = rolled_back(starts, called, dict.fromkeys(NAMES, 60.0))
        back = rolled_back(starts, called, lateness(clouds, "any", (30, 240)[trial % 2]))
        assert prompt or not back
        promptly += prompt
        late += back
    with capsys.disabled():
        found = f"{promptly} of 120 rolled back, published late {late}"
        print(f"\nThe same at 1,000 calls a second: {found}", end="")


def test_a_failing_version_is_found_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    users = random.Random(7)
    clouds = random.Random(8)
    for most in (0, 30, 240):
        found = 0
        for _ in range(100):
            starts, called = a_rollout(users, 10, 0.2)
            found += rolled_back(starts, called, lateness(clouds, "any", most))
        with capsys.disabled():
            print(f"\nA version that fails 20 %, late by up to {most} s: {found} of 100", end="")
        assert found >= 95


HOUR = 3600
SOME = Counts(10, 2)


@pytest.mark.parametrize(
    ("newest", "after", "rate", "baseline", "alone"),
    [
        ({}, 299, False, False, False),
        ({}, 300, True, True, True),
        (dict.fromkeys(NAMES, 0), 0, True, True, True),
        (dict.fromkeys(NAMES, 1), 0, True, True, True),
        (dict.fromkeys(NAMES, -1), 0, False, False, False),
        (dict.fromkeys(NAMES[2:], 0), 299, True, False, True),
        (dict.fromkeys(NAMES[2:], 0), 300, True, True, True),
        *(({**dict.fromkeys(NAMES, 1), name: -1}, 0, True, False, True) for name in NAMES[:2]),
        *(({**dict.fromkeys(NAMES, 1), name: -1}, 0, False, False, False) for name in NAMES[2:]),
    ],
)
def test_a_minute_waits_for_each_metric_that_its_test_needs_or_for_five_minutes(
    newest: dict[str, int], after: float, rate: bool, baseline: bool, alone: bool
) -> None:
    """`newest` is counted in minutes from this one, `after` in seconds from its end."""
    at = {name: NOON + MINUTE * minutes for name, minutes in newest.items()}
    look = Look({NOON: SOME}, {NOON: SOME}, newest=at)
    now = NOON + MINUTE + after
    seen = Evidence(weights=[[NOON, 0.5]])
    full = Evidence(weights=[[NOON, 1.0]])
    seen.add(look, now)
    full.add(look, now)
    assert seen.of("tested") == full.of("tested") == (SOME if rate else Counts())
    assert seen.of("reference") == seen.of("weighed") == (SOME if baseline else Counts())
    assert full.of("alone") == full.of("weighed") == (SOME if alone else Counts())
    assert (seen.compared, seen.of("alone"), full.compared) == (baseline, Counts(), False)
    assert seen.of("new") == seen.of("original") == SOME and seen.of_step == SOME.invocations


@pytest.mark.parametrize("stray", [Counts(3, 0), Counts(3, 3), Counts(0, 3)])
def test_stray_calls_to_the_original_at_full_weight_change_no_evidence(
    stray: Counts,
) -> None:
    at_half = Counts(3000, 30)
    at_full = Counts(600, 60)
    newest = dict.fromkeys(NAMES, NOON + MINUTE)
    shifted = NOON + MINUTE
    now = NOON + 2 * MINUTE
    weights = []
    for minutes in ({NOON: at_half}, {NOON: at_half, NOON + MINUTE: stray}):
        seen = Evidence(weights=[[NOON, 0.5], [shifted, 1.0]])
        seen.add(Look(minutes, {NOON: at_half, NOON + MINUTE: at_full}, newest=newest), now)
        assert seen.of("alone") == at_full and seen.of("reference") == at_half
        weights.append(BASELINE.strength(seen))
    assert weights[0] == weights[1] > ENOUGH


COUNTS = st.builds(Counts, st.integers(25, 50), st.integers(0, 25))
STARTS = st.integers(0, 12).map(lambda number: NOON + number * MINUTE)
MINUTE_BY_MINUTE = st.dictionaries(STARTS, COUNTS)
LATENESS = st.fixed_dictionaries({name: st.integers(0, 4 * MINUTE) for name in NAMES})


@settings(derandomize=True, deadline=None, database=None, max_examples=300)
@given(
    st.fixed_dictionaries({"original": MINUTE_BY_MINUTE, "new": MINUTE_BY_MINUTE}),
    LATENESS,
    st.booleans(),
    st.integers(0, 12 * MINUTE),
    st.booleans(),
    st.lists(st.integers(0, 20 * MINUTE), max_size=8),
)
def test_a_minute_takes_part_with_all_that_will_be_published_of_it_or_not_at_all(
    called: Called, late: dict[str, float], zeros: bool, since: int, full: bool, moments: list[int]
) -> None:
    shifted = NOON + since
    for minute in {*called["original"], *called["new"]}:
        final = parts(look_at(called, late, NOON + HOUR, zeros), minute, NOON + HOUR, shifted, full)
        before: list[dict[str, float]] = [{}, {}]
        for now in sorted(NOON + moment for moment in moments):
            found = parts(look_at(called, late, now, zeros), minute, now, shifted, full)
            for part, whole, earlier in zip(found, final, before, strict=True):
                assert part in ({}, whole)
                assert part or not earlier, "what takes part goes on to do so"
                if now >= minute + MINUTE + PATIENCE:
                    assert part == whole
            before = found


# -- what the stories need ------------------------------------------------------------------------


def outage(world: World, since: float, lasts: float) -> None:
    """Both versions fail 30 % of their calls for so long."""
    world.at(since, lambda: world.errors.update({"7": 0.3, "8": 0.3}))
    world.at(since + lasts, lambda: world.errors.update({"7": 0.0, "8": 0.0}))


def ended(world: World, payload: dict[str, Any], errors: Any = "baseline") -> str:
    """How the rollout ended: its status, or the error's name."""
    try:
        result = world.deploy(**payload, health_check={"errors": errors})
        return str(result["rollout"]["status"])
    except DeployError as error:
        return type(error).__name__


def published(world: World, minute: datetime, *metrics: tuple[str, str]) -> float:
    """When all these metrics are published for that minute, in seconds since the start."""
    late = world.delay + max(world.delays.get(metric, 0.0) for metric in metrics)
    return (minute - world.starts).total_seconds() + MINUTE + late


def look_at(called: Called, late: Mapping[str, float], now: float, zeros: bool = True) -> Look:
    """What is published by now; each metric so many seconds after a minute's end.

    A version without calls has no values. `zeros` says whether no errors are a value of 0.
    """
    values: dict[str, dict[int, int]] = {name: {} for name in NAMES}
    for who, minutes in called.items():
        for minute, counts in minutes.items():
            for metric, number in counts._asdict().items():
                over = minute + MINUTE + late[f"{metric}_{who}"] <= now
                if over and counts.invocations and (number or zeros):
                    values[f"{metric}_{who}"][minute] = number
    return Look(
        _counts(values, "original"),
        _counts(values, "new"),
        newest={name: max(minutes) for name, minutes in values.items() if minutes},
    )


def _counts(values: Mapping[str, Mapping[int, int]], who: str) -> dict[int, Counts]:
    calls = values[f"invocations_{who}"]
    errors = values[f"errors_{who}"]
    minutes = sorted({*calls, *errors})
    return {minute: Counts(calls.get(minute, 0), errors.get(minute, 0)) for minute in minutes}


def a_rollout(source: random.Random, rate: int, new_fails: float) -> tuple[int, Called]:
    """When it starts, and what users meet in ten steps of a minute and 120 s more.

    Before the weight of 1.0 there is an outage of both versions, of 20 s to three minutes.
    """
    starts = NOON + source.randrange(60)
    lasts = source.randint(20, 180)
    since = source.randint(0, 540 - lasts)
    sums: dict[str, dict[int, Counts]] = {
        "original": defaultdict(Counts),
        "new": defaultdict(Counts),
    }
    # From one of these seconds to the next nothing changes: no minute, no weight, no outage.
    changes = {since, since + lasts, *range(0, 721, 60)}
    changes |= {second for second in range(720) if (starts + second) % MINUTE == 0}
    for second, until in pairwise(sorted(changes)):
        minute = (starts + second) // MINUTE * MINUTE
        down = 0.3 if since <= second < since + lasts else 0.0
        calls = rate * (until - second)
        new = drawn(source, calls, TENTHS[min(second // 60, 9)])
        old = calls - new
        add(sums["original"], minute, old, drawn(source, old, down))
        add(sums["new"], minute, new, drawn(source, new, max(down, new_fails)))
    return starts, sums


def add(minutes: dict[int, Counts], minute: int, calls: int, errors: int) -> None:
    before = minutes[minute]
    minutes[minute] = Counts(before.invocations + calls, before.errors + errors)


def rolled_back(starts: int, called: Called, late: Mapping[str, float]) -> bool:
    """Whether `baseline` rolls it back in one of its looks."""
    seen = Evidence()
    for second in range(0, 735, 15):
        now = starts + second
        if second % 60 == 0 and second < 600:
            seen.shift(now, (second // 60 + 1) / 10)
        seen.add(look_at(called, late, now), now)
        if BASELINE.strength(seen) >= ENOUGH:
            return True
    return False


def lateness(source: random.Random, kind: str, most: float) -> dict[str, float]:
    """Seconds from a minute's end to its publication, by metric: 60, and more for what is late."""
    late = dict.fromkeys(NAMES, 60.0)
    for name in NAMES:
        if kind in name or kind == "any":
            late[name] += source.uniform(0, most)
    return late


def parts(
    look: Look,
    minute: int,
    now: float,
    shifted: float,
    full: bool,
) -> list[dict[str, float]]:
    """What that minute gives to a rate, and what to `baseline`."""
    original = dict(each for each in look.original.items() if each[0] == minute)
    new = dict(each for each in look.new.items() if each[0] == minute)
    seen = Evidence(weights=[[shifted, 1.0 if full else 0.5]])
    seen.add(Look(original, new, newest=look.newest), now)
    rate = {name: number for name, number in seen.total.items() if name.startswith("tested")}
    prefixes = ("reference", "weighed", "alone", "ratio")
    return [
        rate,
        {name: number for name, number in seen.total.items() if name.startswith(prefixes)},
    ]
