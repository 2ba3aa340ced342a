"""DeployStateMachine where it differs from the loop: long rollouts, tasks run twice, errors of AWS
itself."""

from functools import partial
from typing import Any

import pytest

from local.cloud import ROOT
from tests.test_health import AlteredCloudWatch
from world.aws import WORDS
from world.execution import Failed
from world.machine import Machine
from world.world import FakeClients, World

DAY = 86_400
GOOD = {"function-name": "checkout", "alias-name": "live", "new-version": "8"}
#: What Step Functions gives is 25,000 events and 256 KiB; retries and a rollback must still fit.
MOST_EVENTS, MOST_BYTES = 20_000, 128 * 1024

LONG = {
    "10 × 120 s": {"steps": 10, "interval": 120},
    "24 × 1 h": {"steps": 24, "interval": 3600},
    "360 × 1 day": {"steps": 360, "interval": DAY},
    "12 × 30 days": {"steps": 12, "interval": 30 * DAY},
    "1000 × 60 s": {"steps": 1000, "interval": 60},
    "1 × 364 days": {"steps": 1, "interval": 364 * DAY},
}


def _executed(payload: dict[str, Any]) -> tuple[World, Any]:
    world = World(rate=0.0)
    return world, Machine(world, {**GOOD, **payload}).run()


@pytest.mark.parametrize("name", LONG)
def test_a_long_rollout_stays_within_the_limits_and_the_docs_tell_its_longest_gap(
    name: str,
) -> None:
    payload = LONG[name]
    world, execution = _executed(payload)
    assert execution.status == "SUCCEEDED"
    assert len(execution.events) < MOST_EVENTS
    assert execution.largest < MOST_BYTES
    length = payload["steps"] * payload["interval"]
    assert length <= world.time <= length * 1.01 + 130 + payload["steps"]
    looked = [moment for moment in world.looked[1:] if moment <= length]
    gap = max(later - earlier for earlier, later in zip([0.0, *looked], looked, strict=False))
    size = f"{execution.largest / 1024:.0f} KiB"
    row = f"| {name} | {len(execution.events):,} | {size} | {len(looked):,} | {_length(gap)} |"
    print(row)
    assert row in (ROOT / "docs" / "state-machine.md").read_text()


def _length(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


def test_a_look_of_a_year_s_rollout_asks_for_few_data_points() -> None:
    """With four queries of its own and eleven limits; CloudWatch answers at most 100,800 data
    points a request."""
    world = World(rate=0.0)
    cloudwatch = AlteredCloudWatch(world, lambda number, answer: answer)
    limit = {"namespace": "Shop", "name": "Failures", "dimensions": {}, "stat": "Sum", "above": 3}
    payload = {
        **GOOD,
        "weights": [0.5, 1],
        "interval": 182 * DAY,
        "health-check": {"metrics": [limit] * 11},
    }

    class Asking(Machine):
        def _clients(self) -> FakeClients:
            return FakeClients(world, cloudwatch=cloudwatch, budget=120)

    assert Asking(world, payload).run().status == "SUCCEEDED"
    assert world.history == [0.5, 1.0, "8"] and world.time > 364 * DAY
    points = [
        len(request["MetricDataQueries"])
        * (request["EndTime"] - request["StartTime"]).total_seconds()
        / 60
        for request in cloudwatch.asked
    ]
    assert len(cloudwatch.asked[0]["MetricDataQueries"]) == 15
    assert max(points) < 100_800 / 10


@pytest.mark.parametrize(
    ("checks", "ends"),
    [
        ({"settle": 3600, "every": 1}, "8"),
        ({"hold": 7200, "min-invocations": 1, "every": 1, "settle": 3600}, "7"),
    ],
)
def test_long_settling_and_holding_stay_within_the_limits(
    checks: dict[str, Any], ends: str
) -> None:
    world, execution = _executed({"steps": 2, "interval": 60, "health-check": checks})
    assert len(execution.events) < MOST_EVENTS and execution.largest < MOST_BYTES
    assert (world.alias.version, world.alias.routing) == (ends, {})


#: As long as they may be; a look's reason tells of each.
NAMES = [f"{number:03}{'x' * 252}" for number in range(100)]


def test_the_longest_names_of_alarms_stay_within_the_limits() -> None:
    world = World(rate=0.0)
    world.alarms = dict.fromkeys(NAMES, "ALARM")
    payload = {**GOOD, "steps": 2, "interval": 60, "health-check": {"alarms": NAMES}}
    execution = Machine(world, payload).run()
    assert execution.status == "SUCCEEDED" and execution.largest < MOST_BYTES


def test_a_reason_that_tells_of_many_alarms_is_no_longer_than_step_functions_takes_it() -> None:
    """world/execution.py is as strict with the cause as AWS."""
    world = World(errors={"8": 1.0})
    world.alarms = dict.fromkeys(NAMES, "ALARM")
    payload = {**GOOD, "steps": 2, "interval": 60, "health-check": {"alarms": NAMES}}
    execution = Machine(world, payload).run()
    assert execution.error == "HealthCheckFailed" and world.history[-1] == "7"


def test_the_longest_payload_stays_within_the_limits() -> None:
    weights = [(number + 0.123456789012345) / 1001 for number in range(999)] + [1]
    world, execution = _executed({"weights": weights, "interval": 0})
    assert execution.status == "SUCCEEDED" and len(world.moves) == 1001
    assert len(execution.events) < MOST_EVENTS and execution.largest < MOST_BYTES


def test_what_looks_far_apart_says_so_in_the_warnings() -> None:
    _, execution = _executed(LONG["360 × 1 day"])
    assert "looks come up to 21600 s apart" in execution.output["rollout"]["warnings"][0]


def test_longer_than_364_days_is_refused_with_the_most_that_would_fit() -> None:
    world, execution = _executed({"steps": 13, "interval": 30 * DAY})
    assert execution.error == "RolloutTooLong"
    assert (
        execution.cause
        and "an interval of 2419200 s" in execution.cause
        and "12 times" in execution.cause
    )
    assert world.writes == 0


def test_a_bad_version_is_rolled_back_in_the_middle_of_a_long_interval() -> None:
    world = World(rate=1.0)
    world.at(5000, lambda: world.errors.update({"8": 0.5}))
    execution = Machine(world, {**GOOD, "steps": 2, "interval": 40_000}).run()
    assert execution.error == "HealthCheckFailed"
    assert world.history == [0.5, "7"]
    assert 5000 < world.time < 5000 + 60 + 60 + 2 * 15


def test_errors_of_long_ago_are_carried_along_and_not_asked_for_again() -> None:
    world = World(rate=2.0)
    world.at(1300, lambda: world.errors.update({"7": 1.0}))
    world.at(1400, lambda: world.errors.update({"7": 0.0}))
    execution = Machine(world, {**GOOD, "weights": [0.5, 1], "interval": 4000}).run()
    checks = execution.output["rollout"]["checks"]
    calls = [
        sum(counts[0] for (version, _), counts in world.counts.items() if version == who)
        for who in "78"
    ]
    assert checks["original"]["errors"] == world.failed_calls["7"] > 50
    assert abs(checks["original"]["invocations"] - calls[0]) < 60
    assert calls[1] - checks["new"]["invocations"] < 2 * 180


def _with_tasks(world: World, run: Any, **payload: Any) -> Any:
    """An execution in which `run(task, do)` decides what becomes of each task; `do` does it."""

    class Interfered(Machine):
        def _invoke(self, task: Any) -> Any:
            return run(task["task"], partial(super()._invoke, task))

    return Interfered(world, {**GOOD, "steps": 3, "interval": 30, **payload}).run()


TASKS = ["CalculateWeights", "UpdateWeight", "HealthCheck", "Finalize"]


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize(
    "error", ["Lambda.Unknown", "Lambda.TooManyRequestsException", "Sandbox.Timedout"]
)
def test_every_task_may_be_run_twice(name: str, error: str) -> None:
    """Its answer is lost after it has done its work; the state machine runs it again."""
    world, lost = World(), set()

    def run(task: str, do: Any) -> Any:
        answer = do()
        if task == name and task not in lost:
            lost.add(task)
            raise Failed(error)
        return answer

    execution = _with_tasks(world, run)
    assert execution.status == "SUCCEEDED" and lost == {name}
    distinct = [
        move
        for move, before in zip(world.history, [None, *world.history], strict=False)
        if move != before
    ]
    assert distinct == [0.33, 0.67, 1.0, "8"]
    assert world.alias.description == WORDS


@pytest.mark.parametrize("name", ["UpdateWeight", "HealthCheck", "Finalize"])
@pytest.mark.parametrize("done", [True, False])
def test_a_task_that_fails_for_good_is_rolled_back(name: str, done: bool) -> None:
    """Whether or not it did its work before; after a finalize there is nothing to roll back, and it
    is a success."""
    world = World()

    def run(task: str, do: Any) -> Any:
        if task == name:
            if done:
                do()
            raise Failed("Lambda.ServiceException")
        return do()

    execution = _with_tasks(world, run)
    if name == "Finalize" and done:
        assert (execution.status, execution.output["rollout"]["status"]) == (
            "SUCCEEDED",
            "SUCCEEDED",
        )
        assert (world.alias.version, world.alias.routing, world.alias.description) == (
            "8",
            {},
            WORDS,
        )
        return
    assert (execution.status, execution.error) == ("FAILED", "RolloutInterrupted")
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)
    assert execution.cause and execution.cause.endswith(
        "Alias 'live' of 'checkout' is on version 7."
    )
    assert "Lambda.ServiceException" in execution.cause


def test_rollback_is_tried_longest() -> None:
    world = World(errors={"8": 1.0})
    world.at(100, lambda: setattr(world, "down", ("denied", 100.0, 3000.0)))
    execution = Machine(world, {**GOOD, "steps": 3, "interval": 60}).run()
    assert execution.error in ("HealthCheckInconclusive", "RolloutInterrupted", "HealthCheckFailed")
    assert (world.alias.version, world.alias.routing) == ("7", {})
    assert 3000 < world.time < 3000 + 2 * 300


def test_a_rollback_that_never_succeeds_ends_in_fail_with_the_command() -> None:
    world = World(errors={"8": 1.0})
    world.at(100, lambda: setattr(world, "down", ("denied", 100.0, 1e9)))
    execution = Machine(world, {**GOOD, "steps": 3, "interval": 60}).run()
    assert execution.error == "RollbackFailed" and execution.cause
    assert "aws lambda update-alias --function-name checkout --name live" in execution.cause
    assert "untouched" not in execution.cause and "neither read nor changed" not in execution.cause


@pytest.mark.parametrize(
    "payload", [None, [], "x", 7, {}, {"progress": 1}, {"Error": "x"}, {**GOOD, "steps": 0}]
)
def test_bad_input_is_invalid_and_touches_nothing(payload: Any) -> None:
    world = World()
    execution = Machine(world, payload).run()
    assert (execution.status, execution.error, world.writes) == ("FAILED", "InvalidRollout", 0)
    assert execution.cause
    assert "The alias was neither read nor changed." in execution.cause


#: Before which task the update comes, and after how many steps.
UPDATES = [*(("UpdateWeight", n) for n in (1, 2)), *(("HealthCheck", n) for n in (1, 2, 3))]


@pytest.mark.parametrize("words", [None, "Somebody has written over the stamp"])
@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize(("task", "step"), [*UPDATES, ("Finalize", 3)])
def test_what_the_last_release_had_begun_is_rolled_back_when_the_deployer_is_updated(
    task: str, step: int, lost: bool, words: str | None
) -> None:
    world = World()
    machine = BegunByTheLastRelease(world, task, step, lost, words).run()
    if task == "Finalize" and lost:
        assert (machine.status, world.alias.version) == ("SUCCEEDED", "8")
        return
    assert (machine.status, machine.error) == ("FAILED", "RolloutInterrupted")
    assert "The deployer was updated" in machine.cause
    assert (world.alias.version, world.alias.routing) == ("7", {})
    assert world.alias.description == (words or WORDS)
    assert world.told[-1]["step"] == step


class BegunByTheLastRelease(Machine):
    """The update comes before a task, or while it runs: then what it did stands, and its answer is
    lost. Somebody may have replaced the description by then."""

    def __init__(self, world: World, task: str, step: int, lost: bool, words: str | None) -> None:
        super().__init__(world, {**GOOD, "steps": 3, "interval": 30})
        self._at = (task, step)
        self._lost = lost
        self._words = words
        self._updated = False

    def _invoke(self, task: Any) -> Any:
        progress = task["state"].get("progress")
        if not self._updated and progress and self._at == (task["task"], progress["at"]["number"]):
            self._updated = True
            if self._lost:
                super()._invoke(task)
            if self._words:
                self.world.update_alias(Description=self._words)
            if self._lost:
                raise Failed("Lambda.Unknown", "The answer is lost.")
        if self._updated:
            progress.pop("listening", None)
            progress["evidence"].pop("weights", None)
        return super()._invoke(task)
