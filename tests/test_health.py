"""What the looks find: errors as CloudWatch publishes them, late; compared with the sample; and
looks that fail."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from deployer.decisions.errors import (
    HealthCheckFailed,
    HealthCheckInconclusive,
    InvalidRollout,
    RolloutInterrupted,
)
from local.cloud import ROOT
from tests.beginnings import beside_quick
from world import sample
from world.aws import MINUTE, WORDS
from world.cloudwatch import FakeCloudWatch
from world.world import FakeClients, World

#: A look comes every 15 s, and it and a rollback take a few calls of 0.05 s.
ONE_LOOK = 15 + 0.3

#: Twenty places within the minute to start from, each with its own draw of users' calls.
STARTS = [
    (seed, datetime(2026, 1, 5, 12, 0, 3 * seed, 500_000 * (seed % 2), tzinfo=UTC))
    for seed in range(20)
]

AT_NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)

Answer = dict[str, Any]


def told(answer: Answer, status: str) -> Answer:
    return {
        "MetricDataResults": [
            {**result, "StatusCode": status} for result in answer["MetricDataResults"]
        ]
    }


# Errors, as they are published.
@pytest.mark.parametrize(("seed", "starts"), STARTS)
def test_a_failing_version_is_rolled_back_within_one_look_of_its_first_published_error(
    seed: int, starts: datetime
) -> None:
    world = World(errors={"8": 0.05}, delay=60, seed=seed, starts=starts)
    with pytest.raises(
        HealthCheckFailed, match=r"Version 8 had .* error.*; version 7 had 0 errors"
    ) as failed:
        world.deploy(steps=10, interval=60)
    assert world.history in ([0.1, 0.2, "7"], [0.1, 0.2, 0.3, "7"], [0.1, 0.2, 0.3, 0.4, "7"])
    assert 0 < world.moves[-1][0] - first_published_error(world) <= ONE_LOOK
    assert world.alias.description == WORDS
    assert str(failed.value).endswith("Alias 'live' of 'checkout' is on version 7.")


@pytest.mark.parametrize(("seed", "starts"), STARTS)
def test_a_quick_rollout_of_a_version_failing_every_call_is_rolled_back_in_settling(
    seed: int, starts: datetime
) -> None:
    world = World(errors={"8": 1.0}, delay=60, seed=seed, starts=starts)
    with pytest.raises(HealthCheckFailed):
        world.deploy(steps=5, interval=10)
    assert world.history == [0.2, 0.4, 0.6, 0.8, 1.0, "7"]
    first = world.moves[0][0]
    back = world.moves[-1][0]
    assert first + 50 < back < first + 50 + 120
    assert 0 < back - first_published_error(world) <= ONE_LOOK


def test_errors_at_the_third_weight_roll_the_alias_back() -> None:
    world = World()
    world.at(125, lambda: world.errors.update({"8": 0.5}))
    with pytest.raises(HealthCheckFailed):
        world.deploy(steps=10, interval=60)
    assert world.history == [0.1, 0.2, 0.3, 0.4, "7"]
    assert 0 < world.moves[-1][0] - first_published_error(world) <= ONE_LOOK


@pytest.mark.parametrize("delay", [0, 5, 30, 60, 90, 115])
def test_one_error_in_the_whole_rollout_rolls_back_however_late_it_is_published(
    delay: float,
) -> None:
    world = World(delay=delay)

    def one_error() -> None:
        world.counts["8", world.now().replace(second=0, microsecond=0)][1] += 1

    world.at(33, one_error)
    with pytest.raises(HealthCheckFailed, match="Version 8 had 1 error in "):
        world.deploy(steps=10, interval=60)
    assert world.history[-1] == "7"
    assert 0 < world.moves[-1][0] - first_published_error(world) <= ONE_LOOK


def test_errors_of_the_original_version_do_not_stop_its_replacement() -> None:
    world = World(errors={"7": 0.3})
    checks = world.deploy(steps=5, interval=60)["rollout"]["checks"]
    assert world.history == [0.2, 0.4, 0.6, 0.8, 1.0, "8"]
    assert checks["original"]["errors"] > 100 and checks["new"]["errors"] == 0


def test_errors_before_the_minute_of_the_first_shift_do_not_count() -> None:
    world = World()
    for minutes in (1, 2, 30):
        world.counts["8", AT_NOON - minutes * MINUTE] = [50, 50]
    result = world.deploy(steps=3, interval=30)
    assert world.history == [0.33, 0.67, 1.0, "8"]
    assert result["rollout"]["checks"]["new"]["errors"] == 0


PAGE = (ROOT / "docs" / "health-checks.md").read_text()


# The sample's rule, in the same world.
@pytest.mark.parametrize(("steps", "interval", "rate"), [(10, 60, 0.05), (5, 10, 1.0)])
def test_the_sample_s_rule_lets_through_what_ours_rolls_back(
    steps: int, interval: float, rate: float, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = []
    for name, deployer in (("this deployer", ours), ("the sample's rule", theirs)):
        ended = set()
        ends = []
        failed = []
        for seed, starts in STARTS:
            world = World(errors={"8": rate}, delay=60, seed=seed, starts=starts)
            deployer(world, steps, interval)
            ended.add((world.alias.version, bool(world.alias.routing)))
            ends.append(world.moves[-1][0] - world.moves[0][0])
            # As long as the longer of the two: after it, the sample's users go on with the failing
            # version.
            world.advance(900 - world.time)
            failed.append(world.failed_calls["8"])
        assert ended == {("7" if deployer is ours else "8", False)}
        mean = sum(failed) / len(failed)
        least = min(failed)
        most = max(failed)
        assert f"{mean:,.0f} failed calls" in PAGE
        if deployer is ours:
            assert f"{min(ends):.0f} to {max(ends):.0f} s" in PAGE
        lines.append(
            f"  {name:18} ends on version {ended.pop()[0]} after {min(ends):3.0f} to {max(ends):3.0f} s; "
            f"users' failed calls in 15 minutes: {least} to {most}, {mean:.0f} on average"
        )
    with capsys.disabled():
        print(
            f"\n{steps} x {interval:g} s, version 8 fails {rate:.0%} of its calls, 10 calls a second, "
            f"minutes published 60 s after they end, {len(STARTS)} starts:",
            *lines,
            sep="\n",
        )


def test_the_model_of_the_sample_is_fair_where_metrics_are_published_at_once() -> None:
    world = World(errors={"8": 0.05}, delay=0)
    with pytest.raises(sample.SampleHealthCheckFailed):
        sample.deploy(world, sample.linear(10), 60)
    assert world.history[-1] == "7"
    healthy = World(delay=0)
    sample.deploy(healthy, sample.linear(10), 60)
    assert healthy.history == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, "8"]


# Nothing to look at.
def test_without_traffic_it_succeeds_unjudged_and_says_so() -> None:
    world = World(rate=0)
    told = world.deploy(steps=3, interval=30)["rollout"]
    assert world.history == [0.33, 0.67, 1.0, "8"]
    assert (told["status"], told["checks"]["judged"]) == ("SUCCEEDED", False)
    (warning,) = beside_quick(told)
    assert "Not judged at full weight" in warning and "quicker than CloudWatch" in warning
    first = world.moves[0][0]
    ended = world.moves[-1][0]
    assert first + 90 + 120 <= ended <= first + 90 + 121


def test_a_rollout_slower_than_cloudwatch_asks_whether_anything_calls_the_alias() -> None:
    told = World(rate=0).deploy(steps=3, interval=60)["rollout"]
    (warning,) = told["warnings"]
    assert "Not judged at full weight" in warning and "Does anything call this alias?" in warning


def test_metrics_that_come_later_than_the_settling_lasts_leave_it_unjudged() -> None:
    world = World(delay=300)
    told = world.deploy(steps=3, interval=30)["rollout"]
    assert (told["status"], told["checks"]["judged"], len(beside_quick(told))) == (
        "SUCCEEDED",
        False,
        1,
    )


def test_traffic_that_is_judged_leaves_no_warning() -> None:
    told = World().deploy(steps=3, interval=30)["rollout"]
    assert (told["checks"]["judged"], beside_quick(told)) == (True, [])


def test_health_check_false_promotes_whatever_happens_and_says_so() -> None:
    world = World(errors={"8": 1.0})
    told = world.deploy(steps=3, interval=30, health_check=False)["rollout"]
    assert world.history == [0.33, 0.67, 1.0, "8"]
    assert told["warnings"] == ["The health check was switched off."]
    assert told["checks"]["judged"] is False
    assert "GetMetricData" not in world.calls


# Looks that cannot be made.
UNSEEN: dict[str, Callable[[Answer], Answer]] = {
    "PartialData": lambda answer: told(answer, "PartialData"),
    "InternalError": lambda answer: told(answer, "InternalError"),
    "a missing result": lambda answer: {"MetricDataResults": answer["MetricDataResults"][:-1]},
    "no results": lambda answer: {"MetricDataResults": []},
    "endless pages": lambda answer: {**answer, "NextToken": "more"},
}


@pytest.mark.parametrize("kind", UNSEEN)
def test_a_look_that_could_not_be_made_says_nothing_and_is_made_again(kind: str) -> None:
    world = World()
    pages = 5 if kind == "endless pages" else 1
    unseen = range(2, 2 + 2 * pages)  # two looks of the first step's four
    result = deploy(
        world,
        lambda number, answer: UNSEEN[kind](answer) if number in unseen else answer,
        steps=2,
        interval=60,
    )
    assert world.history == [0.5, 1.0, "8"]
    assert result["rollout"]["status"] == "SUCCEEDED"
    assert result["rollout"]["checks"]["unseen"] == 2


@pytest.mark.parametrize("kind", UNSEEN)
def test_a_step_without_one_good_look_is_inconclusive_and_rolled_back(kind: str) -> None:
    world = World()
    with pytest.raises(HealthCheckInconclusive, match="no look could be made") as inconclusive:
        deploy(
            world,
            lambda n, answer: UNSEEN[kind](answer) if world.time > 61 else answer,
            steps=4,
            interval=60,
        )
    assert world.history == [0.25, 0.5, "7"]
    assert world.alias.description == WORDS
    assert str(inconclusive.value).endswith("is on version 7.")


def test_settling_without_one_good_look_is_inconclusive_and_rolled_back() -> None:
    world = World()
    with pytest.raises(HealthCheckInconclusive, match="no look could be made"):
        deploy(world, dark(world, 31, 900), steps=3, interval=10)
    assert world.history == [0.33, 0.67, 1.0, "7"]


def test_settling_that_ends_in_the_dark_is_inconclusive() -> None:
    world = World(rate=0)
    with pytest.raises(HealthCheckInconclusive, match="no look could be made"):
        deploy(world, dark(world, 145, 900), steps=3, interval=10)
    assert world.history == [0.33, 0.67, 1.0, "7"]


def test_settling_goes_on_past_looks_that_could_not_be_made() -> None:
    world = World()
    checks = deploy(world, dark(world, 31, 60), steps=3, interval=10)["rollout"]["checks"]
    assert world.history == [0.33, 0.67, 1.0, "8"]
    assert checks["judged"] is True and checks["unseen"] > 0


@pytest.mark.parametrize("fault", ["throttled", "broken", "lost", "unsent", "denied"])
def test_a_getmetricdata_that_fails_during_a_step_is_not_a_failed_check(fault: str) -> None:
    world = World()
    world.faults = {"GetMetricData 2": fault}
    checks = world.deploy(steps=2, interval=60)["rollout"]["checks"]
    assert world.history == [0.5, 1.0, "8"]
    assert checks["unseen"] == 1


def test_an_error_in_an_incomplete_answer_is_found_by_the_next_look() -> None:
    world = World(errors={"8": 1.0})
    with pytest.raises(HealthCheckFailed):
        deploy(
            world,
            lambda n, answer: told(answer, "PartialData") if n % 2 else answer,
            steps=10,
            interval=60,
        )
    assert 0 < world.moves[-1][0] - first_published_error(world) <= 2 * ONE_LOOK


def test_forbidden_at_the_first_look_refuses_the_rollout() -> None:
    world = World()
    with pytest.raises(
        InvalidRollout, match=r"CloudWatch could not be read: allow .* cloudwatch:GetMetricData"
    ):
        deploy(world, lambda number, answer: told(answer, "Forbidden"), steps=2, interval=60)
    assert world.writes == 0 and world.calls.count("GetMetricData") == 1


def test_access_denied_at_the_first_look_refuses_the_rollout_in_aws_s_words() -> None:
    world = World()
    world.faults = {"GetMetricData": "denied"}
    with pytest.raises(
        InvalidRollout, match=r"AccessDenied.*: User is not authorized to perform this action"
    ):
        world.deploy(steps=2, interval=60)
    assert world.calls == ["GetAlias", "GetFunctionConfiguration", "GetMetricData"]


def test_a_cloudwatch_that_is_down_before_the_start_leaves_the_alias_untouched() -> None:
    world = World()
    with pytest.raises(
        RolloutInterrupted, match="CloudWatch could not be read before the start"
    ) as interrupted:
        deploy(world, lambda number, answer: told(answer, "InternalError"), steps=2, interval=60)
    assert world.writes == 0
    assert str(interrupted.value).endswith("is on version 7.")


# Answers in pieces.
@pytest.mark.parametrize("repeated", [False, True])
def test_an_answer_in_pages_is_put_together_and_nothing_is_counted_twice(repeated: bool) -> None:
    plain = World(errors={"7": 0.1})
    paged = World(errors={"7": 0.1}, latency=0.05)
    expected = plain.deploy(steps=3, interval=60)["rollout"]["checks"]
    result = deploy(paged, in_two_pages(paged, repeated), steps=3, interval=60)["rollout"]
    assert result["status"] == "SUCCEEDED"
    assert (result["checks"]["looks"], result["checks"]["unseen"]) == (expected["looks"], 0)
    for version, who in (("7", "original"), ("8", "new")):
        # Nothing is counted twice: no more than was published, minute by minute.
        counted = [
            counts
            for (v, minute), counts in paged.counts.items()
            if v == version and paged.published(minute)
        ]
        assert result["checks"][who] == {
            "version": version,
            "invocations": sum(invocations for invocations, _ in counted),
            "errors": sum(errors for _, errors in counted),
        }


def test_an_error_on_the_second_page_is_found() -> None:
    world = World(errors={"8": 0.2})
    with pytest.raises(HealthCheckFailed):
        deploy(world, in_two_pages(world, False), steps=10, interval=60)
    assert world.history[-1] == "7"


def test_a_page_is_asked_for_with_the_token_of_the_page_before() -> None:
    world = World()
    cloudwatch = AlteredCloudWatch(world, in_two_pages(world, False))
    event = {
        "function-name": "checkout",
        "alias-name": "live",
        "new-version": "8",
        "steps": 1,
        "interval": 60,
    }
    invoke(world, event, cloudwatch)
    assert [request.get("NextToken") for request in cloudwatch.asked[:4]] == [
        None,
        "second page",
    ] * 2


# -- what the stories need ------------------------------------------------------------------------


def first_published_error(world: World) -> float:
    """When the first minute in which version 8 failed was published, in seconds since the start."""
    minute = min(
        minute
        for (version, minute), (_, errors) in world.counts.items()
        if version == "8" and errors
    )
    return (minute + MINUTE - world.starts).total_seconds() + world.delay


class AlteredCloudWatch(FakeCloudWatch):
    """CloudWatch whose answers are changed on their way: `alter` gets the question's number, from
    0, and it."""

    def __init__(self, world: World, alter: Callable[[int, Answer], Answer]) -> None:
        super().__init__(world)
        self._alter = alter
        self.asked: list[Answer] = []

    def get_metric_data(self, **request: Any) -> Answer:
        self.asked.append(request)
        return self._alter(len(self.asked) - 1, super().get_metric_data(**request))


def deploy(world: World, alter: Callable[[int, Answer], Answer], **payload: Any) -> Answer:
    """A rollout that sees altered answers."""
    event = {"function-name": "checkout", "alias-name": "live", "new-version": "8", **payload}
    return invoke(world, event, AlteredCloudWatch(world, alter))


def invoke(world: World, event: Answer, cloudwatch: Any) -> Answer:
    return world.invoke(event, clients=FakeClients(world, cloudwatch=cloudwatch))


def ours(world: World, steps: int, interval: float) -> None:
    with pytest.raises(HealthCheckFailed):
        world.deploy(steps=steps, interval=interval)


def theirs(world: World, steps: int, interval: float) -> None:
    sample.deploy(world, sample.linear(steps), interval)


def dark(world: World, since: float, until: float) -> Callable[[int, Answer], Answer]:
    """CloudWatch answers with a part only, between two times."""
    return lambda number, answer: (
        told(answer, "PartialData") if since < world.time < until else answer
    )


def in_two_pages(world: World, repeated: bool) -> Callable[[int, Answer], Answer]:
    """Even questions get the newest minute only and a token, odd ones the rest, or all of it
    again."""

    def alter(number: int, answer: Answer) -> Answer:
        first = number % 2 == 0
        results = []
        for result in answer["MetricDataResults"]:
            part = slice(0, 1) if first else slice(0 if repeated else 1, None)
            pieces = {"Timestamps": result["Timestamps"][part], "Values": result["Values"][part]}
            results.append(
                {**result, **pieces, "StatusCode": "PartialData" if first else "Complete"}
            )
        return {"MetricDataResults": results, **({"NextToken": "second page"} if first else {})}

    return alter
