"""A dry run: the plan is what would happen, what cannot go well is refused in the same words,
nothing is written."""

from typing import Any

import pytest

from deployer.decisions.errors import AliasBusy, DeployError, InvalidRollout, RolloutTooLong
from world.machine import Machine
from world.world import World

EVENT: dict[str, Any] = {
    "function-name": "checkout",
    "alias-name": "live",
    "new-version": "8",
    "dry-run": True,
}


@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
def test_the_plan_says_when_and_how_many_calls(driver: str) -> None:
    told = planned(an_hour(rate=10), driver, steps=4, interval=60)
    assert told["status"] == "PLANNED" and "ended" not in told and "checks" not in told
    steps = told["plan"]["steps"]
    assert [step["weight"] for step in steps] == [0.25, 0.5, 0.75, 1.0]
    assert [(step["from"], step["until"]) for step in steps] == [
        (0, 60),
        (60, 120),
        (120, 180),
        (180, 240),
    ]
    # An hour of 600 calls a minute, less the minutes that are not published yet.
    assert 570 <= told["plan"]["calls-a-minute"] <= 600
    assert [round(step["calls"] / 150) for step in steps] == [1, 2, 3, 4]
    assert told["plan"]["driver"] == (
        "SimpleDeployFunction" if driver == "the loop" else "DeployStateMachine"
    )
    assert told["plan"]["fails-on"] == ["any error of version 8"] and told["warnings"] == []


@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
def test_the_plan_says_what_would_suspend_it(driver: str) -> None:
    plan = planned(an_hour(), driver, steps=4, interval=60)["plan"]
    assert plan["suspends-on"] == ["failed calls of version 8 in its log /aws/lambda/checkout"]
    for check in (False, {"logs": False}, {"errors": False, "min-invocations": 1}):
        plan = planned(an_hour(), driver, steps=4, interval=60, **{"health-check": check})["plan"]
        assert plan["suspends-on"] == []
    world = an_hour()
    world.log_fault = "denied"
    told = planned(world, driver, steps=4, interval=60)
    assert told["plan"]["suspends-on"] == []
    assert told["warnings"][0].startswith("No early warning: Its log /aws/lambda/checkout could")


@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
def test_a_plan_that_is_quicker_than_cloudwatch_is_told_and_so_is_its_start(driver: str) -> None:
    quick = (
        "This rollout reaches 100 % after 10 s; the first figures come after about 90 s. "
        "With 'min-invocations': 1 in 'health-check' no weight is raised before calls at the last "
        "one have been published."
    )
    world = an_hour()
    assert planned(world, driver, steps=2, interval=10)["warnings"][0] == quick
    world.deploy(steps=2, interval=10)
    (started,) = [each for each in world.told if each["status"] == "STARTED"]
    assert started["warnings"][0] == quick
    at_once = planned(an_hour(), driver, type="all-at-once", interval=60)["warnings"][0]
    assert at_once == (
        "This rollout reaches 100 % after 0 s; the first figures come after about 90 s."
    )
    for plan in (
        {"steps": 10, "interval": 10},
        {"steps": 2, "interval": 10, "health-check": False},
        {"steps": 2, "interval": 10, "health-check": {"min-invocations": 1}},
    ):
        warnings = planned(an_hour(), driver, **plan)["warnings"]
        assert not any("reaches 100 %" in each for each in warnings)


def test_a_plan_comes_true() -> None:
    world = an_hour()
    plan = planned(world, "the loop", steps=3, interval=30)["plan"]
    began = len(world.moves)
    world.deploy(steps=3, interval=30)
    shifts = world.moves[began:-1]
    first = shifts[0][0]
    assert [(routing["8"], round(time - first)) for time, _, routing in shifts] == [
        (step["weight"], step["from"]) for step in plan["steps"]
    ]


def test_steps_with_too_few_calls_are_told_in_numbers() -> None:
    told = planned(an_hour(rate=0.5), "the loop", steps=10, interval=60)
    (warning,) = told["warnings"]
    assert (
        warning
        == "10 % of 29.4 calls a minute: 2.9 a minute; 100 calls, to judge by, need 34 min, and a step lasts 60 s."
    )


def test_an_alias_that_nobody_calls_is_told() -> None:
    (warning,) = planned(an_hour(rate=0), "the loop", steps=10, interval=60)["warnings"]
    assert "Nobody called this alias in the last hour" in warning


def test_a_cloudwatch_that_does_not_answer_leaves_the_calls_out() -> None:
    world = an_hour()
    world.faults = {"GetMetricData 1": "broken"}
    told = planned(world, "the loop", steps=2, interval=60)
    assert told["plan"]["calls-a-minute"] is None and "calls" not in told["plan"]["steps"][0]


def test_the_plan_says_what_would_roll_it_back() -> None:
    world = an_hour()
    world.alarms = {"checkout-errors": "ALARM"}
    limit = {
        "namespace": "Shop",
        "name": "Orders",
        "dimensions": {"A": "{alias}"},
        "stat": "Sum",
        "above": 5,
    }
    checks = {
        "errors": 0.01,
        "metrics": [limit],
        "alarms": ["checkout-errors"],
        "smoke-test": {},
        "min-invocations": 9,
    }
    told = planned(world, "the loop", steps=2, interval=60, **{"health-check": checks})
    assert told["plan"]["fails-on"] == [
        "version 8 failing more than 1 % of its calls",
        "Shop Orders Sum live above 5",
        "alarm checkout-errors going into ALARM",
        "the smoke test of version 8 (not run in a dry run)",
        "fewer than 9 calls in a step, 300 s beyond its interval",
    ]
    assert told["warnings"][0].startswith("Alarm checkout-errors was in ALARM before the start")


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"steps": 10, "interval": 120, "hand-over": False}, RolloutTooLong),
        ({"steps": 10, "interval": 60, "new-version": "77"}, InvalidRollout),
        ({"steps": 10, "interval": 60, "alias-name": "absent"}, InvalidRollout),
        ({"steps": 10, "interval": 60, "health-check": {"alarms": ["absent"]}}, InvalidRollout),
    ],
)
def test_what_would_be_refused_is_refused_in_the_same_words(
    payload: dict[str, Any], kind: type[DeployError]
) -> None:
    told = []
    for dry in (True, False):
        world = World()
        with pytest.raises(kind) as refused:
            world.invoke({**EVENT, **payload, "dry-run": dry})
        assert world.writes == 0
        told.append(str(refused.value))
    assert told[0] == told[1]


def test_what_does_not_fit_is_planned_for_the_state_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(
        "DEPLOY_STATE_MACHINE_ARN", "arn:aws:states:eu-west-1:123456789012:stateMachine:deploy"
    )
    told = planned(an_hour(), "the loop", steps=10, interval=120)
    assert told["plan"]["driver"] == "DeployStateMachine" and told["plan"]["seconds"] == 1320


def test_a_busy_alias_is_busy_for_a_plan_too() -> None:
    world = World()
    world.update_alias(RoutingConfig={"AdditionalVersionWeights": {"9": 0.5}})
    with pytest.raises(AliasBusy):
        world.invoke({**EVENT, "steps": 2, "interval": 60})


def test_a_version_that_is_deployed_already_needs_no_plan() -> None:
    told = World().invoke({**EVENT, "new-version": "7", "steps": 2, "interval": 60})
    assert told["rollout"]["status"] == "ALREADY_DEPLOYED"


# -- what the stories need ------------------------------------------------------------------------


def planned(world: World, driver: str, **payload: Any) -> dict[str, Any]:
    event = {**EVENT, **payload}
    told = world.invoke(event) if driver == "the loop" else Machine(world, event).run().output
    assert world.writes == 0 and world.messages == [] and world.smoked == []
    return dict(told["rollout"])


def an_hour(**settings: Any) -> World:
    """A world in which users have called for an hour."""
    world = World(**settings)
    world.advance(3600)
    return world
