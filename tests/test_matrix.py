"""The fault matrix: whatever goes wrong at whichever call or sleep, the alias ends on one version,
and is told truly.

Every API call of a rollout and every sleep between calls is a place, in the loop and in the state
machine's tasks; every kind of fault strikes at each, for a healthy and for a failing version. Then
the watchdog's message is delivered until it is accepted. Telling is no place here: an event changes
no alias (test_told.py).
"""

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, NamedTuple

import pytest

from deployer.decisions import errors
from deployer.decisions.ownership import Snapshot
from tests.asl import alike, interpret
from world.aws import WORDS
from world.delivery import deliver_all
from world.faults import OF_THE_LEASE, Killed
from world.machine import SOURCE, Machine
from world.world import World

EVENT = {
    "function-name": "checkout",
    "alias-name": "live",
    "new-version": "8",
    "steps": 3,
    "interval": 30,
}
SEED = 1  # of the users' calls
ENDLESS = math.inf
#: How long an API that denies goes on to do so after the message is due, so that it must come
#: again.
AFTERWARDS = 700.0

EVERY_CALL = {"health-check": {"smoke-test": {}, "alarms": ["checkout-errors"]}}

#: The world and the payload: how often the new version fails, and how late that is published; and
#: who makes every call that a rollout may make.
STORIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "healthy": ({}, {}),
    "healthy, with a smoke test and an alarm": ({}, EVERY_CALL),
    "healthy, rehearsed": ({}, {"finalize": False}),
    "failing, found in settling": ({"errors": {"8": 1.0}}, {}),
    "failing, found in the second step": ({"errors": {"8": 0.2}, "delay": -20.0}, {}),
    "failing, suspended and convicted": (
        {"errors": {"8": 1.0}, "delay": 0.0},
        {"steps": 1, "health-check": {"settle": 60}},
    ),
    "healthy, suspended and acquitted": (
        {"delay": 0.0},
        {"steps": 1, "health-check": {"settle": 0}},
    ),
    "healthy enough, suspended and resumed": (
        {"errors": {"8": 0.15}, "delay": 0.0},
        {"steps": 1, "interval": 40, "health-check": {"errors": 0.2, "settle": 0}},
    ),
}

REHEARSED = "healthy, rehearsed"

#: The stories whose function writes a log: when it prints what looks like a failed call and is
#: none; and what is told of it.
LOGGED: dict[str, tuple[list[float], list[str]]] = {
    "failing, suspended and convicted": ([], ["SUSPENDED"]),
    "healthy, suspended and acquitted": ([3.0], ["SUSPENDED", "RESUMED"]),
    "healthy enough, suspended and resumed": ([], ["SUSPENDED", "RESUMED"]),
}


class Fault(NamedTuple):
    """`what` happens from the place on: for so many `calls`, or for so many `seconds`."""

    what: str
    calls: int = 0
    seconds: float = 0.0


AT_CALLS = {
    "throttled, 4 calls": Fault("throttled", calls=4),
    "throttled, 20 s": Fault("throttled", seconds=20),
    "throttled to the end": Fault("throttled", seconds=ENDLESS),
    "500s, 20 s": Fault("broken", seconds=20),
    "500s, 60 s": Fault("broken", seconds=60),
    "answer lost": Fault("lost", calls=1),
    "denied from then on": Fault("denied", seconds=ENDLESS),
    "slow": Fault("slow", calls=1),
    "killed before": Fault("killed", calls=1),
    "killed after": Fault("killed after", calls=1),
}
IN_SLEEPS = {
    "throttled, 20 s": Fault("throttled", seconds=20),
    "throttled to the end": Fault("throttled", seconds=ENDLESS),
    "500s, 60 s": Fault("broken", seconds=60),
    "answers lost, 20 s": Fault("lost", seconds=20),
    "denied from then on": Fault("denied", seconds=ENDLESS),
    "slow, 60 s": Fault("slow", seconds=60),
    "killed asleep": Fault("killed asleep"),
}
#: Beside those, for the state machine, whose killed tasks are run again. A stopped execution's task
#: goes on.
OF_TASKS = {"killed from then on": Fault("killed", seconds=ENDLESS), "aborted": Fault("aborted")}


@dataclass(frozen=True)
class Case:
    """`call` counts all calls from 0; a sleep has none. `time` is when the undisturbed rollout is
    there."""

    driver: str
    story: str
    kind: str
    fault: Fault
    time: float
    call: int | None

    def __str__(self) -> str:
        place = "in the sleep" if self.call is None else f"at call {self.call}"
        return f"{self.driver}, {self.story}: {self.kind} {place}, {self.time:g} s"


class WatchedWorld(World):
    """It notes when each call begins and ends, which looks were answered, and every state that the
    alias was in."""

    def __init__(self, story: str) -> None:
        super().__init__(rate=2.0, budget=360.0, seed=SEED, **STORIES[story][0])
        self.event, self.alarms = {**EVENT, **STORIES[story][1]}, {"checkout-errors": "OK"}
        if story in LOGGED:
            self.log_delay = 5.0
            for second in LOGGED[story][0]:
                self.at(second, lambda: self.write_failure("8"))
        self.called: list[tuple[float, float, str]] = []
        self.seen: list[float] = []
        self.states_of_alias = {self.state}

    @property
    def state(self) -> str:
        return Snapshot(self.alias.answer()).state

    def call(self, name: str, apply: Callable[[], Any]) -> Any:
        begun = self.time
        answer = super().call(name, apply)
        self.called.append((begun, self.time, name))
        if name == "GetMetricData":
            self.seen.append(self.time)
        return answer

    @property
    def suspensions(self) -> list[str]:
        statuses = [each["status"] for each in self.told]
        return [each for each in statuses if each in ("SUSPENDED", "RESUMED")]

    def moved(self) -> None:
        super().moved()
        self.states_of_alias.add(self.state)


class Ended(NamedTuple):
    """How a rollout ended: its error's name or a status; nothing of one that was killed or
    aborted."""

    status: str
    message: str = ""


def looped(world: WatchedWorld) -> Ended:
    try:
        ended = Ended(world.invoke(world.event)["rollout"]["status"])
    except errors.DeployError as error:
        ended = Ended(type(error).__name__, str(error))
    except Killed:
        ended = Ended("killed")
    return Ended("killed") if world.dead else ended


def executed(machine: Machine) -> Ended:
    machine.run()
    if machine.status == "SUCCEEDED":
        return Ended(machine.output["rollout"]["status"])
    if machine.status == "ABORTED":
        return Ended("aborted")
    cause = machine.cause
    if cause.startswith("{"):  # as Lambda wraps what a Rollback raised
        cause = json.loads(cause)["errorMessage"]
    return Ended(machine.error, cause)


def struck(case: Case) -> tuple[WatchedWorld, Machine]:
    """A world in which that happens there."""
    world = WatchedWorld(case.story)
    machine = Machine(world, world.event)
    what, calls, seconds = case.fault
    if what == "aborted":
        world.at(case.time, machine.abort)
    elif what == "killed asleep":
        world.at(case.time, world.kill)
    elif calls and case.call is not None:
        for number in islice(_numbered(case), case.call, case.call + calls):
            world.faults[number] = what
    else:
        world.down = (what, case.time, case.time + seconds)
    return world, machine


def _numbered(case: Case) -> Iterator[int | str]:
    """What the world's faults call the undisturbed rollout's calls, and some after them."""
    number = 0
    of_the_lease: Counter[str] = Counter()
    for name in [*(name for _, _, name in undisturbed(case.driver, case.story)), *["more"] * 4]:
        if name in OF_THE_LEASE:
            yield f"{name} {of_the_lease[name]}"
            of_the_lease[name] += 1
        else:
            yield number
            number += 1


def expected(story: str) -> str:
    """How it ends if nothing goes wrong."""
    if story == REHEARSED:
        return "APPROVED"
    return "SUCCEEDED" if story.startswith("healthy") else "HealthCheckFailed"


_undisturbed: dict[tuple[str, str], list[tuple[float, float, str]]] = {}


def undisturbed(driver: str, story: str) -> list[tuple[float, float, str]]:
    """When each call began and ended, and its name."""
    if (driver, story) not in _undisturbed:
        world = WatchedWorld(story)
        ended = looped(world) if driver == "loop" else executed(Machine(world, world.event))
        assert ended.status == expected(story)
        assert world.suspensions == LOGGED.get(story, ([], []))[1]
        _undisturbed[driver, story] = world.called
    return _undisturbed[driver, story]


def cases(driver: str, story: str) -> Iterator[Case]:
    called = undisturbed(driver, story)
    more = OF_TASKS if driver == "machine" else {}
    for number, (begun, _, _) in enumerate(called):
        for kind, fault in (AT_CALLS | more).items():
            yield Case(driver, story, kind, fault, begun, number)
    for (_, asleep, _), (awake, _, _) in pairwise(called):
        for kind, fault in (IN_SLEEPS | more).items() if awake - asleep > 0.5 else ():
            # Between its tasks the state machine has no sandbox that could be killed.
            if driver == "loop" or not kind.startswith("killed"):
                yield Case(driver, story, kind, fault, (asleep + awake) / 2, None)


class Outcome(NamedTuple):
    """What was wrong, nothing if it held; whether the alias was split before the watchdog came; how
    it ended."""

    wrong: list[str]
    split: bool
    status: str
    deliveries: int


def play(case: Case) -> Outcome:
    """The rollout, then the watchdog until its message is accepted."""
    world, machine = struck(case)
    ended = looped(world) if case.driver == "loop" else executed(machine)
    wrong = list(_told_wrongly(world, ended))
    what, since, until = world.down
    world.dead, world.down = False, ("", 0.0, 0.0)
    if until == ENDLESS:  # it answers again
        dues = [due for due, _, _ in world.due] or [world.time + 180]
        world.down = (
            (what, since, max(*dues, world.time) + AFTERWARDS)
            if what == "denied"
            else ("", 0.0, 0.0)
        )
    split = bool(world.alias.routing)
    deliveries = deliver_all(world, [machine] if case.driver == "machine" else [])
    return Outcome(
        wrong + list(_ended_wrongly(world, ended, case.story)), split, ended.status, deliveries
    )


def _told_wrongly(world: WatchedWorld, ended: Ended) -> Iterator[str]:
    """What an error says, at the time at which it says so."""
    if not ended.message:
        return
    if ended.status == "Runtime.ExitError":  # the function itself could never run again
        return
    kind = getattr(errors, ended.status, None)
    if not (isinstance(kind, type) and issubclass(kind, errors.DeployError)):
        yield f"{ended.status} is not of the tree"
    last = ended.message.rpartition("Alias 'live' of 'checkout' ")[2]
    if unread := re.fullmatch(r"could not be read \(\w+\); when last seen it (.*)\.", last):
        if unread[1] not in world.states_of_alias:
            yield f"it was never so: {last}"
    elif ended.message.endswith(
        (" The alias was neither read nor changed.", " The alias was not moved.")
    ):
        if world.writes:
            yield "it was moved"
    elif last != f"{world.state}.":
        yield f"told '{last}', but it {world.state}"


def _ended_wrongly(world: WatchedWorld, ended: Ended, story: str) -> Iterator[str]:
    """The promise, when all is over."""
    finalized = [time for time, onto, routing in world.moves if (onto, routing) == ("8", {})]
    if world.alias.routing:
        yield f"split: {world.state}"
    if world.alias.description != WORDS:
        yield f"described as {world.alias.description!r}"
    if (world.alias.version == "8") != bool(finalized) or world.alias.version not in "78":
        yield f"on version {world.alias.version}, finalized at {finalized}"
    if ended.status == "SUCCEEDED" and not finalized:
        yield "called a success"
    if not story.startswith("healthy") and finalized:
        yield "the failing version was finalized"
    if story == REHEARSED:
        if finalized:
            yield "a rehearsal was finalized"
        if ended.status == "APPROVED":
            finalized = [time for time, *alone in world.moves if alone == ["7", {}]]
            if list(dict.fromkeys(world.history)) != [0.33, 0.67, 1.0, "7"]:
                yield "approved before its end"
    shifts = {routing["8"]: time for time, _, routing in world.moves if routing}
    for begun, over in pairwise([*shifts.values(), *finalized[:1]]) if finalized else ():
        if not any(begun <= look <= over for look in world.seen):
            yield f"nobody looked between {begun:g} and {over:g} s"


def report(
    capsys: pytest.CaptureFixture[str], driver: str, played: list[tuple[Case, Outcome]]
) -> None:
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for case, outcome in played:
        row = rows[case.kind]
        row["cases"] += 1
        row["held"] += not outcome.wrong
        row["split"] += outcome.split
        row["again"] += outcome.deliveries > 1
    with capsys.disabled():
        print(
            f"\n{driver:34} {'cases':>6} {'held':>6} {'split without watchdog':>24} {'message came again':>20}"
        )
        for kind, row in [*rows.items(), ("all", sum(rows.values(), Counter()))]:
            print(
                f"{'':10}{kind:24} {row['cases']:>6} {row['held']:>6} {row['split']:>24} {row['again']:>20}"
            )
        ended = Counter(outcome.status for _, outcome in played)
        print(
            f"{'':10}seed {SEED}; ended: "
            + ", ".join(f"{number} {how}" for how, number in ended.most_common())
        )


@pytest.mark.parametrize("driver", ["loop", "machine"])
def test_whatever_goes_wrong_the_alias_ends_on_one_version_and_is_told_truly(
    driver: str, capsys: pytest.CaptureFixture[str]
) -> None:
    played = [(case, play(case)) for story in STORIES for case in cases(driver, story)]
    report(capsys, driver, played)
    broken = [f"{case}: {'; '.join(outcome.wrong)}" for case, outcome in played if outcome.wrong]
    assert not broken, f"{len(broken)} of {len(played)}:\n" + "\n".join(broken[:30])
    # Without the watchdog the promise would not hold: the matrix bites.
    assert sum(outcome.split for _, outcome in played) > 20


@pytest.mark.parametrize("driver", ["loop", "machine"])
@pytest.mark.parametrize("story", LOGGED)
def test_whatever_becomes_of_a_reading_of_the_log_the_verdict_is_the_same(
    driver: str, story: str
) -> None:
    readings = [name for _, _, name in undisturbed(driver, story)].count("FilterLogEvents")
    assert readings > 1
    ended = set()
    for what in ("throttled", "broken", "denied", "lost", "late", "unsent", "slow"):
        for first in range(readings):
            for last in (first + 1, 100):
                world = WatchedWorld(story)
                for number in range(first, last):
                    world.faults[f"FilterLogEvents {number}"] = what
                machine = Machine(world, world.event)
                told = looped(world) if driver == "loop" else executed(machine)
                assert told.status == expected(story), (what, first, last)
                assert (world.alias.routing, world.alias.description) == ({}, WORDS)
                ended.add(tuple(world.suspensions))
    assert len(ended) > 1, "without the log nothing is suspended"


#: Of the state machine's cases, through moto's interpreter as well.
INTERPRETED = [
    "throttled, 4 calls",
    "throttled, 20 s",
    "500s, 60 s",
    "answer lost",
    "killed before",
    "killed after",
]


@pytest.mark.parametrize("number", range(10))
def test_motos_interpreter_goes_the_same_ways(number: int) -> None:
    """Ten cases, spread over the matrix: moto's interpreter writes the same history."""
    chosen = [
        case
        for story in ("healthy", "failing, found in settling", "healthy, suspended and acquitted")
        for case in cases("machine", story)
        if case.kind in INTERPRETED and case.call is not None
    ]
    case = chosen[number * len(chosen) // 10 + number]
    world, machine = struck(case)
    executed(machine)
    interpreted, other = struck(case)
    execution = interpret(SOURCE, interpreted.event, other._invoke, interpreted.advance)
    assert (execution.status, execution.error) == (machine.status, machine.error), str(case)
    assert alike(machine, execution), str(case)
    assert interpreted.history == world.history
    assert (interpreted.alias.routing, interpreted.alias.description) == ({}, WORDS)
