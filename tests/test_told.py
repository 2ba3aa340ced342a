"""Somebody is told: one event a change of state, each as the schema says and true, and none that
stops a rollout."""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from jsonschema import Draft202012Validator

from deployer import simple
from deployer.aws import id_of
from deployer.decisions import ending, errors
from deployer.decisions.errors import DeployError, RolloutInterrupted
from deployer.decisions.ownership import Snapshot
from local.cloud import ROOT
from tests.beginnings import DETAIL, EVENT, UNSPLIT
from world.delivery import deliver_all
from world.faults import Killed
from world.machine import STATE_MACHINE, FakeStepFunctions, Machine, arn
from world.world import FakeClients, World

SCHEMA = json.loads((ROOT / "events" / "event.schema.json").read_text())
SUSPENSION = {"SUSPENDED", "RESUMED"}
RESULTS = {"SUCCEEDED", "APPROVED", "ALREADY_DEPLOYED", "HANDED_OVER", "PLANNED"}
THREE_SHIFTS = ["STARTED", "SHIFTED", "SHIFTED", "SHIFTED"]


@dataclass(frozen=True)
class Story:
    """`told` are the statuses; `during` is what happens in the world meanwhile."""

    told: list[str]
    event: Any = field(default_factory=lambda: EVENT)
    world: dict[str, Any] = field(default_factory=dict)
    during: Callable[[World], None] = lambda world: None


def _operator(second: float, **request: Any) -> Callable[[World], None]:
    return lambda world: world.at(second, lambda: world.update_alias(**request))


def _set(**attributes: Any) -> Callable[[World], None]:
    return lambda world: world.__dict__.update(attributes)


def _print_failure(second: float) -> Callable[[World], None]:
    """What looks like a failed call of the new version, which is healthy."""

    def during(world: World) -> None:
        world.log_delay = 5.0
        world.at(second, lambda: world.write_failure("8"))

    return during


SMOKE = {**EVENT, "health-check": {"smoke-test": {"amount": 1}}}
FAILS = {"errors": {"8": 1.0}}

STORIES = {
    "good": Story([*THREE_SHIFTS, "SUCCEEDED"]),
    "rehearsed": Story([*THREE_SHIFTS, "APPROVED"], {**EVENT, "finalize": False}),
    "bad": Story([*THREE_SHIFTS, "ROLLED_BACK", "HealthCheckFailed"], world=FAILS),
    "bad, as its log tells first": Story(
        ["STARTED", "SHIFTED", "SUSPENDED", "ROLLED_BACK", "HealthCheckFailed"],
        world=FAILS,
        during=_set(log_delay=5.0),
    ),
    "good, whatever its log tells": Story(
        ["STARTED", "SHIFTED", "SUSPENDED", "RESUMED", "SHIFTED", "SHIFTED", "SUCCEEDED"],
        during=_print_failure(20),
    ),
    "bad in the smoke test": Story(
        ["HealthCheckFailed"], SMOKE, during=_set(smoke=lambda _: b'{"errorMessage": ""}')
    ),
    "busy": Story(["AliasBusy"], during=lambda world: world.alias.routing.update({"9": 0.5})),
    "already deployed": Story(["ALREADY_DEPLOYED"], {**EVENT, "new-version": "7"}),
    "taken back": Story(["STARTED", "SHIFTED", "AliasChanged"], during=_operator(20, **UNSPLIT)),
    "promoted": Story(
        ["STARTED", "SHIFTED", "SUCCEEDED"], during=_operator(20, FunctionVersion="8", **UNSPLIT)
    ),
    "not seen": Story(
        ["STARTED", "SHIFTED", "ROLLED_BACK", "HealthCheckInconclusive"],
        during=_set(down=("broken", 5, 40)),
    ),
    "interrupted": Story(
        ["STARTED", "SHIFTED", "ROLLED_BACK", "RolloutInterrupted"],
        during=_set(down=("throttled", 30.2, 75)),
    ),
    "refused by AWS": Story(
        ["STARTED", "InvalidRollout"], during=_set(faults={"UpdateAlias": "denied"})
    ),
    "no object": Story(["InvalidRollout"], 7),
    "misspelt": Story(["InvalidRollout"], {**EVENT, "setps": 3}),
    "no such alias": Story(["InvalidRollout"], {**EVENT, "alias-name": "absent"}),
    "no such version": Story(["InvalidRollout"], {**EVENT, "new-version": "99"}),
    "no answer before the start": Story(
        ["RolloutInterrupted"], during=_set(down=("broken", 0, 40))
    ),
    "planned": Story(["PLANNED"], {**EVENT, "dry-run": True}),
    "too long for a year": Story(
        ["RolloutTooLong"], {**EVENT, "interval": 12_000_000, "hand-over": False}
    ),
}


# The events.
@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
def test_a_rollout_tells_what_becomes_of_it(driver: str, name: str) -> None:
    world, ended = play(driver, STORIES[name])
    assert statuses(world) == STORIES[name].told
    assert statuses(world)[-1] == ended
    rollout = "0123456789ab" if driver == "the loop" else id_of(arn("run"))
    assert {event["rollout"] for event in world.told} == {rollout}
    shifted = [event for event in world.told if event["status"] == "SHIFTED"]
    assert [(event["weight"], event["step"]) for event in shifted] == [
        (0.33, 1),
        (0.67, 2),
        (1.0, 3),
    ][: len(shifted)]


@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
def test_a_suspension_says_why_and_at_which_weight_and_that_it_is_over(driver: str) -> None:
    world, _ = play(driver, STORIES["good, whatever its log tells"])
    suspended, resumed = (event for event in world.told if event["status"] in SUSPENSION)
    assert suspended["where"] == "Alias 'live' of 'checkout' is on version 7."
    assert "In its log: 1 × KeyError" in suspended["reason"]
    assert "sends 33 % of its calls to version 8" in resumed["where"]
    assert "CloudWatch counted 0 errors" in resumed["reason"]
    for event in (suspended, resumed):
        assert (event["weight"], event["step"]) == (0.33, 1)


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
def test_every_event_is_as_the_schema_says_and_true(driver: str, name: str) -> None:
    world, _ = play(driver, STORIES[name])
    assert world.told and not world.told.wrong


@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
def test_every_event_names_the_function_and_the_alias_as_soon_as_the_payload_is_read(
    driver: str,
) -> None:
    unread = {"no object"}
    for name in STORIES.keys() - unread:
        for event in play(driver, STORIES[name])[0].told:
            known = event.get("function"), event.get("alias")
            assert known == ("checkout", "absent" if name == "no such alias" else "live"), (
                name,
                event,
            )


def test_a_rollout_that_is_handed_over_is_told_on_by_the_state_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEPLOY_STATE_MACHINE_ARN", STATE_MACHINE)
    world = ToldWorld(budget=100)
    clients = FakeClients(world)
    clients.stepfunctions = FakeStepFunctions(world)
    simple.deploy(EVENT, clients, "0123456789ab", "request-1")
    Machine(world, clients.stepfunctions.started["request-1"], "request-1").run()
    assert statuses(world) == ["HANDED_OVER", *THREE_SHIFTS, "SUCCEEDED"]
    assert {event["rollout"] for event in world.told} == {id_of(arn("request-1"))}
    assert not world.told.wrong


@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
def test_what_the_watchdog_rescues_is_told_by_it(driver: str) -> None:
    world = ToldWorld(rate=0)
    machines = []
    if driver == "the state machine":
        machines = [Machine(world, EVENT)]
        world.at(40, machines[0].abort)
        machines[0].run()
    else:
        world.at(40, world.kill)
        with pytest.raises(Killed):
            world.invoke(EVENT)
        world.dead = False
    deliver_all(world, machines)
    assert statuses(world) == ["STARTED", "SHIFTED", "SHIFTED", "ROLLED_BACK", "RolloutInterrupted"]
    assert len({event["rollout"] for event in world.told}) == 1
    assert not world.told.wrong


def test_a_rollback_that_failed_is_told_and_its_rescue_too() -> None:
    world = ToldWorld(rate=0)
    world.down = ("denied", 40, 1000)
    with pytest.raises(errors.RollbackFailed):
        world.invoke(EVENT)
    deliver_all(world)
    assert statuses(world) == [
        *(
            "STARTED",
            "SHIFTED",
            "SHIFTED",
            "RollbackFailed",
        ),  # the watchdog, too, can do nothing at first
        *("ROLLED_BACK", "RolloutInterrupted"),
    ]
    assert not world.told.wrong


@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
def test_a_rollback_that_fails_for_good_is_told_as_the_schema_says(driver: str) -> None:
    world, ended = play(driver, Story([], during=_set(down=("denied", 40, 100_000))))
    assert ended == statuses(world)[-1] == "RollbackFailed"
    assert not world.told.wrong


# The schema.
def test_the_schema_is_a_schema_and_describes_every_field() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert all(field["description"] for field in SCHEMA["properties"].values())


def test_the_schema_names_every_status_and_every_error_of_the_tree() -> None:
    def below(kind: type[DeployError]) -> set[str]:
        return {name for each in kind.__subclasses__() for name in (each.__name__, *below(each))}

    house = Path(simple.__file__).parent
    sources = "\n".join(path.read_text() for path in house.glob("*.py"))
    told = set(re.findall(r'\btell\("([A-Z_]+)"', sources))
    assert told == {"STARTED", "SHIFTED", *SUSPENSION, "ROLLED_BACK"}
    endings = set(re.findall(r"\bending\.([A-Z_]+)", sources)) - {"UNTOUCHED", "PROMOTED"}
    assert endings | {ending.SUCCEEDED} == RESULTS
    assert set(SCHEMA["properties"]["status"]["enum"]) == told | RESULTS | below(DeployError)


def test_every_status_of_the_schema_is_told_in_a_story_and_so_held_against_it() -> None:
    """`HANDED_OVER` and `RollbackFailed` have stories of their own."""
    told = {status for story in STORIES.values() for status in story.told}
    others = {"HANDED_OVER", "RollbackFailed"}
    assert told == set(SCHEMA["properties"]["status"]["enum"]) - others


@pytest.mark.parametrize("status", sorted(SUSPENSION))
def test_the_schema_wants_a_suspension_to_say_why_and_where(status: str) -> None:
    said = {**DETAIL, "status": status, "reason": "The log of version 8 has 3 failed calls."}
    assert VALIDATOR.is_valid(said)
    for key in said:
        assert not VALIDATOR.is_valid({name: said[name] for name in said if name != key}), key
    assert not VALIDATOR.is_valid({**said, "reason": ""})
    assert not VALIDATOR.is_valid({**said, "warnings": []}), "only a result has them"


# The bus.
FAULTS = ["down", "slow", "refuses", "fails", "fails wordlessly"]


@pytest.mark.parametrize("bus", FAULTS)
@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
def test_an_event_bus_that_does_not_work_changes_no_rollout(driver: str, bus: str) -> None:
    for name, story in STORIES.items():
        good, ended = play(driver, story)
        world, ended_too = play(driver, story, bus)
        assert world.told == []
        assert (ended_too, world.history) == (ended, good.history), name
        assert world.alias.answer() | {"RevisionId": ""} == good.alias.answer() | {
            "RevisionId": ""
        }, name


@pytest.mark.parametrize("bus", FAULTS)
def test_an_event_bus_that_does_not_work_does_not_keep_the_watchdog_from_its_work(bus: str) -> None:
    world = World(rate=0)
    world.at(40, world.kill)
    with pytest.raises(Killed):
        world.invoke(EVENT)
    world.dead = False
    world.bus = bus
    assert deliver_all(world) == 1
    assert world.history == [0.33, 0.67, "7"]


def test_what_could_not_be_told_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    play("the loop", STORIES["good"], "fails")
    reasons = [vars(record)["reason"] for record in caplog.records if record.message == "NOT_TOLD"]
    assert reasons[0] == "The event STARTED could not be sent: Internal failure"
    assert len(reasons) == 5


# Nothing secret.
SECRET = "hunter2-hunter2"


def _times_out(payload: bytes) -> Exception:
    return ReadTimeoutError(endpoint_url="https://lambda.test")


@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
@pytest.mark.parametrize(
    ("smoke", "answer"),
    [
        ({"password": SECRET}, lambda _: b"null"),
        ({"password": SECRET}, lambda _: b'{"errorMessage": "wrong password"}'),
        ({"password": SECRET}, _times_out),
        ({"password": SECRET, "more": "x" * 40_000}, lambda _: b"null"),
        (json.dumps({"password": SECRET}), lambda _: b"null"),  # as `aws lambda invoke` takes it
        ([SECRET], lambda _: b"null"),
    ],
)
def test_the_smoke_test_s_payload_is_told_to_nobody(
    smoke: Any, answer: Callable[[bytes], Any], driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    story = Story(
        [], {**EVENT, "health-check": {"smoke-test": smoke}}, {"rate": 0.0}, _set(smoke=answer)
    )
    with caplog.at_level(logging.DEBUG):
        world, _ = play(driver, story)
    assert world.told and caplog.records
    assert SECRET not in json.dumps(world.told)
    assert not [record for record in caplog.records if SECRET in str(vars(record))]
    assert not [body for _, body in world.messages if SECRET in body]


def test_what_is_told_of_an_interruption_is_in_the_log_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world, ended = play("the loop", STORIES["interrupted"])
    assert ended == RolloutInterrupted.__name__
    logged = [vars(record) for record in caplog.records if record.message == ended]
    assert [(line["reason"], line["where"]) for line in logged] == [
        (world.told[-1]["reason"], world.told[-1]["where"])
    ]


# -- what the stories need ------------------------------------------------------------------------

VALIDATOR = Draft202012Validator(SCHEMA)


class Told(list[dict[str, Any]]):
    """It notes which events are not as the schema says, or say of the alias what is not so at that
    time."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self.wrong: list[str] = []

    def append(self, detail: dict[str, Any]) -> None:
        super().append(detail)
        now = f"Alias 'live' of 'checkout' {Snapshot(self._world.alias.answer()).state}."
        true = detail["where"] == now or re.search(
            "could not be read|neither read|^$", detail["where"]
        )
        wrong = [error.message for error in VALIDATOR.iter_errors(detail)] + (
            [] if true and self._headline_is_true(detail) else [f"Now {now}"]
        )
        self.wrong += [f"{detail}: {each}" for each in wrong]

    def _headline_is_true(self, detail: dict[str, Any]) -> bool:
        """What an ending's headline says of the alias's version, if it does."""
        headline = detail.get("sentences", {}).get("headline", "")
        said = re.search(r":live (?:is on|is back on|stayed on) version (\d+)", headline)
        alias = self._world.alias
        return not said or (alias.version, alias.routing) == (said[1], {})


class ToldWorld(World):
    """A world in which events are checked."""

    told: Told

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.told = Told(self)


def play(driver: str, story: Story, bus: str = "") -> tuple[ToldWorld, str]:
    """The rollout's world, and how it ended."""
    world = ToldWorld(**story.world)
    world.bus = bus
    story.during(world)
    if driver == "the state machine":
        machine = Machine(world, story.event).run()
        return world, machine.error or machine.output["rollout"]["status"]
    try:
        return world, world.invoke(story.event)["rollout"]["status"]
    except DeployError as error:
        return world, type(error).__name__


def statuses(world: World) -> list[str]:
    return [event["status"] for event in world.told]
