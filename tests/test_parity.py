"""The same stories through the loop and through the state machine: the alias goes the same ways, the
errors are the same."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from deployer.decisions.errors import DeployError
from tests.beginnings import UNSPLIT
from world.aws import MINUTE, WORDS
from world.machine import Machine
from world.world import World

STEPS: dict[str, Any] = {"steps": 4, "interval": 60}


@dataclass(frozen=True)
class Story:
    """`during` is what happens in the world meanwhile; `ends` is the error's name, or SUCCEEDED."""

    ends: str
    payload: dict[str, Any] = field(default_factory=lambda: STEPS)
    world: dict[str, Any] = field(default_factory=dict)
    during: Callable[[World], None] = lambda world: None


def _errs_from(second: float) -> Callable[[World], None]:
    return lambda world: world.at(second, lambda: world.errors.update({"8": 1.0}))


def _operator(second: float, **request: Any) -> Callable[[World], None]:
    return lambda world: world.at(second, lambda: world.update_alias(**request))


def _fault(fault: str, *calls: int | str) -> Callable[[World], None]:
    return lambda world: world.faults.update(dict.fromkeys(calls, fault))


def _set(**attributes: Any) -> Callable[[World], None]:
    return lambda world: world.__dict__.update(attributes)


def _listening(*during: Callable[[World], None]) -> Callable[[World], None]:
    """The log shows a failed call after 5 s."""

    def listen(world: World) -> None:
        world.log_delay = 5.0
        for each in during:
            each(world)

    return listen


def _prints(*seconds: float) -> Callable[[World], None]:
    """Version 8 prints then what looks like a failed call."""

    def during(world: World) -> None:
        for second in seconds:
            world.at(second, lambda: world.write_failure("8"))

    return during


def _break_log(world: World) -> None:
    world.log_fault = "broken"


def _split_by_hand(world: World) -> None:
    world.update_alias(RoutingConfig={"AdditionalVersionWeights": {"9": 0.5}})


AT_ONCE = {"delay": -60.0}  # published while the minute lasts

_LIMIT = {
    "namespace": "Shop",
    "name": "Duration",
    "dimensions": {"of": "{version}"},
    "stat": "p99",
    "above": 500,
}


def _checked(
    ends: str,
    checks: dict[str, Any],
    world: dict[str, Any] | None = None,
    during: Callable[[World], None] = lambda world: None,
    steps: int = 4,
) -> Story:
    return Story(ends, {**STEPS, "steps": steps, "health-check": checks}, world or {}, during)


def _measured(value: float) -> Callable[[World], None]:
    """So much in every minute."""
    minutes = [World().starts.replace(second=0) + number * MINUTE for number in range(20)]
    return _set(values={"Duration p99": dict.fromkeys(minutes, value)})


def _turn(world: World, state: str) -> None:
    world.alarms = {"a": state} if state else {}


def _alarms(*states: tuple[float, str]) -> Callable[[World], None]:
    """The states of alarm "a", from the start on; deleted where there is none."""

    def during(world: World) -> None:
        world.alarms = {"a": states[0][1]}
        for second, state in states[1:]:
            world.at(second, partial(_turn, world, state))

    return during


REHEARSED: dict[str, Any] = {**STEPS, "finalize": False}


def _must_end(seconds: float, **payload: Any) -> dict[str, Any]:
    """So long after the start."""
    deadline = World().starts + timedelta(seconds=seconds)
    return {**STEPS, "deadline": deadline.isoformat(), **payload}


STORIES = {
    "rehearsed, healthy": Story("SUCCEEDED", REHEARSED),
    "rehearsed, failing": Story("HealthCheckFailed", REHEARSED, {"errors": {"8": 0.5}}),
    "rehearsed, already deployed": Story("SUCCEEDED", {**REHEARSED, "new-version": "7"}),
    "rehearsed, promoted by hand": Story(
        "SUCCEEDED", REHEARSED, during=_operator(100, FunctionVersion="8", **UNSPLIT)
    ),
    "rehearsed, taken back": Story("AliasChanged", REHEARSED, during=_operator(100, **UNSPLIT)),
    "rehearsed, the giving back is lost": Story(
        "SUCCEEDED", REHEARSED, during=_fault("lost", "UpdateAlias 4")
    ),
    "rehearsed, the giving back is late": Story(
        "SUCCEEDED", REHEARSED, during=_fault("late", "UpdateAlias 4")
    ),
    "rehearsed, the giving back is denied once": Story(
        "RolloutInterrupted", REHEARSED, during=_fault("denied", "UpdateAlias 4")
    ),
    "rehearsed, accused by its log, and acquitted": Story(
        "SUCCEEDED", REHEARSED, during=_listening(_prints(20))
    ),
    "in time": Story("SUCCEEDED", _must_end(400)),
    "in time, held": Story(
        "SUCCEEDED",
        _must_end(800, steps=3, **{"health-check": {"min-invocations": 50}}),
    ),
    "too late, held": Story(
        "HealthCheckInconclusive",
        _must_end(500, steps=3, **{"health-check": {"min-invocations": 50, "hold": 300}}),
        {"rate": 0.1},
    ),
    "in time, suspended": Story("SUCCEEDED", _must_end(800), during=_listening(_prints(20))),
    "no time to suspend": Story("SUCCEEDED", _must_end(380), during=_listening(_prints(20))),
    "too late before the start": Story("RolloutTooLong", _must_end(370)),
    "long ago": Story("RolloutTooLong", _must_end(-86400)),
    "healthy": Story("SUCCEEDED"),
    "healthy, every type": Story("SUCCEEDED", {"type": "Linear30PercentEvery1Minute"}),
    "healthy, own weights, interval 0": Story(
        "SUCCEEDED", {"weights": [0.01, 0.5, 1], "interval": 0}
    ),
    "failing from the first call": Story("HealthCheckFailed", world={"errors": {"8": 0.5}}),
    "failing from the second step on": Story("HealthCheckFailed", during=_errs_from(70)),
    "failing between two looks": Story("HealthCheckFailed", world=AT_ONCE, during=_errs_from(100)),
    "failing only at full weight": Story("HealthCheckFailed", during=_errs_from(185)),
    "failing, found in settling": Story(
        "HealthCheckFailed", {"steps": 5, "interval": 10}, {"errors": {"8": 1.0}}
    ),
    "failing, unchecked": Story(
        "SUCCEEDED", {**STEPS, "health-check": False}, {"errors": {"8": 1.0}}
    ),
    "no traffic": Story("SUCCEEDED", world={"rate": 0.0}),
    "already deployed": Story("SUCCEEDED", {**STEPS, "new-version": "7"}),
    "split by hand": Story("AliasBusy", during=_split_by_hand),
    "no such alias": Story("InvalidRollout", {**STEPS, "alias-name": "absent"}),
    "no such version": Story("InvalidRollout", {**STEPS, "new-version": "77"}),
    "misspelt key": Story("InvalidRollout", {**STEPS, "setps": 1}),
    "too long for a year": Story(
        "RolloutTooLong", {"steps": 10, "interval": 30_000_000, "hand-over": False}
    ),
    "two roles": Story("InvalidRollout", during=_set(roles={"7": "one", "8": "other"})),
    "taken back": Story("AliasChanged", during=_operator(100, **UNSPLIT)),
    "taken back, words and all": Story(
        "AliasChanged", during=_operator(100, Description="Mine", **UNSPLIT)
    ),
    "promoted by hand": Story("SUCCEEDED", during=_operator(100, FunctionVersion="8", **UNSPLIT)),
    "moved to a third version": Story(
        "AliasChanged", during=_operator(100, FunctionVersion="9", **UNSPLIT)
    ),
    "words edited": Story("SUCCEEDED", during=_operator(100, Description="Mine")),
    "CalculateWeights throttled": Story("SUCCEEDED", during=_fault("throttled", 0, 2, 4, 6)),
    "CalculateWeights denied": Story("InvalidRollout", during=_fault("denied", "GetMetricData 0")),
    "first UpdateWeight lost": Story("SUCCEEDED", during=_fault("lost", "UpdateAlias 0")),
    "first UpdateWeight late": Story("SUCCEEDED", during=_fault("late", "UpdateAlias 0")),
    "first UpdateWeight denied": Story("InvalidRollout", during=_fault("denied", "UpdateAlias 0")),
    "second UpdateWeight throttled": Story(
        "SUCCEEDED", during=_fault("throttled", "UpdateAlias 1")
    ),
    "second UpdateWeight denied": Story(
        "RolloutInterrupted", during=_fault("denied", "UpdateAlias 1")
    ),
    "HealthCheck's GetAlias broken": Story("SUCCEEDED", during=_fault("broken", "GetAlias 1")),
    "HealthCheck's GetMetricData throttled": Story(
        "SUCCEEDED", during=_fault("throttled", "GetMetricData 2", "GetMetricData 3")
    ),
    "nothing seen of a whole step": Story(
        "HealthCheckInconclusive",
        during=lambda world: setattr(world, "down", ("broken", 1.0, 80.0)),
    ),
    "any, given as an object": _checked(
        "HealthCheckFailed", {"errors": "any"}, {"errors": {"8": 0.3}}
    ),
    "within the rate": _checked("SUCCEEDED", {"errors": 0.05}, {"errors": {"8": 0.01}}),
    "above the rate": _checked("HealthCheckFailed", {"errors": 0.01}, {"errors": {"8": 0.3}}),
    "both err alike": _checked(
        "SUCCEEDED", {"errors": "baseline"}, {"errors": {"7": 0.1, "8": 0.1}}
    ),
    "the fix of what always failed": _checked(
        "SUCCEEDED", {"errors": "baseline"}, {"errors": {"7": 1.0}}
    ),
    "the new one errs more": _checked(
        "HealthCheckFailed", {"errors": "baseline"}, {"errors": {"7": 0.01, "8": 0.3}}
    ),
    "failing only at full weight, guarded": _checked(
        "HealthCheckFailed", {"errors": "baseline", "settle": 180}, during=_errs_from(185)
    ),
    "no traffic to compare": _checked("SUCCEEDED", {"errors": "baseline"}, {"rate": 0.0}),
    "a metric above its limit": _checked(
        "HealthCheckFailed", {"metrics": [_LIMIT]}, during=_measured(600)
    ),
    "a metric within its limit": _checked(
        "SUCCEEDED", {"metrics": [_LIMIT]}, during=_measured(400)
    ),
    "a metric without data": _checked("SUCCEEDED", {"metrics": [_LIMIT]}),
    "an alarm that is fine": _checked("SUCCEEDED", {"alarms": ["a"]}, during=_alarms((0, "OK"))),
    "an alarm goes off": _checked(
        "HealthCheckFailed", {"alarms": ["a"]}, during=_alarms((0, "OK"), (100, "ALARM"))
    ),
    "an alarm of before": _checked("SUCCEEDED", {"alarms": ["a"]}, during=_alarms((0, "ALARM"))),
    "an alarm goes off again": _checked(
        "HealthCheckFailed",
        {"alarms": ["a"]},
        during=_alarms((0, "ALARM"), (70, "OK"), (130, "ALARM")),
    ),
    "an alarm is deleted": _checked(
        "HealthCheckInconclusive",
        {"alarms": ["a"]},
        during=_alarms((0, "OK"), (80, "")),
    ),
    "no such alarm": _checked("InvalidRollout", {"alarms": ["a"]}),
    "a smoke test": _checked("SUCCEEDED", {"smoke-test": {"path": "/"}}),
    "a smoke test that fails": _checked(
        "HealthCheckFailed",
        {"smoke-test": {}},
        during=_set(smoke=lambda payload: b'{"errorMessage": "no"}'),
    ),
    "a smoke test without an answer": _checked(
        "HealthCheckFailed",
        {"smoke-test": {}},
        during=_set(smoke=lambda payload: ReadTimeoutError(endpoint_url="x")),
    ),
    "a smoke test denied": _checked(
        "InvalidRollout", {"smoke-test": {}}, during=_fault("denied", "InvokeFunction")
    ),
    "a smoke test throttled": _checked(
        "RolloutInterrupted", {"smoke-test": {}}, during=_fault("throttled", "InvokeFunction")
    ),
    "held until enough calls are reported": _checked("SUCCEEDED", {"min-invocations": 50}, steps=3),
    "held in vain": _checked(
        "HealthCheckInconclusive", {"min-invocations": 50, "hold": 30}, {"rate": 0.1}
    ),
    "no traffic where some is asked for": _checked(
        "HealthCheckInconclusive", {"min-invocations": 1}, {"rate": 0.0}
    ),
    "settling for no time": _checked("SUCCEEDED", {"settle": 0}),
    "looking every 5 s": _checked("HealthCheckFailed", {"every": 5}, {"errors": {"8": 0.3}}),
    "all of it": _checked(
        "SUCCEEDED",
        {
            "errors": "baseline",
            "metrics": [_LIMIT],
            "alarms": ["a"],
            "smoke-test": {"a": 1},
            "min-invocations": 10,
            "hold": 200,
            "settle": 60,
            "every": 10,
        },
        during=_alarms((0, "OK")),
        steps=2,
    ),
    "misspelt check": _checked("InvalidRollout", {"eror": "any"}),
    "contradictory checks": _checked("InvalidRollout", {"hold": 60}),
    "accused by its log, and convicted": Story(
        "HealthCheckFailed", world={"errors": {"8": 0.5}}, during=_listening()
    ),
    "accused by its log, and acquitted": Story("SUCCEEDED", during=_listening(_prints(20))),
    "accused by its log, with too few errors to convict it": _checked(
        "SUCCEEDED", {"errors": 0.05}, {"errors": {"8": 0.03}}, _listening(), steps=2
    ),
    "accused by its log, and nothing is published": Story(
        "HealthCheckInconclusive", world={"delay": 1000.0}, during=_listening(_prints(20))
    ),
    "accused at full weight": Story("SUCCEEDED", during=_listening(_prints(190))),
    "accused by its log, and both err alike": _checked(
        "SUCCEEDED", {"errors": "baseline"}, {"errors": {"7": 0.1, "8": 0.1}}, _listening()
    ),
    "its log may not be read": Story(
        "HealthCheckFailed",
        world={"errors": {"8": 0.5}},
        during=_listening(_set(log_fault="denied")),
    ),
    "a healthy one's log may not be read": Story(
        "SUCCEEDED", during=_listening(_set(log_fault="denied"), _prints(20))
    ),
    "its log cannot be read": Story(
        "SUCCEEDED", during=_listening(_set(log_fault="throttled"), _prints(20))
    ),
    "its log is not to be read": _checked(
        "SUCCEEDED", {"logs": False}, during=_listening(_prints(20))
    ),
    "suspended, and the log is broken from then on": Story(
        "SUCCEEDED",
        during=_listening(_prints(20), lambda world: world.at(40, lambda: _break_log(world))),
    ),
    "taken back while suspended": Story(
        "AliasChanged", during=_listening(_prints(20), _operator(80, **UNSPLIT))
    ),
    "touched while suspended": Story(
        "AliasChanged", during=_listening(_prints(20), _operator(80, Description="Mine"))
    ),
    "promoted while suspended": Story(
        "SUCCEEDED",
        during=_listening(_prints(20), _operator(80, FunctionVersion="8", **UNSPLIT)),
    ),
    "moved to a third version while suspended": Story(
        "AliasChanged",
        during=_listening(_prints(20), _operator(80, FunctionVersion="9", **UNSPLIT)),
    ),
    "split by hand while suspended": Story(
        "AliasChanged",
        during=_listening(_prints(20), lambda world: world.at(80, lambda: _split_by_hand(world))),
    ),
    "the suspension's answer is lost": Story(
        "SUCCEEDED", during=_listening(_prints(20), _fault("lost", "UpdateAlias 1"))
    ),
    "the suspension is throttled": Story(
        "SUCCEEDED", during=_listening(_prints(20), _fault("throttled", "UpdateAlias 1"))
    ),
    "the suspension is denied": Story(
        "SUCCEEDED", during=_listening(_prints(20), _fault("denied", "UpdateAlias 1"))
    ),
    "the resuming shift's answer is lost": Story(
        "SUCCEEDED", during=_listening(_prints(20), _fault("lost", "UpdateAlias 2"))
    ),
    "the resuming shift is denied": Story(
        "RolloutInterrupted", during=_listening(_prints(20), _fault("denied", "UpdateAlias 2"))
    ),
    "Rollback throttled": Story(
        "HealthCheckFailed",
        world={"errors": {"8": 1.0}},
        during=lambda world: setattr(world, "down", ("throttled", 118.5, 125.0)),
    ),
}

#: The stories whose function writes a log, and is not suspended all the same.
UNSUSPENDED = (
    "accused by its log, and both err alike",
    "its log may not be read",
    "a healthy one's log may not be read",
    "its log cannot be read",
    "its log is not to be read",
    "no time to suspend",
)


@pytest.mark.parametrize("name", STORIES)
def test_the_loop_and_the_state_machine_end_alike(name: str) -> None:
    story = STORIES[name]
    event = {"function-name": "checkout", "alias-name": "live", "new-version": "8", **story.payload}
    worlds = [World(**story.world), World(**story.world)]
    for world in worlds:
        story.during(world)
    loop, machine = worlds
    try:
        result = loop.invoke(event)
        ended, told = "SUCCEEDED", ""
    except DeployError as error:
        ended, told, result = type(error).__name__, str(error), {}
    execution = Machine(machine, event).run()
    assert (ended, execution.error or execution.status) == (story.ends, story.ends)
    assert machine.history == loop.history
    assert machine.alias.answer() | {"RevisionId": ""} == loop.alias.answer() | {"RevisionId": ""}
    suspensions = [
        [told["status"] for told in world.told if told["status"] in ("SUSPENDED", "RESUMED")]
        for world in worlds
    ]
    assert suspensions[0] == suspensions[1]
    assert bool(suspensions[0]) == (loop.log_delay < math.inf and name not in UNSUSPENDED)
    if ended == "SUCCEEDED":
        status = ("status", "original-version", "new-version", "weights")
        assert [execution.output["rollout"][key] for key in status] == [
            result["rollout"][key] for key in status
        ]
        warnings = [
            [each[:40] for each in told["rollout"]["warnings"]]
            for told in (execution.output, result)
        ]
        assert warnings[0] == warnings[1]
    else:
        assert execution.cause is not None
        assert execution.cause.rpartition("Alias ")[2] == told.rpartition("Alias ")[2]
    if machine.alias.description not in (WORDS, "Mine"):
        raise AssertionError(machine.alias.description)
