"""From an answer of CloudWatch to counts, from counts to a verdict: whatever they are, nothing is
made up."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.decisions.checks.check import Versions
from deployer.decisions.checks.errors import Errors
from deployer.decisions.evidence import Counts, Evidence, Look, covers
from deployer.decisions.health import OFF, HealthCheck, Status, Verdict
from deployer.decisions.target import Target
from deployer.metrics import Metrics, NotSeen
from world.aws import MINUTE

AT_NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
NOON = round(AT_NOON.timestamp())
#: When every minute of these tests is so old that nothing is waited for any more.
LATER = NOON + 1000 * 60

TARGET = Target("checkout", "live")
VERSIONS = Versions("7", "8")

CHECKS = {
    "any": HealthCheck((Errors(),)),
    "a rate": HealthCheck((Errors(0.01),)),
    "a tiny rate": HealthCheck((Errors(1e-6),)),
    "baseline": HealthCheck((Errors("baseline"),)),
    "errors do not matter": HealthCheck((Errors(False),)),
}


def from_noon(minutes: dict[int, Counts]) -> dict[int, Counts]:
    return {NOON + minute * 60: counts for minute, counts in minutes.items()}


def looked(original: dict[int, Counts], new: dict[int, Counts]) -> Look:
    """A look in which each minute has all its values; by the minute from noon on."""
    newest = {
        f"{metric}_{who}": NOON + max(minutes) * 60
        for who, minutes in (("original", original), ("new", new))
        for metric in Counts._fields
        if minutes
    }
    return Look(from_noon(original), from_noon(new), newest=newest)


def begun() -> Evidence:
    """Of a rollout that has begun at noon, with so small a weight that shares are the observed
    ones."""
    return Evidence(NOON, [[NOON, 0.0]])


def judged(
    new: dict[int, Counts],
    original: dict[int, Counts] | None = None,
    check: HealthCheck = CHECKS["any"],
    now: float = LATER,
) -> Verdict:
    """The verdict on one look; by the minute from noon on."""
    evidence = begun()
    evidence.add(looked(original or {}, new), now)
    return check.judge(evidence, VERSIONS)


def test_any_error_of_the_new_version_fails_and_none_does_not() -> None:
    assert judged({0: Counts(100, 0)}).status is Status.PENDING
    assert judged({0: Counts(100, 0), 1: Counts(1, 1)}).status is Status.FAILED
    assert judged({}, {0: Counts(100, 50)}).status is Status.PENDING


@pytest.mark.parametrize("name", CHECKS)
def test_no_data_is_healthy(name: str) -> None:
    assert judged({}, check=CHECKS[name]).status is Status.PENDING
    assert judged({0: Counts()}, {0: Counts()}, CHECKS[name]).status is Status.PENDING


@pytest.mark.parametrize("name", CHECKS)
def test_healthy_calls_are_healthy_whatever_the_original_does(name: str) -> None:
    for original in (
        {},
        {0: Counts(900, 0)},
        {0: Counts(900, 9)},
        {0: Counts(900, 900)},
        {1: Counts(5, 5)},
    ):
        assert (
            judged({0: Counts(10_000, 0), 1: Counts(7)}, original, CHECKS[name]).status
            is Status.PENDING
        )


def test_the_verdict_tells_both_versions_counts() -> None:
    verdict = judged({0: Counts(100, 5), 1: Counts(100, 0)}, {0: Counts(900, 0)})
    assert verdict.reason == (
        "Version 8 had 5 errors in 200 invocations (2.50%); version 7 had 0 errors in 900 invocations in the same time."
    )
    assert verdict.numbers == {
        "original": {"invocations": 900, "errors": 0},
        "new": {"invocations": 200, "errors": 5},
    }
    assert judged({0: Counts(1, 1)}).reason == (
        "Version 8 had 1 error in 1 invocation (100.00%); version 7 had no published calls in the same time."
    )


def test_a_minute_published_by_half_fails_any_without_a_rate() -> None:
    verdict = judged({0: Counts(0, 3)})
    assert verdict.status is Status.FAILED
    assert "Version 8 had 3 errors in 0 invocations" in verdict.reason
    assert "%" not in verdict.reason


@pytest.mark.parametrize("name", ["a rate", "baseline"])
def test_a_minute_published_by_half_waits_where_errors_are_weighed(name: str) -> None:
    healthy = {0: Counts(900, 0)}
    assert judged({0: Counts(40, 50)}, healthy, CHECKS[name]).status is Status.PENDING
    assert judged({0: Counts(60, 50)}, healthy, CHECKS[name]).status is Status.FAILED


@pytest.mark.parametrize(
    ("minutes", "moment", "now", "covered"),
    [
        ({0: 5}, 0.0, 60.0, True),  # the whole minute after the last shift
        ({0: 5}, 59.0, 60.0, True),  # the minute of the last shift
        ({0: 5}, 60.0, 120.0, False),  # a minute that ended before the last shift
        ({0: 5}, 0.0, 59.0, False),  # a minute that is not over
        ({0: 0}, 0.0, 120.0, False),  # a minute without calls
        ({}, 0.0, 120.0, False),
        ({0: 5, 1: 0, 2: 5}, 61.0, 179.0, False),
        ({0: 5, 1: 0, 2: 5}, 61.0, 180.0, True),
    ],
)
def test_full_weight_is_covered_by_calls_of_a_minute_that_is_over(
    minutes: dict[int, int], moment: float, now: float, covered: bool
) -> None:
    look = Look({}, {NOON + minute * 60: Counts(calls) for minute, calls in minutes.items()})
    assert covers(look, NOON + moment, NOON + now) is covered


# Counts of any size.

SIZES = st.integers(0, 3) | st.integers(0, 10**12)
#: Errors above invocations as well: half-published.
COUNTS = st.builds(Counts, SIZES, st.just(0) | SIZES)
MINUTES = st.dictionaries(st.integers(0, 400), COUNTS, max_size=6)
RATES = st.sampled_from([*CHECKS.values()]) | st.floats(1e-6, 0.999).map(
    lambda rate: HealthCheck((Errors(rate),))
)
ANY_COUNTS = settings(derandomize=True, deadline=None, database=None, max_examples=1000)


def whole(minutes: dict[int, Counts], other: dict[int, Counts]) -> int:
    """Errors in minutes that both versions published as a whole; `other` is the other version's."""
    counts = [(minutes[minute], other.get(minute, Counts())) for minute in minutes]
    return sum(
        ours.errors for ours, theirs in counts if ours[1] <= ours[0] and theirs[1] <= theirs[0]
    )


@ANY_COUNTS
@given(MINUTES, MINUTES, RATES)
def test_no_version_fails_without_an_error_in_what_was_published(
    new: dict[int, Counts], original: dict[int, Counts], check: HealthCheck
) -> None:
    verdict = judged(new, original, check)
    errors = sum(counts.errors for counts in new.values())
    assert verdict.status in (Status.PENDING, Status.FAILED)
    if check == CHECKS["errors do not matter"]:
        assert verdict.status is Status.PENDING
    elif check == CHECKS["any"]:
        assert (verdict.status is Status.FAILED) == (errors > 0)
    elif verdict.status is Status.FAILED:
        # A rate does not ask for the original version.
        assert whole(new, original if check == CHECKS["baseline"] else {}) > 0
    assert "nan" not in verdict.reason and "inf" not in str(verdict.numbers)


@ANY_COUNTS
@given(MINUTES, MINUTES, RATES, st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_looks_one_after_another_say_what_one_look_at_all_says(
    new: dict[int, Counts], original: dict[int, Counts], check: HealthCheck, gaps: list[int]
) -> None:
    """Minutes are published when they are over; older ones are carried along and not asked for
    again."""
    evidence, now = begun(), NOON
    for gap in [*gaps, 500]:
        now += gap * 60
        theirs, ours = (
            {NOON + m * 60: c for m, c in minutes.items() if evidence.since <= NOON + m * 60 < now}
            for minutes in (original, new)
        )
        evidence.add(Look(theirs, ours), now)
    assert now < LATER
    at_once, one_by_one = judged(new, original, check), check.judge(evidence, VERSIONS)
    assert (one_by_one.status, one_by_one.numbers["new"]) == (
        at_once.status,
        at_once.numbers["new"],
    )
    assert evidence.of_step == sum(counts.invocations for counts in new.values())


# Answers of CloudWatch.


class Answering:
    """CloudWatch that gives these answers, one after another."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)

    def get_metric_data(self, **request: Any) -> Any:
        return self._answers.pop(0)


QUERIES = ["invocations_original", "errors_original", "invocations_new", "errors_new"]
STATUS = st.sampled_from(["Complete"] * 6 + ["PartialData", "InternalError", "Forbidden"])
POINTS = st.lists(st.tuples(st.integers(0, 30), SIZES), max_size=6)


def metrics(*answers: Any) -> Metrics:
    return Metrics(Answering(*answers), TARGET, VERSIONS, OFF)


def result(name: str, status: str, points: list[tuple[int, int]]) -> dict[str, Any]:
    moments = [AT_NOON + minute * MINUTE for minute, _ in points]
    return {
        "Id": name,
        "StatusCode": status,
        "Timestamps": moments,
        "Values": [float(value) for _, value in points],
    }


@ANY_COUNTS
@given(st.lists(st.tuples(st.sampled_from(QUERIES), STATUS, POINTS), max_size=6))
def test_any_answer_is_a_look_of_what_it_holds_or_not_seen(
    results: list[tuple[str, str, list[tuple[int, int]]]],
) -> None:
    answer = {"MetricDataResults": [result(*each) for each in results]}
    last = {name: status for name, status, _ in results}
    complete = set(last) == set(QUERIES) and set(last.values()) == {"Complete"}
    try:
        look = metrics(answer).look(NOON, NOON + 1800)
    except NotSeen:
        assert not complete
        return
    assert complete
    held: dict[str, dict[int, int]] = {name: {} for name in QUERIES}
    for name, _, points in results:
        held[name] |= {NOON + minute * 60: value for minute, value in points}
    for who, minutes in (("original", look.original), ("new", look.new)):
        for minute, counts in minutes.items():
            expected = [held[f"{what}_{who}"].get(minute, 0) for what in ("invocations", "errors")]
            assert list(counts) == expected
        assert set(minutes) == {*held[f"invocations_{who}"], *held[f"errors_{who}"]}
    assert look.newest == {name: max(minutes) for name, minutes in held.items() if minutes}


@ANY_COUNTS
@given(MINUTES, MINUTES, RATES, st.integers(), st.booleans())
def test_order_duplicates_and_pages_change_no_verdict(
    new: dict[int, Counts], original: dict[int, Counts], check: HealthCheck, seed: int, paged: bool
) -> None:
    source, results = random.Random(seed), []
    for who, minutes in (("original", original), ("new", new)):
        for place, what in enumerate(("invocations", "errors")):
            points = [(minute, counts[place]) for minute, counts in minutes.items()] * 2
            source.shuffle(points)
            results.append(result(f"{what}_{who}", "Complete", points))
    source.shuffle(results)
    answers: list[dict[str, Any]] = [{"MetricDataResults": results}]
    if paged:
        answers = [
            {"MetricDataResults": results[:2], "NextToken": "more"},
            {"MetricDataResults": results[2:]},
        ]
    evidence = begun()
    evidence.add(metrics(*answers).look(NOON, NOON), NOON)
    assert check.judge(evidence, VERSIONS) == judged(new, original, check, NOON)


def test_a_look_begins_with_the_minute_of_the_first_shift_and_ends_with_this_one() -> None:
    asked: list[Any] = []

    class Asked(Answering):
        def get_metric_data(self, **request: Any) -> Any:
            asked.append(request)
            return super().get_metric_data(**request)

    answer = {"MetricDataResults": [result(name, "Complete", []) for name in QUERIES]}
    Metrics(Asked(answer), TARGET, VERSIONS, OFF).look(NOON + 7.5, NOON + 95.25)
    assert asked[0]["StartTime"] == AT_NOON
    assert AT_NOON + 2 * MINUTE <= asked[0]["EndTime"] == AT_NOON + timedelta(seconds=155.25)
