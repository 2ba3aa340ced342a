"""The anytime-valid tests on counts: what they promise, by simulation and exactly; and how little
traffic suffices."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from math import comb, exp, inf, isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.decisions import likelihood
from deployer.decisions.checks import errors
from deployer.decisions.checks.errors import ENOUGH
from deployer.decisions.errors import HealthCheckFailed
from deployer.decisions.evidence import LATEST, MINUTE, Counts, Evidence, Look
from local.cloud import ROOT
from tests.chance import drawn, interval
from world.world import World

TRIALS = 10_000

#: Calls a minute on the alias: 0.5 to 500 a second. Each has a part of the trials.
TRAFFIC = (30, 300, 3_000, 30_000)


# Healthy versions.
@pytest.mark.parametrize("rate", [0.0, 0.001, 0.01, 0.1])
def test_baseline_rolls_back_at_most_one_healthy_version_of_a_hundred(
    rate: float, capsys: pytest.CaptureFixture[str]
) -> None:
    source = random.Random(4)
    count = sum(
        failed_by_baseline(source, TRAFFIC[trial % len(TRAFFIC)], rate, rate)
        for trial in range(TRIALS)
    )
    assert_at_most_one_percent(f"baseline, both versions fail {rate:.1%}", count, capsys)


@pytest.mark.parametrize("limit", [0.001, 0.01, 0.1])
def test_a_rate_rolls_back_at_most_one_of_a_hundred_versions_that_are_exactly_at_it(
    limit: float, capsys: pytest.CaptureFixture[str]
) -> None:
    source = random.Random(4)
    count = sum(
        failed_by_rate(source, TRAFFIC[trial % len(TRAFFIC)], limit, limit)
        for trial in range(TRIALS)
    )
    assert_at_most_one_percent(f"rate, the version fails its limit of {limit:.1%}", count, capsys)


@pytest.mark.parametrize("seed", range(30))
def test_the_simulation_weighs_as_the_verdict_does(seed: int) -> None:
    source = random.Random(seed)
    test = Baseline()
    seen = Evidence(weights=[[0, 0.0]])  # then the share is the observed one
    check = errors.Errors("baseline")
    for number, (original, new) in enumerate(minutes(source, 300, 0.02, 0.05)):
        minute = number * MINUTE
        weight = test.weighed(original, new)
        # So late that the minute is carried along, and looked at once only.
        seen.add(Look({minute: original}, {minute: new}), minute + MINUTE + LATEST)
        assert check.strength(seen) == pytest.approx(weight)


# Failing versions.
@pytest.mark.parametrize(
    ("calls", "original", "new"),
    [
        *(
            (6000, 0.01, 0.02),
            (600, 0.01, 0.05),
            (600, 0.0, 0.05),
            (60_000, 0.001, 0.002),
            (300, 0.02, 0.4),
        ),
        *((600, 0.1, 0.3), (600, 0.5, 1.0)),
    ],
)
def test_a_version_that_fails_several_times_as_often_is_found_by_baseline(
    calls: int, original: float, new: float
) -> None:
    found = sum(
        failed_by_baseline(random.Random(seed), calls, original, new) for seed in range(100)
    )
    assert found >= 95


@pytest.mark.parametrize(
    ("calls", "limit", "new"), [(6000, 0.01, 0.02), (600, 0.01, 0.05), (300, 0.05, 0.3)]
)
def test_a_version_that_fails_several_times_its_limit_is_found_by_the_rate(
    calls: int, limit: float, new: float
) -> None:
    assert sum(failed_by_rate(random.Random(seed), calls, limit, new) for seed in range(100)) >= 95


def test_a_fix_is_never_rolled_back() -> None:
    assert not any(failed_by_baseline(random.Random(seed), 600, 0.1, 0.0) for seed in range(300))


CALLS = st.integers(0, 20) | st.integers(0, 10**12)

#: For sums of products of floats.
ALMOST = 1 + 1e-9
EXACT = settings(derandomize=True, deadline=None, database=None, max_examples=300)


# Exactly.
@EXACT
@given(st.integers(0, 30), st.floats(0.001, 0.999))
def test_the_evidence_of_a_healthy_version_averages_to_at_most_one(
    errors: int, share: float
) -> None:
    mean = sum(
        comb(errors, new)
        * share**new
        * (1 - share) ** (errors - new)
        * e_value(share, new, errors - new)
        for new in range(errors + 1)
    )
    assert 0 < mean <= ALMOST


@EXACT
@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_the_same_where_the_calls_that_fail_are_drawn_without_putting_back(
    ours: int, theirs: int, data: st.DataObject
) -> None:
    errors = data.draw(st.integers(0, ours + theirs))
    mean = sum(
        comb(ours, new)
        * comb(theirs, errors - new)
        / comb(ours + theirs, errors)
        * e_value(ours / (ours + theirs), new, errors - new)
        for new in range(max(0, errors - theirs), min(ours, errors) + 1)
    )
    assert 0 < mean <= ALMOST


@EXACT
@given(st.floats(0.001, 0.99), st.integers(0, 60))
def test_the_evidence_of_a_version_at_its_limit_averages_to_at_most_one(
    limit: float, calls: int
) -> None:
    mean = sum(
        comb(calls, errors)
        * limit**errors
        * (1 - limit) ** (calls - errors)
        * exp(likelihood.rate(limit, invocations=calls, errors=errors))
        for errors in range(calls + 1)
    )
    assert 0 < mean <= ALMOST


@EXACT
@given(st.integers(1, 60), st.floats(0.001, 0.999))
def test_the_highest_rate_is_passed_by_the_true_one_in_at_most_one_of_a_hundred(
    calls: int, rate: float
) -> None:
    passed = sum(
        comb(calls, errors) * rate**errors * (1 - rate) ** (calls - errors)
        for errors in range(calls + 1)
        if likelihood.highest_rate(invocations=calls, errors=errors) < rate
    )
    assert passed <= likelihood.ALPHA * ALMOST


@EXACT
@given(st.integers(1, 10**12), st.floats(0, 1))
def test_the_highest_rate_is_never_below_the_observed_one_and_falls_with_more_calls(
    calls: int, share: float
) -> None:
    errors = round(calls * share)
    highest = likelihood.highest_rate(invocations=calls, errors=errors)
    assert errors / calls <= highest <= 1
    falls = highest * (1 + 1e-6)  # but for rounding
    assert likelihood.highest_rate(invocations=2 * calls, errors=2 * errors) <= falls
    assert likelihood.highest_rate(invocations=calls + 1, errors=errors) <= falls


@pytest.mark.parametrize("calls", [1, 2, 10, 1000, 10**6])
def test_the_highest_rate_without_errors_is_the_exact_one(calls: int) -> None:
    assert likelihood.highest_rate(invocations=calls, errors=0) == pytest.approx(
        1 - 0.01 ** (1 / calls)
    )
    assert likelihood.highest_rate(invocations=calls, errors=calls) == 1
    assert likelihood.highest_rate(invocations=0, errors=0) == 1


@EXACT
@given(st.tuples(CALLS, CALLS), st.tuples(CALLS, CALLS), st.floats(1e-6, 0.999))
def test_counts_of_any_size_overflow_nothing(
    first: tuple[int, int], second: tuple[int, int], limit: float
) -> None:
    ours, new = sorted(first)
    theirs, old = sorted(second)
    new = max(1, new)
    old = max(1, old)
    share = new / (new + old)
    parts = [likelihood.of_minute(ratio, share, ours, theirs) for ratio in likelihood.RATIOS]
    highest = likelihood.highest_rate(invocations=old, errors=theirs)
    weights = [
        likelihood.baseline(parts),
        likelihood.rate(limit, invocations=new, errors=ours),
        highest,
    ]
    assert all(isfinite(weight) for weight in weights)
    if not ours:
        assert max(weights[:2]) <= 1e-9  # without an error there is no evidence


# How little traffic suffices, in whole rollouts.
def test_the_docs_tell_the_smallest_traffic_at_which_a_failing_version_is_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = smallest_traffic()
    with capsys.disabled():
        print("", table, sep="\n")
    assert " inf " not in table
    docs = ROOT / "docs" / "health-checks.md"
    if docs.exists():
        assert table in docs.read_text()


# -- what the stories need ------------------------------------------------------------------------

#: Ten weights of a minute each.
WEIGHTS = [step / 10 for step in range(1, 11)]

#: A minute's calls of the original and of the new version.
Pair = tuple[Counts, Counts]


def minutes(source: random.Random, calls: int, original: float, new: float) -> Iterator[Pair]:
    """A rollout of ten minutes; both versions fail with their rate."""
    for weight in WEIGHTS:
        ours = calls if weight == 1 else drawn(source, calls, weight)
        theirs = calls - ours
        yield (
            Counts(theirs, drawn(source, theirs, original)),
            Counts(ours, drawn(source, ours, new)),
        )


class Baseline:
    """`baseline` as `health.evidence` has it, quick: a minute's numbers are reckoned only when it
    comes."""

    def __init__(self) -> None:
        self._parts = [0.0] * len(likelihood.RATIOS)
        self._reference = [0, 0]
        self._alone = [0, 0]

    def weighed(self, original: Counts, new: Counts) -> float:
        for sums, counts in (
            (self._reference, original),
            (self._alone, () if original.invocations else new),
        ):
            for place, number in enumerate(counts):
                sums[place] += number
        if original.invocations and new.invocations and (original.errors or new.errors):
            share = new.invocations / (original.invocations + new.invocations)
            for place, ratio in enumerate(likelihood.RATIOS):
                self._parts[place] += likelihood.of_minute(
                    ratio, share, new.errors, original.errors
                )
        return max(likelihood.baseline(self._parts), self._guard())

    def _guard(self) -> float:
        if not self._alone[0]:
            return 0.0
        limit = 2 * likelihood.highest_rate(
            invocations=self._reference[0], errors=self._reference[1]
        )
        if limit >= 1:
            return 0.0
        return likelihood.rate(limit, invocations=self._alone[0], errors=self._alone[1])


def failed_by_baseline(source: random.Random, calls: int, original: float, new: float) -> bool:
    """Whether a rollout is rolled back that is looked at after every minute."""
    test = Baseline()
    return any(test.weighed(*pair) >= ENOUGH for pair in minutes(source, calls, original, new))


def failed_by_rate(source: random.Random, calls: int, limit: float, new: float) -> bool:
    invocations = errors = 0
    for weight in WEIGHTS:
        ours = drawn(source, calls, weight) if weight < 1 else calls
        invocations += ours
        errors += drawn(source, ours, new)
        if likelihood.rate(limit, invocations=invocations, errors=errors) >= ENOUGH:
            return True
    return False


def assert_at_most_one_percent(what: str, count: int, capsys: pytest.CaptureFixture[str]) -> None:
    low, high = interval(count, TRIALS)
    with capsys.disabled():
        print(
            f"\n{what}: {count} of {TRIALS:,} rolled back, {count / TRIALS:.2%} ({low:.2%} to {high:.2%})",
            end="",
        )
    assert low <= likelihood.ALPHA


def e_value(share: float, new_errors: int, original_errors: int) -> float:
    """Of one minute."""
    parts = [
        likelihood.of_minute(ratio, share, new_errors, original_errors)
        for ratio in likelihood.RATIOS
    ]
    return exp(likelihood.baseline(parts))


#: Calls a second on the alias.
LEVELS = [digit * 10.0**power for power in (-3, -2, -1, 0) for digit in (1, 1.5, 2, 3, 5, 7)]
NEEDED = 95
OF = 100


def found(check: str, rate: float, traffic: float, seed: int) -> bool:
    """Whether a rollout of 10 × 60 s is rolled back; minutes are published 60 s after their end."""
    starts = datetime(2026, 1, 5, 12, 0, seed * 7 % 60, tzinfo=UTC)
    world = World(rate=traffic, errors={"8": rate}, delay=60, seed=seed, starts=starts)
    try:
        world.deploy(steps=10, interval=60, health_check={"errors": check})
    except HealthCheckFailed:
        return True
    return False


def suffices(check: str, rate: float, traffic: float) -> bool:
    missed = 0
    for seed in range(OF):
        missed += not found(check, rate, traffic, seed)
        if missed > OF - NEEDED:
            return False
    return True


@cache
def smallest_traffic() -> str:
    """As a table: the smallest of LEVELS at which 95 of 100 failing versions are found, by check
    and error rate."""
    rows = [
        "| `errors` | fails 5 % of its calls | fails 50 % of its calls |",
        "| --- | --- | --- |",
    ]
    for check in ("any", "baseline"):
        least = [next((f for f in LEVELS if suffices(check, rate, f)), inf) for rate in (0.05, 0.5)]
        rows.append(
            f'| `"{check}"` | ' + " | ".join(f"{each:g} calls a second" for each in least) + " |"
        )
    return "\n".join(rows)
