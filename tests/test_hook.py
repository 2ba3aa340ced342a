"""CodeDeploy's hook: it answers every deployment, and only when the alias stands on one version.
In virtual time, through its handler, with the executions that it starts."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from deployer import hook
from deployer.decisions.deployment import Deployment
from deployer.decisions.errors import InvalidRollout
from deployer.decisions.rollout import Rollout
from local.cloud import ROOT
from local.rules import Refused, StoredAlias
from tests.beginnings import UNSPLIT
from world.aws import FUNCTION, HERE, WORDS
from world.codedeploy import DeployingWorld, HookClients
from world.codedeploy import Deployment as Asked

TAG = "type=Linear50PercentEvery1Minute settle=60"
SCHEMA = json.loads((ROOT / "events" / "event.schema.json").read_text())
_wrong = Draft202012Validator(SCHEMA).iter_errors


def played(world: DeployingWorld, **about: Any) -> Asked:
    """One deployment, to its end; what was told is as the schema says, and nobody is left alone."""
    deployment = world.deployment(**about)
    world.play()
    for told in world.told:
        assert not [error.message for error in _wrong(told)], told
    assert deployment.status in ("Succeeded", "Failed", "Stopped")
    assert not world.dead_letters
    return deployment


def endings(world: DeployingWorld) -> list[str]:
    return [told["status"] for told in world.told if "sentences" in told]


# Good and bad.


def test_a_good_version_is_rehearsed_given_back_and_moved_by_codedeploy() -> None:
    world = DeployingWorld(tag=TAG)
    deployment = played(world)
    assert (deployment.status, deployment.answers) == ("Succeeded", ["Succeeded"])
    assert world.history == [0.5, 1.0, "7", "8"]
    assert (world.alias.routing, world.alias.description) == ({}, WORDS)
    assert endings(world) == ["APPROVED"]
    assert {told["started-by"] for told in world.told} == {"CodeDeploy d-ABCDEF123"}
    given_back, moved = (time for time, _, routing in world.moves if not routing)
    assert moved - given_back <= 16, "seconds on the old version, between new and new"


def test_a_bad_one_is_rolled_back_and_its_deployment_has_failed() -> None:
    world = DeployingWorld(tag=TAG, errors={"8": 0.5})
    deployment = played(world)
    assert (deployment.status, deployment.why) == ("Failed", "HOOK_EXECUTION_FAILURE")
    assert world.history[-1] == "7" and "8" not in world.history
    assert (world.alias.routing, world.alias.description) == ({}, WORDS)
    assert endings(world) == ["HealthCheckFailed"]


def test_how_to_roll_out_stands_in_the_tag_and_else_in_the_stack_s_parameter() -> None:
    world = DeployingWorld(default=f"{TAG} errors=baseline")
    assert played(world).status == "Succeeded"
    assert world.history == [0.5, 1.0, "7", "8"]
    world = DeployingWorld(tag="weights=0.2/0.6/1 interval=30", default=f"{TAG} errors=baseline")
    assert played(world).status == "Succeeded"
    assert world.history == [0.2, 0.6, 1.0, "7", "8"]


# Direction first.


@pytest.mark.parametrize("target", ["6", "7"])
@pytest.mark.parametrize("tag", ["setps=1", "type=nonsense", TAG])
def test_back_to_an_older_version_is_approved_at_once_whatever_the_tags_say(
    tag: str, target: str
) -> None:
    world = DeployingWorld(tag=tag)
    deployment = played(world, target=target)
    assert (deployment.status, deployment.answers) == ("Succeeded", ["Succeeded"])
    assert deployment.ended < 1
    assert world.history == [target]
    assert world.told == [] and not world.machines
    assert "ListTags" not in world.calls and "GetAlias" not in world.calls


def test_so_is_one_that_the_alias_is_ahead_of_whatever_the_appspec_says() -> None:
    world = DeployingWorld(tag="broken")
    world.alias.version = "9"
    deployment = played(world, current="7", target="8")
    assert deployment.answers == ["Succeeded"] and not world.machines


def test_a_rollback_needs_neither_lambda_nor_the_queue_nor_the_state_machine() -> None:
    world = DeployingWorld()
    denied = ("GetAlias", "ListTags", "SendHookMessage", "StartExecution", "DescribeExecution")
    for name in denied:
        world.faults[name] = "denied"
    assert played(world, target="6").answers == ["Succeeded"]


# The answer.


def test_an_alias_that_somebody_splits_after_the_approval_is_not_answered_as_succeeded() -> None:
    world = DeployingWorld(tag=TAG)
    split = {"RoutingConfig": {"AdditionalVersionWeights": {"9": 0.1}}}
    _when_approved(world, lambda: world.update_alias(**split))
    deployment = world.deployment()
    world.play()
    assert deployment.answers == ["Failed"] and deployment.ended < 3400


def test_an_alias_that_somebody_moves_after_the_approval_is_not_answered_as_succeeded() -> None:
    world = DeployingWorld(tag=TAG)
    _when_approved(world, lambda: world.update_alias(FunctionVersion="9"))
    assert played(world).answers == ["Failed"]
    assert (world.alias.version, world.alias.routing) == ("9", {})


def test_a_rollback_that_goes_on_for_hours_does_not_keep_codedeploy_waiting() -> None:
    world = DeployingWorld(tag=TAG, errors={"8": 0.5})
    world.at(70, lambda: world.faults.update({"UpdateAlias": "denied"}))
    world.at(5000, world.faults.clear)
    deployment = played(world)
    assert (deployment.status, deployment.answers) == ("Failed", ["Failed"])
    assert 3300 <= deployment.ended < 3400
    assert (world.alias.version, world.alias.routing) == ("7", {}), (
        "it goes on, and comes to its end"
    )


def test_who_may_not_answer_tells_the_refusal_once_or_twice_and_not_at_each_delivery() -> None:
    world = DeployingWorld(tag="nonsense")
    world.faults["PutLifecycleEventHookExecutionStatus"] = "denied"
    deployment = world.deployment()
    world.play()
    assert deployment.status == "Failed" and not deployment.answers
    assert endings(world) in (["InvalidRollout"], ["InvalidRollout"] * 2)


def test_a_hold_ends_in_time_for_the_answer() -> None:
    held = "weights=1 interval=900 every=900 hold=3000 settle=0 min-invocations=1000000"
    world = DeployingWorld(tag=held)
    deployment = played(world)
    assert deployment.answers == ["Failed"] and deployment.ended < 3100
    assert endings(world) == ["HealthCheckInconclusive"]


def _when_approved(world: DeployingWorld, act: Callable[[], None]) -> None:
    """Right after the alias was given back, before the hook looks again."""

    def see() -> None:
        if "APPROVED" in endings(world):
            act()
        else:
            world.at(world.time + 1, see)

    world.at(1, see)


# What is refused.


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("setps=10 interval=60", "'setps' is no word of the tag 'rollout': did you mean 'steps'?"),
        ("nonsense", "'nonsense' is no word of the tag 'rollout': it may have type, steps, "),
        ("steps= interval=60", "'steps=' in the tag 'rollout' must be a word with its value"),
        ("steps=1 steps=2", "'steps=2' in the tag 'rollout' must be a word with its value"),
        ("type=Linear50PercentEvery1Minute steps=3", "leave 'steps' out"),
        ("steps=ten interval=60", "'steps' must be a whole number from 1 to 1000"),
        ("weights=0.5/0.2/1 interval=60", "must be a list of numbers that rise"),
        (f"{TAG} errors=2", "'health-check.errors' must be"),
        (f"{TAG} hold=60", "hold"),
        ("interval=60", "'steps' is required"),
        ("type=Linear10PercentEvery10Minutes", "Make 'interval' or 'steps' smaller, or 'deadline'"),
    ],
)
def test_bad_tags_towards_a_newer_version_fail_it_at_once_with_the_reason(
    tag: str, reason: str
) -> None:
    world = DeployingWorld(tag=tag)
    deployment = played(world)
    assert (deployment.status, deployment.answers) == ("Failed", ["Failed"])
    assert deployment.ended < 25
    assert world.history == []
    (told,) = world.told
    assert told["status"] in ("InvalidRollout", "RolloutTooLong")
    assert reason in told["reason"]
    assert told["where"] == "Alias 'live' of 'checkout' is on version 7."
    assert told["started-by"] == "CodeDeploy d-ABCDEF123"


@pytest.mark.parametrize(
    "content", ["version: 0.0", "{}", "[]", '{"Resources": [{}]}', '{"Resources": [{"a": 1}]}']
)
def test_an_appspec_that_cannot_be_read_fails_it_at_once(content: str) -> None:
    world = DeployingWorld(tag=TAG)
    deployment = played(world, content=content)
    assert deployment.answers == ["Failed"] and world.history == []
    assert deployment.ended < 35
    (told,) = world.told
    assert "The AppSpec of d-ABCDEF123 could not be read" in told["reason"]
    assert told["where"] == "The alias was neither read nor changed."


@pytest.mark.parametrize(
    ("call", "remedy"),
    [
        ("GetAlias", "with the template's parameter TargetFunctions"),
        ("ListTags", "with the template's parameter TargetFunctions"),
        ("StartExecution", "The state machine could not be started"),
    ],
)
def test_what_may_not_be_asked_fails_it_at_once(call: str, remedy: str) -> None:
    world = DeployingWorld(tag=TAG)
    world.faults[call] = "denied"
    deployment = played(world)
    assert deployment.answers == ["Failed"] and world.history == []
    assert deployment.ended < 25
    (told,) = world.told
    assert told["status"] == "InvalidRollout" and remedy in told["reason"]


def test_a_deployment_that_may_not_be_read_is_failed_when_it_is_looked_at_again() -> None:
    """Not at once: permissions of a new stack may take a while, and it may be a rollback."""
    world = DeployingWorld(tag=TAG)
    world.faults["GetDeployment"] = "denied"
    deployment = played(world)
    assert deployment.answers == ["Failed"] and 30 <= deployment.ended < 35
    (told,) = world.told
    assert "with the action codedeploy:GetDeployment" in told["reason"]
    world = DeployingWorld()
    world.faults["GetDeployment 0"] = "denied"
    assert played(world, target="6").answers == ["Succeeded"]


def test_without_a_message_nothing_is_started() -> None:
    world = DeployingWorld(tag=TAG)
    world.faults["SendHookMessage"] = "denied"
    deployment = played(world)
    assert deployment.answers == ["Failed"] and not world.machines
    (told,) = world.told
    assert told["status"] == "RolloutInterrupted"
    assert "The hook could not send itself a message" in told["reason"]


def test_an_alias_that_is_split_by_hand_is_waited_for_and_then_failed() -> None:
    world = DeployingWorld(tag=TAG)
    world.update_alias(RoutingConfig={"AdditionalVersionWeights": {"9": 0.1}})
    world.at(600, lambda: world.update_alias(**UNSPLIT))
    deployment = played(world)
    assert deployment.answers == ["Failed"] and 600 <= deployment.ended < 620
    assert endings(world) == ["AliasBusy"]


def test_one_that_stays_split_is_failed_before_codedeploy_gives_up() -> None:
    world = DeployingWorld(tag=TAG, rate=0)
    world.update_alias(RoutingConfig={"AdditionalVersionWeights": {"9": 0.1}})
    deployment = played(world)
    assert deployment.why == "HOOK_EXECUTION_FAILURE" and 3300 <= deployment.ended < 3330


# Twice, late, gone.


def test_a_hook_that_is_invoked_twice_rehearses_once() -> None:
    world = DeployingWorld(tag=TAG)
    world.invoked_at = (0.0, 0.0, 30.0, 100.0)
    deployment = played(world)
    assert deployment.answers == ["Succeeded"]
    assert world.history == [0.5, 1.0, "7", "8"] and len(world.machines) == 1
    assert endings(world) == ["APPROVED"]


def test_one_that_is_invoked_late_must_still_end_in_time() -> None:
    world = DeployingWorld(tag=TAG, rate=0)
    world.invoked_at = (2900.0,)
    deployment = played(world)
    assert deployment.answers == ["Failed"] and endings(world) == ["RolloutTooLong"]


def test_one_that_is_invoked_after_codedeploy_has_given_up_does_nothing() -> None:
    world = DeployingWorld(tag=TAG, rate=0)
    world.invoked_at = (3650.0,)
    assert played(world).why == "TIMEOUT"
    assert world.told == [] and not world.machines


@pytest.mark.parametrize("event", [{}, [], 7, {"Records": []}, {"DeploymentId": "d-1"}])
def test_another_event_is_left(event: Any) -> None:
    world = DeployingWorld()
    hook.answer(event, HookClients(world))
    assert world.calls == []


def test_a_deployment_that_is_not_there_is_logged_and_nothing_else() -> None:
    world = DeployingWorld(tag=TAG)
    deployment = world.deployment()
    event = deployment.event
    del world.deployments[deployment.id]
    world.at_once({"hook": (0.0, lambda: world._invoke(event))})
    assert world.told == [] and not world.machines and not world.dead_letters


def test_one_that_goes_while_it_is_rehearsed_ends_the_rehearsal() -> None:
    world = DeployingWorld(tag=TAG)
    deployment = world.deployment()
    world.at(80, world.deployments.clear)
    world.play()
    assert deployment.answers == []
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, WORDS)


# Stopped, or dead.


def test_a_stop_in_codedeploy_stops_the_rehearsal_and_the_watchdog_rolls_it_back() -> None:
    world = DeployingWorld(tag="type=Linear10PercentEvery1Minute")
    deployment = world.deployment()
    world.at(150, lambda: world.stop(deployment))
    world.play()
    assert (deployment.status, deployment.answers) == ("Stopped", [])
    (machine,) = world.machines.values()
    assert machine.status == "ABORTED"
    stopped = (machine.stopped - world.starts).total_seconds()
    assert 150 <= stopped <= 150 + 16, "within a look"
    last, *_ = world.moves[-1]
    assert world.history[-1] == "7" and last <= stopped + 200
    assert (world.alias.routing, world.alias.description) == ({}, WORDS)
    assert endings(world) == ["RolloutInterrupted"]
    assert world.told[-1]["started-by"] == "CodeDeploy d-ABCDEF123", "also by the watchdog"


@pytest.mark.parametrize("second", [70.0, 100.0, 130.0])
def test_an_execution_that_is_stopped_is_answered_once_the_watchdog_has_rolled_it_back(
    second: float,
) -> None:
    world = DeployingWorld(tag=TAG)

    def stop() -> None:
        for machine in world.machines.values():
            machine.abort()

    world.at(second, stop)
    deployment = played(world)
    assert deployment.answers == ["Failed"]
    given_back, *_ = world.moves[-1]
    assert world.history[-1] == "7" and given_back <= deployment.ended <= given_back + 16
    assert endings(world) == ["RolloutInterrupted"]


def test_taken_back_by_an_operator_it_has_failed() -> None:
    world = DeployingWorld(tag=TAG)
    world.at(80, lambda: world.update_alias(**UNSPLIT))
    assert played(world).answers == ["Failed"]
    assert world.alias.version == "7" and endings(world) == ["AliasChanged"]


def test_promoted_by_an_operator_it_is_what_was_wanted() -> None:
    world = DeployingWorld(tag=TAG)
    world.at(80, lambda: world.update_alias(FunctionVersion="8", **UNSPLIT))
    assert played(world).answers == ["Succeeded"]
    assert (world.alias.version, world.alias.routing) == ("8", {})
    assert endings(world) == ["SUCCEEDED"]


# AWS is out of order.


@pytest.mark.parametrize("what", ["throttled", "broken", "lost"])
@pytest.mark.parametrize(
    ("since", "seconds"), [(0, 30), (0, 120), (1, 400), (75, 30), (75, 400), (130, 600)]
)
def test_whatever_is_throttled_for_some_time_is_answered_in_the_end(
    since: float, seconds: float, what: str
) -> None:
    world = DeployingWorld(tag=TAG)
    world.down = (what, since, since + seconds)
    deployment = played(world)
    assert len(deployment.answers) == 1
    _one_version(world, deployment)


def test_of_a_hook_whose_sandbox_dies_the_message_is_left() -> None:
    world = DeployingWorld(tag=TAG)
    world.faults["StartExecution 0"] = "killed"
    deployment = played(world)
    assert deployment.answers == ["Succeeded"]
    world = DeployingWorld(tag=TAG)
    world.faults["StartExecution 0"] = "killed after"
    assert played(world).answers == ["Succeeded"] and len(world.machines) == 1


#: At each call of the hook.
FAULTS = ["throttled", "broken", "denied", "lost", "slow", "unsent", "killed", "killed after"]
WORLDS: dict[str, dict[str, Any]] = {
    "good": {},
    "bad": {"errors": {"8": 0.5}},
    "stopped": {},
    "back": {},
}


def _struck(story: str) -> tuple[DeployingWorld, Asked]:
    world = DeployingWorld(tag=TAG, rate=2.0, **WORLDS[story])
    deployment = world.deployment(target="6" if story == "back" else "8")
    if story == "stopped":
        world.at(100, lambda: world.stop(deployment))
    return world, deployment


def _cases() -> Iterator[tuple[str, str, int | None, float, float]]:
    """The story, the fault, at which call or from when on, and until when."""
    for story in WORLDS:
        world, _ = _struck(story)
        world.play()
        own = [number for number, (_, who, _) in enumerate(world.callers) if who == "hook"]
        times = [time for _, _, time in world.callers]
        for number in own:
            for fault in FAULTS:
                yield story, fault, number, 0.0, 0.0
            for fault in ("throttled", "broken", "denied"):
                yield story, fault, None, times[number], times[number] + 60
                yield story, fault, None, times[number], 1e9


def _one_version(world: DeployingWorld, deployment: Asked) -> None:
    """The promise; and CodeDeploy and the alias agree."""
    assert world.alias.routing == {}, deployment
    assert world.alias.description == WORDS
    moved = deployment.status == "Succeeded"
    assert world.alias.version == (deployment.target if moved else "7"), deployment
    if not moved and deployment.status != "Stopped" and deployment.answers:
        assert endings(world), "somebody is told why"


def test_whatever_goes_wrong_at_whichever_call_of_the_hook(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The matrix: the alias ends on one version, and CodeDeploy has its answer unless AWS never
    answers again."""
    ended: Counter[str] = Counter()
    count = 0
    for story, fault, number, since, until in _cases():
        world, deployment = _struck(story)
        if number is None:
            world.down = (fault, since, min(until, 3650.0))
        else:
            world.faults[number] = fault
        world.play()
        count += 1
        where = (story, fault, number, since, until)
        endless = until > 3650
        if not endless:
            answered = deployment.status == "Stopped" or len(deployment.answers) == 1
            assert answered, (where, deployment)
        assert not world.alias.routing and not deployment.split, where
        assert world.alias.description == WORDS, where
        if deployment.answers == ["Failed"]:
            assert endings(world), (where, "nobody is told why")
        moved = deployment.status == "Succeeded"
        assert world.alias.version == (deployment.target if moved else "7"), where
        if story == "bad":
            assert not moved, where
        if story == "back" and not endless:
            assert moved, (where, deployment)
        ended[f"{story}: {deployment.status} {deployment.why}".strip()] += 1
    with capsys.disabled():
        told = ", ".join(f"{number} {how}" for how, number in sorted(ended.items()))
        print(f"\n  the hook's matrix: {count} cases; {told}")


# Thirty at once.


class Account(DeployingWorld):
    """Thirty functions' aliases. Requests to Lambda take a token each, 15 a second, of which others
    take some, as CloudFormation does."""

    REQUESTS = 15.0

    def __init__(self, names: list[str], others: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.aliases = {
            name: StoredAlias(f"{FUNCTION}:{name}", name, "7", f"{WORDS}, {name}") for name in names
        }
        self.refused = 0
        self._rate = self.REQUESTS - others
        self._tokens = self._rate
        self._filled = 0.0

    def call(self, name: str, apply: Any) -> Any:
        of_lambda = name in ("GetAlias", "UpdateAlias", "ListTags", "GetFunctionConfiguration")
        return super().call(name, lambda: self._limited(apply) if of_lambda else apply())

    def _limited(self, apply: Any) -> Any:
        self._tokens = min(self._rate, self._tokens + (self.time - self._filled) * self._rate)
        self._filled = self.time
        if self._tokens < 1:
            self.refused += 1
            raise Refused(429, "TooManyRequestsException", "Rate Exceeded.")
        self._tokens -= 1
        return apply()


@pytest.mark.parametrize("others", [0.0, 7.0])
def test_thirty_hooks_at_once_under_15_requests_a_second_are_all_answered_and_none_is_split(
    others: float, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"live-{number:02}" for number in range(30)]
    world = Account(names, others, tag="type=Linear20PercentEvery1Minute", rate=0)
    monkeypatch.setattr("world.cloudwatch.FakeCloudWatch._counted", lambda *_: {})
    for number, name in enumerate(names):
        world.deployment(f"d-{number:09}", alias=name)
    world.play()
    assert {each.status for each in world.deployments.values()} == {"Succeeded"}
    assert {len(each.answers) for each in world.deployments.values()} == {1}
    assert not any(each.split for each in world.deployments.values())
    for name, alias in world.aliases.items():
        told = (alias.version, alias.routing, alias.description)
        assert told == ("8", {}, f"{WORDS}, {name}")
    assert Counter(endings(world)) == {"APPROVED": 30}
    starts = [time for name, _, time in world.callers if name == "StartExecution"]
    assert 10 < max(starts) - min(starts) < 25, "they do not start together"
    last = max(each.ended for each in world.deployments.values())
    with capsys.disabled():
        print(
            f"\n  thirty hooks at once, {15 - others:g} requests a second: all answered within "
            f"{last:.0f} s; {len(world.calls)} calls, {world.refused} refused with 429"
        )


# The payload.


@pytest.mark.parametrize(
    ("words", "default", "said"),
    [
        (TAG, "", {"type": "Linear50PercentEvery1Minute", "health-check": {"settle": 60}}),
        ("", TAG, {"type": "Linear50PercentEvery1Minute", "health-check": {"settle": 60}}),
        (
            "steps=4 interval=30",
            f"{TAG} errors=baseline",
            {"steps": 4, "interval": 30, "health-check": {"errors": "baseline", "settle": 60}},
        ),
        (
            "errors=0.01 min-invocations=100 hold=120 every=5",
            TAG,
            {
                "type": "Linear50PercentEvery1Minute",
                "health-check": {
                    "errors": 0.01,
                    "min-invocations": 100,
                    "settle": 60,
                    "hold": 120,
                    "every": 5,
                },
            },
        ),
        (
            "weights=0.01/0.1/1 interval=2.5 errors=false min-invocations=1",
            TAG,
            {
                "weights": [0.01, 0.1, 1],
                "interval": 2.5,
                "health-check": {"errors": False, "settle": 60, "min-invocations": 1},
            },
        ),
    ],
)
def test_a_tag_s_words_become_a_payload(words: str, default: str, said: dict[str, Any]) -> None:
    deployment = Deployment.read(_info(), HERE)
    payload = deployment.payload(words, default, datetime(2026, 1, 5, 12, tzinfo=UTC))
    assert payload == {
        "function-name": "checkout",
        "alias-name": "live",
        "new-version": "8",
        "finalize": False,
        "deadline": "2026-01-05T12:00:00+00:00",
        "started-by": "CodeDeploy d-ABCDEF123",
        **said,
    }
    assert Rollout.from_event(payload, HERE).finalize is False


def test_a_function_of_another_account_is_refused() -> None:
    info = _info()
    content = info["revision"]["string"]["content"].replace(
        '"Name": "checkout"',
        '"Name": "arn:aws:lambda:eu-west-1:999999999999:function:checkout"',
    )
    info["revision"]["string"]["content"] = content
    with pytest.raises(InvalidRollout, match="is of the account 999999999999"):
        Deployment.read(info, HERE)


def _info() -> Any:
    content = Asked("d-ABCDEF123").app_spec
    revision = {"revisionType": "String", "string": {"content": content}}
    return {"deploymentId": "d-ABCDEF123", "revision": revision}
