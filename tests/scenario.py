"""A scenario of the stateful test: a plan, played in one virtual time, and all that is known of it
afterwards.

A plan is made of frozen values: rollouts of one alias, and the deeds of operators, AWS and fate.
`play` goes through it until nothing is left to happen. Whoever acts has a thread, but only one of
them runs at any time, and the next is always the earliest: a plan is played the same way every
time. Nothing is judged here (test_stateful.py does).

Of the deployer only the ways in are used: `simple.deploy`, the state machine's tasks, and
`watchdog.watch`.
"""

import contextlib
import heapq
import io
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, NamedTuple
from unittest.mock import patch

from deployer import watchdog
from deployer.aws import CallFailed, id_of
from deployer.decisions import errors
from local.rules import Refused, StoredAlias
from world.aws import FUNCTION
from world.execution import Failed
from world.faults import Killed
from world.machine import STATE_MACHINE, FakeStepFunctions, Machine, arn
from world.world import FakeClients, World

# -- the plan ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class At:
    seconds: float

    def __str__(self) -> str:
        return f"at {self.seconds:g} s"


@dataclass(frozen=True)
class Ended:
    """So many seconds after a rollout has ended, in whatever way."""

    who: int
    later: float

    def __str__(self) -> str:
        return f"{self.later:g} s after the end of {name_of(self.who)}"


@dataclass(frozen=True)
class Beside:
    """Beside somebody's API call, counted from 0: before it is sent, or when its answer has
    come."""

    who: int
    call: int
    after: bool

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} call {self.call} of {name_of(self.who)}"


Moment = At | Ended | Beside

#: In the place of a rollout's number.
WATCHDOG = -1


@dataclass(frozen=True)
class Update:
    """An operator's `update-alias`: None leaves as it is.

    In the text, `{stamp}` is the stamp that stands, `{id}` the id of the first rollout.
    """

    version: str | None = None
    routing: tuple[tuple[str, float], ...] | None = None
    text: str | None = None

    def __str__(self) -> str:
        split = {True: "unsplit", False: f"split {dict(self.routing or ())}"}[self.routing == ()]
        said = [f"version {self.version}"] if self.version else []
        said += [split] if self.routing is not None else []
        said += [f"description {self.text!r}"] if self.text is not None else []
        return f"an operator updates the alias: {', '.join(said) or 'nothing'}"


@dataclass(frozen=True)
class Kill:
    """The sandbox dies in which that rollout's deployer, or the watchdog, runs."""

    who: int

    def __str__(self) -> str:
        return f"the sandbox of {name_of(self.who)} is killed"


@dataclass(frozen=True)
class Stop:
    """StopExecution."""

    who: int

    def __str__(self) -> str:
        return f"the execution of {name_of(self.who)} is stopped"


@dataclass(frozen=True)
class Deliver:
    """The watchdog's message of that rollout is delivered now, in addition: early, or once more."""

    who: int

    def __str__(self) -> str:
        return f"the watchdog's message of {name_of(self.who)} is delivered, in addition"


@dataclass(frozen=True)
class Fault:
    """For so many seconds; for a single call, beside which it is planned, with 0.

    `what` is a fault of `World.call`, or "stale": GetAlias answers as of some seconds ago. `of` is
    one operation, or "" for all.
    """

    what: str
    seconds: float
    of: str = ""

    def __str__(self) -> str:
        lasts = f"for {self.seconds:g} s" if self.seconds else "once"
        return f"{self.of or 'every call'} is {self.what} {lasts}"


Deed = Update | Kill | Stop | Deliver | Fault


@dataclass(frozen=True)
class Rollout:
    driver: str  # "loop" or "machine"
    starts: Moment
    version: str
    weights: tuple[float, ...]
    interval: float
    health: Any = True  # False, or seconds to settle
    skew: float = (
        0.0  # of its sandbox's clock; of the state machine's, in every second one the other way
    )
    budget: float = 900.0

    def __str__(self) -> str:
        how = (
            f"{self.driver}, to version {self.version} by {self.weights} every {self.interval:g} s"
        )
        check = "no health check" if self.health is False else f"settle {self.health:g} s"
        more = f"{check}, clock {self.skew:+g} s, budget {self.budget:g} s"
        return f"starts {self.starts}: {how}; {more}"

    @property
    def event(self) -> dict[str, Any]:
        target = {"function-name": "checkout", "alias-name": "live", "new-version": self.version}
        how = {"weights": list(self.weights), "interval": self.interval, "hand-over": False}
        check = False if self.health is False else {"settle": self.health}
        return {**target, **how, "health-check": check}


@dataclass(frozen=True)
class Plan:
    rollouts: tuple[Rollout, ...]
    deeds: tuple[tuple[Moment, Deed], ...] = ()
    words: str = "Checkout service"  # the description at the start
    found: str = ""  # at the start: "", "abandoned" or "split"
    failing: tuple[str, ...] = ()  # versions whose calls all fail
    delay: float = 60.0  # how long after its end a minute is published
    late: float = 0.0  # for how long every message to the watchdog is late
    fires: float = 30.0  # how long after it is due a lease fires
    events_lost: bool = (
        False  # EventBridge loses the bad ends of executions; the schedule must find them
    )
    pending: float = 0.0  # until when version 9 is Pending

    def __str__(self) -> str:
        lines = [f"The alias is on version 7, described as {self.words!r}."]
        if self.found:
            lines += [{"abandoned": ABANDONED_STORY, "split": SPLIT_STORY}[self.found]]
        if self.failing:
            lines += [
                f"All calls of {self.failing} fail; published {self.delay:g} s after the minute."
            ]
        if self.late:
            lines += [f"Messages to the watchdog are {self.late:g} s late."]
        if self.fires != 30.0:
            lines += [f"Leases fire {self.fires:g} s after they are due."]
        if self.events_lost:
            lines += ["EventBridge loses what it is told of executions."]
        if self.pending:
            lines += [f"Version 9 is Pending until {self.pending:g} s."]
        lines += [f"{name_of(number)} {each}." for number, each in enumerate(self.rollouts)]
        lines += [f"{moment}: {deed}." for moment, deed in self.deeds]
        return "\n".join(f"  {line}" for line in lines)


ABANDONED_STORY = "A rollout that died an hour ago has left 30 % of its calls on version 9."
SPLIT_STORY = "An operator has split it: 30 % of its calls go to version 9."


def name_of(who: int) -> str:
    return "the watchdog" if who == WATCHDOG else f"rollout {'ABCD'[who]}"


# -- what is known afterwards --------------------------------------------------------------------

OPERATOR, ABANDONED = "an operator", "eeeeeeeeeeee"

#: Rollouts that are no part of a plan, but may stand in a stamp.
STRANGERS = (ABANDONED, "dddddddddddd")

#: What reads like a stamp is a stamp, whoever wrote it: no part of the user's words.
STAMP = re.compile(r" ?\[rollout ([0-9a-f]{12}) to ([0-9]+) [^\]]*until ([-0-9]+T[0-9:]+Z)\]")


class Stamped(NamedTuple):
    id: str
    version: str
    until: datetime


def stamp_in(description: str) -> Stamped | None:
    found = STAMP.findall(description)
    if not found:
        return None
    id, version, until = found[-1]
    return Stamped(id, version, datetime.fromisoformat(until))


def unstamped(description: str) -> str:
    return STAMP.sub("", description)


class State(NamedTuple):
    """What the alias was from then on, and who made it so: an operator, or a rollout, by its id."""

    since: float
    version: str
    routing: dict[str, float]
    description: str
    words: str  # the user's own, as they were last written
    version_by: str
    routing_by: str
    text_by: str
    answer: dict[str, Any]

    @property
    def sentence(self) -> str:
        if not self.routing:
            return f"Alias 'live' of 'checkout' is on version {self.version}."
        ((other, weight),) = self.routing.items()
        split = f"is split: it sends {weight * 100:.4g} % of its calls to version {other}"
        return f"Alias 'live' of 'checkout' {split}, the rest to version {self.version}."


class Write(NamedTuple):
    """`actor` is None for an operator; `by` is the rollout for which it was written."""

    time: float
    actor: "Actor | None"
    by: str
    before: State
    after: State


@dataclass
class Told:
    """One ending, as it was told; `heard` says that the bus took it, if need be at the second
    try."""

    time: float
    actor: "Actor"
    status: str
    reason: str
    where: str
    warnings: list[str]
    heard: bool

    @property
    def words(self) -> tuple[str, str]:
        return self.status, self.reason

    def __str__(self) -> str:
        return f"{self.status} ({self.reason} {self.where}) by {self.actor} at {self.time:.2f} s"


@dataclass
class Course:
    """What became of one rollout."""

    number: int
    plan: Rollout
    id: str
    original: str = ""  # as its events say
    started: float | None = None
    ended: float | None = None  # its deployer has ended, died or was stopped
    outcome: tuple[str, str] | None = (
        None  # a status and the error's text, unless it died or was stopped
    )
    stopped: bool = False
    lease_until: float = float("inf")  # from then on the watchdog may have the alias
    deaths: list[float] = field(
        default_factory=list
    )  # of its sandboxes, and of watchdogs at work for it
    endings: list[Told] = field(default_factory=list)
    rolled_back: list[float] = field(default_factory=list)  # when that was told

    def __str__(self) -> str:
        return f"{name_of(self.number)} ({self.plan.driver})"

    def lease_over(self, time: float) -> bool:
        return time >= self.lease_until

    def lives(self, time: float) -> bool:
        return self.started is not None and (self.ended is None or time < self.ended)


@dataclass
class Played:
    plan: Plan
    courses: list[Course]
    states: list[State]
    writes: list[Write]
    unexpected: list[tuple[str, str]]  # an exception that is not of the tree, and where it came out
    failed_rollbacks: list[tuple[float, "Actor", str]]  # deliveries that ended with RollbackFailed
    journal: list[str]
    done: int  # deeds that came to pass

    def by_id(self, id: str) -> Course | None:
        return next((course for course in self.courses if course.id == id), None)

    def between(self, since: float, until: float) -> Iterator[State]:
        """Every state that the alias was in at some time of those."""
        for state, following in zip(self.states, [*self.states[1:], None], strict=True):
            if state.since <= until and (following is None or following.since >= since):
                yield state

    @property
    def story(self) -> str:
        return f"The plan:\n{self.plan}\nWhat happened:\n" + "\n".join(
            f"  {line}" for line in self.journal
        )


# -- the world -----------------------------------------------------------------------------------

#: The statuses after which a rollout goes on, or goes on elsewhere.
NO_ENDINGS = ("STARTED", "SHIFTED", "SUSPENDED", "RESUMED", "ROLLED_BACK", "HANDED_OVER", "PLANNED")

#: As the template has them: the delay of what is told of an execution, how long a message that was
#: not accepted is hidden, how often it is delivered, the function's time-out, and how often the
#: schedule comes.
DELAY, REDELIVERY, MOST_DELIVERIES, WATCHDOG_BUDGET, SCHEDULE = 180.0, 360.0, 60, 60.0, 900.0

#: The watchdog's environment, as the template has it.
ENVIRONMENT = {"DEPLOY_STATE_MACHINE_ARN": STATE_MACHINE}

#: How old a stale answer of GetAlias is.
STALE = 6.0

#: How many calls a second the alias has.
RATE = 2.0


@dataclass(eq=False)
class Actor:
    """A rollout's deployer, or one delivery to the watchdog. It sleeps until it is given its
    turn."""

    who: int
    ids: tuple[str, ...]  # of the rollouts it may act for
    skew: float = 0.0
    sandbox: bool = (
        True  # whether there is one that could be killed; the state machine's comes and goes
    )
    dead: bool = False
    over: bool = False
    sleeps: int = 0
    turn: threading.Lock = field(default_factory=threading.Lock)

    def __str__(self) -> str:
        return name_of(self.who)


@dataclass
class Letter:
    """A message to the watchdog."""

    body: str
    ids: tuple[str, ...]
    deliveries: int = 0


class WatchedAlias(StoredAlias):
    """It has every update noted."""

    stage: "Stage"
    locked = True

    def update(self, request: Any, versions: Any, roles: Any) -> None:
        if not self.locked:
            request = {key: value for key, value in request.items() if key != "RevisionId"}
        self.stage.count_calls()
        super().update(request, versions, roles)
        self.stage.note(request)


class Heard(list[dict[str, Any]]):
    """The event bus: putting an event there is a call like any other."""

    def __init__(self, stage: "Stage") -> None:
        super().__init__()
        self._stage = stage

    def append(self, detail: dict[str, Any]) -> None:
        told = self._stage.tell(detail)
        self._stage.call("PutEvents", partial(self._stage.hear, told))


class Queue(list[tuple[float, str]]):
    """The watchdog's queue, as the deployer's own messages reach it."""

    def __init__(self, stage: "Stage") -> None:
        super().__init__()
        self._stage = stage

    def append(self, message: tuple[float, str]) -> None:
        due, body = message
        sender = self._stage.sender
        assert sender, "a deployer sends it"
        self._stage.post(Letter(body, sender.ids), due)


class Leases(dict[str, Any]):
    """The schedules of EventBridge Scheduler: each fires once, unless it was replaced or deleted by
    then."""

    def __init__(self, stage: "Stage") -> None:
        super().__init__()
        self._stage = stage

    def __setitem__(self, name: str, schedule: Any) -> None:
        super().__setitem__(name, schedule)
        sender = self._stage.sender
        assert sender, "a deployer creates it"
        letter = Letter(schedule.message, sender.ids)
        self._stage.courses[sender.who].lease_until = schedule.due
        self._stage.expect(letter)
        fires = schedule.due + self._stage.plan.fires
        self._stage.at(fires, partial(self._fire, name, schedule, letter))

    def _fire(self, name: str, schedule: Any, letter: Letter) -> None:
        if self.get(name) is schedule:
            del self[name]
            self._stage.post(letter, self._stage.time)


class Execution(Machine):
    """It notes when a task's sandbox is there to be killed, and what comes out of it that nobody
    expected."""

    world: "Stage"

    def _invoke(self, task: Any) -> Any:
        actor = self.world.acting
        actor.sandbox, actor.skew = True, -actor.skew
        try:
            return super()._invoke(task)
        except Failed:  # its sandbox died
            raise
        except Exception as error:
            name = type(error).__name__
            if not hasattr(errors, name):
                self.world.unexpected.append((name, f"the state machine's {task['task']}"))
            raise
        finally:
            actor.sandbox = False


class Stage(World):
    """The world in which a plan is played."""

    alias: WatchedAlias

    def __init__(self, plan: Plan) -> None:
        self._acting: Actor | None = None
        self.sender: Actor | None = None  # whose call takes effect right now; None: an operator's
        super().__init__(rate=0, delay=plan.delay, errors=dict.fromkeys(plan.failing, 1.0))
        self.plan = plan
        self.courses: list[Course] = []
        self.machines: dict[int, Execution] = {}
        self.written: list[Write] = []
        self.unexpected: list[tuple[str, str]] = []
        self.failed_rollbacks: list[tuple[float, Actor, str]] = []
        self.journal: list[str] = []
        self.told, self.messages, self.schedules = Heard(self), Queue(self), Leases(self)
        self._letters: dict[str, Letter] = {}  # by the rollout's id
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()
        self._main = threading.Lock()
        self._main.acquire()
        self._actors: list[Actor] = []
        self._calls_of: dict[int, int] = {}  # how many calls each has made
        self._faults: list[tuple[Fault, float]] = []  # and until when
        self._this_call: Fault | None = None
        self._counted = 0.0
        self.done = 0  # deeds that came to pass
        self._wrong: dict[tuple[Actor, str], str] = {}  # with what the last such call met
        self._schedules: set[float] = set()  # when the schedule comes
        self._beside: dict[
            Moment, list[Callable[[], None]]
        ] = {}  # what is planned for which moment
        self._set_up(plan)

    def _set_up(self, plan: Plan) -> None:
        self.alias = alias = WatchedAlias(f"{FUNCTION}:live", "live", "7", plan.words)
        alias.stage = self
        by = OPERATOR
        if plan.found:
            alias.routing = {"9": 0.3}
        if plan.found == "abandoned":
            until = self._starts - timedelta(hours=1)
            stamp = f"[rollout {ABANDONED} to 9 at 0.3 (1/2) until {until:%Y-%m-%dT%H:%M:%SZ}]"
            alias.description, by = f"{plan.words[:100]} {stamp}".strip(), ABANDONED
        words = unstamped(alias.description)
        facts = (alias.version, dict(alias.routing), alias.description, words)
        self.states_of_alias = [State(0.0, *facts, OPERATOR, by, by, alias.answer())]
        for number, rollout in enumerate(plan.rollouts):
            execution = f"run-{number}"
            id = f"{number + 10:x}" * 12 if rollout.driver == "loop" else id_of(arn(execution))
            self.courses.append(Course(number, rollout, id))
            if rollout.driver == "machine":
                self.machines[number] = Execution(self, rollout.event, execution)
            self._plan(rollout.starts, partial(self._begin, number))
        if plan.pending:
            self.states["9"] = ["Pending"]
            self.at(plan.pending, partial(self.states.update, {"9": ["Active"]}))
        for moment, deed in plan.deeds:
            self._plan(moment, partial(self._do, deed))

    # -- time: an agenda, and threads in turns -----------------------------------------------------

    @property
    def starts(self) -> datetime:
        """The start, by the clock of whoever acts; by AWS's own while a call takes effect."""
        skew = self._acting.skew if self._acting and not self.sender else 0.0
        return self._starts + timedelta(seconds=skew)

    @starts.setter
    def starts(self, starts: datetime) -> None:
        self._starts = starts

    def now(self) -> datetime:
        return self._starts + timedelta(seconds=self.time)

    @property
    def acting(self) -> Actor:
        assert self._acting, "somebody acts"
        return self._acting

    @property
    def dead(self) -> bool:
        return bool(self._acting and self._acting.dead)

    @dead.setter
    def dead(self, dead: bool) -> None:
        if self._acting:
            self._acting.dead = dead

    def at(self, time: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (max(time, self.time), next(self._number), action))

    def go_on(self) -> None:
        """Until nothing is left to happen."""
        while self._agenda:
            self.time, _, action = heapq.heappop(self._agenda)
            action()

    def advance(self, seconds: float) -> None:
        self.alive()
        actor = self.acting
        self._wake(actor, self.time + seconds)
        self._main.release()
        actor.turn.acquire()
        self.alive()

    def _wake(self, actor: Actor, time: float) -> None:
        actor.sleeps += 1
        self.at(time, partial(self._give_turn, actor, actor.sleeps))

    def _give_turn(self, actor: Actor, sleep: int) -> None:
        if actor.over or actor.sleeps != sleep:  # it was woken before, to be killed
            return
        self._acting = actor
        actor.turn.release()
        self._main.acquire()
        self._acting = None

    def _act(self, actor: Actor, body: Callable[[], None], budget: float) -> None:
        """From now on, for so many seconds at most."""

        def run() -> None:
            actor.turn.acquire()
            try:
                body()
            except Killed:
                pass
            except BaseException as error:  # an assertion, or a bug of the stage
                self.unexpected.append((type(error).__name__, f"{actor}: {error}"))
            finally:
                actor.over = True
                self._main.release()

        actor.turn.acquire()
        self._actors.append(actor)
        threading.Thread(target=run, daemon=True).start()
        self._wake(actor, self.time)
        if budget:
            self.at(self.time + budget, partial(self._kill, actor, "out of time"))

    def _kill(self, actor: Actor, why: str) -> None:
        if actor.over or actor.dead or not actor.sandbox:
            return
        self._say(f"{actor}: its sandbox dies, {why}")
        actor.dead = True
        for course in self.courses:
            if course.id in actor.ids:
                course.deaths.append(self.time)
        if actor is self._acting:
            raise Killed
        self._wake(actor, self.time)

    def _plan(self, moment: Moment, action: Callable[[], None]) -> None:
        match moment:
            case At(seconds):
                self.at(seconds, action)
            case _:
                self._beside.setdefault(moment, []).append(action)

    def _say(self, text: str) -> None:
        self.journal.append(f"{self.time:8.2f} s  {text}")

    # -- calls -------------------------------------------------------------------------------------

    def call(self, name: str, apply: Callable[[], Any]) -> Any:
        """One API call of whoever acts, with what happens beside it."""
        self.alive()
        actor = self.acting
        number = self._calls_of.get(actor.who, 0)
        self._calls_of[actor.who] = number + 1
        self._happen(Beside(actor.who, number, after=False))
        fault = self._fault(name)
        if fault == "stale":
            self._say(f"{actor}: call {number}, {name} is answered as of {STALE:g} s ago")
            fault, apply = "", partial(self._answer_of, self.time - STALE)
        self.down = (fault, 0.0, float("inf"))
        wrong = fault
        try:
            return super().call(name, partial(self._applied, actor, apply))
        except CallFailed as error:
            wrong = fault or str(error)
            raise
        finally:
            if wrong and self._wrong.get((actor, name)) != wrong:
                self._say(f"{actor}: call {number}, {name}: {wrong}")
            self._wrong[actor, name] = wrong
            if not actor.dead:
                self._happen(Beside(actor.who, number, after=True))

    def _happen(self, moment: Beside | Ended) -> None:
        for action in self._beside.pop(moment, ()):
            action()

    def _fault(self, name: str) -> str:
        """What is wrong with a call of that name, sent now."""
        this, self._this_call = self._this_call, None
        active = [fault for fault, until in self._faults if self.time < until]
        active += [this] if this else []
        kinds = [fault.what for fault in active if fault.of in ("", name)]
        kinds = [kind for kind in kinds if kind != "stale" or name == "GetAlias"]
        if not kinds:
            return ""
        # An event whose answer is lost would be told twice by rights: the bus has no other fault
        # than to be away.
        return "unsent" if name == "PutEvents" else kinds[-1]

    def _applied(self, actor: Actor, apply: Callable[[], Any]) -> Any:
        before, self.sender = self.sender, actor
        self.count_calls()
        try:
            return apply()
        finally:
            self.sender = before

    def _quietly(self, apply: Callable[[], Any]) -> None:
        with contextlib.suppress(Refused):
            apply()

    def _answer_of(self, time: float) -> dict[str, Any]:
        return [
            state.answer for state in self.states_of_alias if state.since <= time or not state.since
        ][-1]

    def count_calls(self) -> None:
        """The users' calls since the last time, split by the weights."""
        while self._counted < self.time:
            whole = self._starts + timedelta(seconds=self._counted)
            minute = whole.replace(second=0, microsecond=0)
            over = self._counted + (minute + timedelta(minutes=1) - whole).total_seconds()
            until = min(self.time, over)
            calls = RATE * (until - self._counted)
            other = sum(self.alias.routing.values())
            for version, share in [(self.alias.version, 1 - other), *self.alias.routing.items()]:
                counts: list[Any] = self.counts[version, minute]
                counts[0] += calls * share
                counts[1] += calls * share * self.errors.get(version, 0.0)
            self._counted = until

    # -- the alias ---------------------------------------------------------------------------------

    def note(self, request: Any) -> None:
        alias, before, writer = self.alias, self.states_of_alias[-1], self.sender
        by = self._on_behalf(writer, before) if writer else OPERATOR
        text = request.get("Description")
        facts = (alias.version, dict(alias.routing), alias.description)
        after = State(
            self.time,
            *facts,
            words=before.words if writer or text is None else unstamped(text),
            version_by=by if alias.version != before.version else before.version_by,
            routing_by=by if alias.routing != before.routing else before.routing_by,
            text_by=before.text_by if text is None else by,
            answer=alias.answer(),
        )
        self.states_of_alias.append(after)
        self.written.append(Write(self.time, writer, by, before, after))
        split = f" + {after.routing}" if after.routing else ""
        self._say(f"{writer or OPERATOR}: the alias is {after.version}{split}, {shown(after)}")

    def _on_behalf(self, writer: Actor, before: State) -> str:
        """Of the rollouts for which it may act, the one whose split or stamp was there."""
        stamp = stamp_in(before.description)
        for id in (before.routing_by, stamp.id if stamp else ""):
            if id in writer.ids:
                return id
        return writer.ids[0]

    # -- telling -----------------------------------------------------------------------------------

    def tell(self, detail: dict[str, Any]) -> Told:
        """Somebody tries to tell that."""
        status, reason = detail["status"], detail.get("reason", "")
        where, warnings = detail.get("where", ""), detail.get("warnings", [])
        told = Told(self.time, self.acting, status, reason, where, warnings, heard=False)
        course = next((each for each in self.courses if each.id == detail["rollout"]), None)
        if course is None:
            assert detail["rollout"] in STRANGERS, f"told of an unknown rollout: {detail}"
            self._say(f"{self.acting}: tells of {detail['rollout']}: {status}")
            return told
        course.original = detail.get("original-version", course.original)
        if status == "ROLLED_BACK":
            course.rolled_back.append(self.time)
        for before in course.endings:
            if before.actor is told.actor and before.words == told.words and not before.heard:
                return before  # the second try
        if status not in NO_ENDINGS:
            course.endings.append(told)
        about = f"{name_of(course.number)} {status}"
        self._say(f"{self.acting}: tells {about}. {reason} {where}".rstrip())
        return told

    def hear(self, told: Told) -> None:
        told.heard = True

    # -- the watchdog's messages become due --------------------------------------------------------

    def post(self, letter: Letter, due: float) -> None:
        """The one place where a message to the watchdog is given its time."""
        self.expect(letter)
        self.at(due + self.plan.late, partial(self._deliver, letter))

    def expect(self, letter: Letter) -> None:
        """This is the message that can be delivered in addition."""
        for id in letter.ids:
            self._letters[id] = letter

    def _deliver(self, letter: Letter) -> None:
        """The queue delivers it, and again until it is accepted."""
        letter.deliveries += 1
        actor = Actor(WATCHDOG, letter.ids)
        attributes = {"ApproximateReceiveCount": str(letter.deliveries)}
        record = {"body": letter.body, "attributes": attributes}

        def work() -> None:
            again = letter.deliveries < MOST_DELIVERIES
            clients = FakeClients(self, budget=WATCHDOG_BUDGET)
            clients.stepfunctions = FakeStepFunctions(self, self.machines.values())
            try:
                watchdog.watch({"Records": [record]}, clients)
                again = False
            except errors.RollbackFailed as error:
                self.failed_rollbacks.append((self.time, actor, str(error)))
            except (errors.DeployError, *CallFailed):
                pass
            except Exception as error:
                self.unexpected.append((type(error).__name__, f"the watchdog: {error}"))
                again = letter.deliveries < 3
            finally:
                if again:
                    self.at(self.time + REDELIVERY, partial(self._deliver, letter))

        self._say(f"the watchdog: a message is delivered, the {letter.deliveries}. time")
        self._act(actor, work, WATCHDOG_BUDGET)

    def _ended_badly(self, machine: Execution, course: Course) -> None:
        """An event goes to the watchdog's queue, unless it is lost; the schedule finds the
        execution in any case."""
        if not self.plan.events_lost:
            self.post(Letter(machine.event, (course.id,)), self.time + DELAY)
        first = (self.time + DELAY) // SCHEDULE * SCHEDULE + SCHEDULE
        executions = tuple(each.id for each in self.courses if each.plan.driver == "machine")
        body = json.dumps({"detail-type": "Scheduled Event"})
        for due in {first, first + SCHEDULE} - self._schedules:
            self.at(due, partial(self._deliver, Letter(body, executions)))
            self._schedules.add(due)

    # -- who acts ----------------------------------------------------------------------------------

    def _begin(self, number: int) -> None:
        course = self.courses[number]
        if course.started is not None:
            return
        course.started = self.time
        machine = self.machines.get(number)
        actor = Actor(number, (course.id,), course.plan.skew, sandbox=machine is None)
        self._say(f"{course} starts")
        body = partial(self._execute, machine, course) if machine else partial(self._loop, course)
        self._act(actor, body, 0 if machine else course.plan.budget)

    def _loop(self, course: Course) -> None:
        try:
            clients = FakeClients(self, budget=course.plan.budget)
            answer = self.invoke(course.plan.event, course.id, clients)
            course.outcome = answer["rollout"]["status"], ""
        except errors.DeployError as error:
            course.outcome = type(error).__name__, str(error)
            cause = error.__cause__
            if cause and type(cause).__module__ == "builtins":
                self.unexpected.append((type(cause).__name__, f"the loop: {cause}"))
        except Exception as error:
            course.outcome = type(error).__name__, str(error)
            self.unexpected.append((type(error).__name__, f"the loop: {error}"))
        finally:
            if self.dead:
                course.outcome = None
            self._over(course)

    def _execute(self, machine: Execution, course: Course) -> None:
        machine.run()
        if machine.status == "SUCCEEDED":
            output = machine.output
            told = output.get("rollout", {}) if isinstance(output, dict) else {}
            course.outcome = str(told.get("status", "SUCCEEDED without a result")), ""
        elif machine.status == "FAILED":
            cause = machine.cause
            if cause.startswith("{"):  # as Lambda wraps what the last Rollback raised
                cause = json.loads(cause)["errorMessage"]
            course.outcome = machine.error, cause
            self._ended_badly(machine, course)
        self._over(course)

    def _over(self, course: Course) -> None:
        if course.ended is None:
            course.ended = self.time
            self._say(f"{course} is over: {course.outcome or 'killed'}")
            for moment in [each for each in self._beside if isinstance(each, Ended)]:
                if moment.who == course.number:
                    for action in self._beside.pop(moment):
                        self.at(self.time + moment.later, action)

    def _do(self, deed: Deed) -> None:
        self.done += 1
        match deed:
            case Update():
                self._update(deed)
            case Kill(who):
                for actor in [each for each in self._actors if each.who == who]:
                    self._kill(actor, "killed")
            case Stop(who) if who in self.machines and self.courses[who].started is not None:
                machine, course = self.machines[who], self.courses[who]
                if machine.status == "RUNNING":
                    machine.abort()
                    course.stopped = True
                    self._say(f"{course} is stopped")
                    self._ended_badly(machine, course)
                    self._over(course)
            case Deliver(who) if who < len(self.courses) and self.courses[who].id in self._letters:
                self._deliver(self._letters[self.courses[who].id])
            case Fault(seconds=0):
                self._this_call = deed
            case Fault():
                self._say(str(deed))
                self._faults.append((deed, self.time + deed.seconds))

    def _update(self, update: Update) -> None:
        """An operator's, with AWS's own refusals."""
        request: dict[str, Any] = {}
        if update.version:
            request["FunctionVersion"] = update.version
        if update.routing is not None:
            request["RoutingConfig"] = {"AdditionalVersionWeights": dict(update.routing)}
        stands = STAMP.search(self.alias.description)
        if update.text is not None:
            stamp = stands[0].strip() if stands else ""
            text = update.text.replace("{stamp}", stamp).replace("{id}", self.courses[0].id)
            request["Description"] = text.strip()
        author = self.states_of_alias[-1].text_by
        before, self.sender = self.sender, None
        try:
            self.update_alias(**request)
            if update.text is not None and "{stamp}" in update.text and stands:
                # The stamp is still its writer's, who owes it to the user to take it out.
                self.states_of_alias[-1] = self.states_of_alias[-1]._replace(text_by=author)
        except Refused as refused:
            self._say(f"an operator is refused: {refused.code}")
        finally:
            self.sender = before


def shown(state: State) -> str:
    text = state.description
    return repr(text if len(text) < 130 else f"{text[:20]}…{text[-100:]}")


def play(plan: Plan, world: type[Stage] = Stage) -> Played:
    """Until nothing is left to happen."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), patch.dict(os.environ, ENVIRONMENT):
            stage = world(plan)
            stage.go_on()
    finally:
        logging.disable(disabled)
    facts = (stage.courses, stage.states_of_alias, stage.written, stage.unexpected)
    return Played(plan, *facts, stage.failed_rollbacks, stage.journal, stage.done)
