"""Where the plans of the stateful test are played, in one virtual time: the stage.

`play` goes through a plan until nothing is left to happen, and says all that is known of it then.
Whoever acts has a thread, but only one of them runs at any time (tests/agenda.py). Nothing is
judged here.

Of the deployer only the ways in are used: `simple.deploy`, the state machine's tasks, and
`watchdog.watch`.
"""

import contextlib
import io
import json
import logging
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

from deployer import watchdog
from deployer.aws import CallFailed, id_of
from deployer.decisions import errors
from local.rules import Refused, StoredAlias
from tests.agenda import Actor, Agenda
from tests.plans import (
    WATCHDOG,
    At,
    Beside,
    Deed,
    Deliver,
    Ended,
    Fault,
    Kill,
    Moment,
    Plan,
    Rollout,
    Stop,
    Suspended,
    Update,
    name_of,
)
from tests.played import (
    ABANDONED,
    NO_ENDINGS,
    OPERATOR,
    STAMP,
    STRANGERS,
    Course,
    Played,
    State,
    Told,
    Write,
    unstamped,
)
from world.aws import FUNCTION
from world.aws import Failed as FailedCall
from world.execution import Failed
from world.faults import Killed
from world.machine import STATE_MACHINE, FakeStepFunctions, Machine, arn
from world.world import FakeClients, World

# As the template has them:

#: The delay of what is told of an execution.
DELAY = 180.0
#: How long a message that was not accepted is hidden, and how often it is delivered.
REDELIVERY = 360.0
MOST_DELIVERIES = 60
#: The watchdog's time-out.
WATCHDOG_BUDGET = 60.0
#: How often the schedule comes.
SCHEDULE = 900.0

#: The watchdog's environment, as the template has it.
ENVIRONMENT = {"DEPLOY_STATE_MACHINE_ARN": STATE_MACHINE}

#: How old a stale answer of GetAlias is.
STALE = 6.0

#: How many calls a second the alias has.
RATE = 2.0

#: How many times version 8 prints what looks like a failed call, where it does.
NOISES = 60


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

    def __delitem__(self, name: str) -> None:
        """One that is deleted before it is due never sends a message: there is none to deliver."""
        if self._stage.time < self[name].due:
            self._stage.forget(name)
        super().__delitem__(name)

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
        actor.sandbox = True
        actor.skew = -actor.skew
        for id in actor.ids:
            self.world.suspended_by_task.pop(id, None)
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
        self.agenda = Agenda()
        self.sender: Actor | None = None  # whose call takes effect right now; None: an operator's
        super().__init__(rate=0, delay=plan.delay, errors=dict.fromkeys(plan.failing, plan.share))
        self.plan = plan
        self.log_delay = plan.log_delay
        self.log_fault = plan.log_fault
        self.courses: list[Course] = []
        self.machines: dict[int, Execution] = {}
        self.written: list[Write] = []
        self.unexpected: list[tuple[str, str]] = []
        self.failed_rollbacks: list[tuple[float, Actor, str]] = []
        self.journal: list[str] = []
        self.told = Heard(self)
        self.messages = Queue(self)
        self.schedules = Leases(self)
        self._letters: dict[str, Letter] = {}  # by the rollout's id
        self._actors: list[Actor] = []
        self._calls_of: dict[int, int] = {}  # how many calls each has made
        self._faults: list[tuple[Fault, float]] = []  # and until when
        self._this_call: Fault | None = None
        self._counted = 0.0
        self._unwritten: dict[str, float] = {}  # failed calls that the log does not have yet
        self._suspending: dict[str, float] = {}  # since when, by rollouts that do not know it yet
        self._took_effect = 0.0  # the last call that did
        #: The same of those who know it, as long as their task lasts: one that is run again does
        #: not.
        self.suspended_by_task: dict[str, float] = {}
        self.done = 0  # deeds that came to pass
        self._wrong: dict[tuple[Actor, str], str] = {}  # with what the last such call met
        self._schedules: set[float] = set()  # when the schedule comes
        self._beside: dict[Moment, list[Callable[[], None]]] = {}  # what is planned for which
        self._set_up_alias(plan)
        for number, rollout in enumerate(plan.rollouts):
            self._set_up_rollout(number, rollout)
        if plan.pending:
            self.states["9"] = ["Pending"]
            self.at(plan.pending, partial(self.states.update, {"9": ["Active"]}))
        for number in range(1, NOISES + 1 if plan.noise else 0):
            self.at(number * plan.noise, self._print)
        for moment, deed in plan.deeds:
            self._plan(moment, partial(self._do, deed))

    def _set_up_alias(self, plan: Plan) -> None:
        alias = WatchedAlias(f"{FUNCTION}:live", "live", "7", plan.words)
        alias.stage = self
        by = OPERATOR
        if plan.found:
            alias.routing = {"9": 0.3}
        if plan.found == "abandoned":
            until = self._starts - timedelta(hours=1)
            stamp = f"[rollout {ABANDONED} to 9 at 0.3 (1/2) until {until:%Y-%m-%dT%H:%M:%SZ}]"
            alias.description = f"{plan.words[:100]} {stamp}".strip()
            by = ABANDONED
        first = State(
            since=0.0,
            version=alias.version,
            routing=dict(alias.routing),
            description=alias.description,
            words=unstamped(alias.description),
            version_by=OPERATOR,
            routing_by=by,
            text_by=by,
            answer=alias.answer(),
        )
        self.alias = alias
        self.states_of_alias = [first]

    def _set_up_rollout(self, number: int, rollout: Rollout) -> None:
        if rollout.driver == "loop":
            id = f"{number + 10:x}" * 12
        else:
            execution = f"run-{number}"
            id = id_of(arn(execution))
            self.machines[number] = Execution(self, rollout.event, execution)
        self.courses.append(Course(number, rollout, id))
        self._plan(rollout.starts, partial(self._begin, number))

    # -- time, and whoever acts in it ---------------------------------------------------------------

    @property
    def time(self) -> float:
        return self.agenda.time

    @time.setter
    def time(self, time: float) -> None:
        self.agenda.time = time

    @property
    def starts(self) -> datetime:
        """The start, by the clock of whoever acts; by AWS's own while a call takes effect."""
        actor = self.agenda.acting
        skew = actor.skew if actor and not self.sender else 0.0
        return self._starts + timedelta(seconds=skew)

    @starts.setter
    def starts(self, starts: datetime) -> None:
        self._starts = starts

    def now(self) -> datetime:
        return self._starts + timedelta(seconds=self.time)

    @property
    def acting(self) -> Actor:
        actor = self.agenda.acting
        assert actor, "somebody acts"
        return actor

    @property
    def dead(self) -> bool:
        actor = self.agenda.acting
        return actor is not None and actor.dead

    @dead.setter
    def dead(self, dead: bool) -> None:
        actor = self.agenda.acting
        if actor:
            actor.dead = dead

    def at(self, time: float, action: Callable[[], None]) -> None:
        self.agenda.at(time, action)

    def advance(self, seconds: float) -> None:
        self.alive()
        self.agenda.sleep(self.acting, seconds)
        self.alive()

    def _act(self, actor: Actor, body: Callable[[], None], budget: float) -> None:
        """From now on, for so many seconds at most."""

        def run() -> None:
            try:
                body()
            except Killed:
                pass
            except BaseException as error:  # an assertion, or a bug of the stage
                self.unexpected.append((type(error).__name__, f"{actor}: {error}"))

        self._actors.append(actor)
        self.agenda.start(actor, run)
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
                if course.id in self.suspended_by_task:
                    self._suspending[course.id] = self.suspended_by_task.pop(course.id)
        if actor is self.agenda.acting:
            raise Killed
        self.agenda.wake(actor, self.time)

    def _plan(self, moment: Moment, action: Callable[[], None]) -> None:
        if isinstance(moment, At):
            self.at(moment.seconds, action)
        else:
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
            fault = ""
            apply = partial(self._answer_of, self.time - STALE)
        self.down = (fault, 0.0, float("inf"))
        wrong = fault
        sent = self.time
        try:
            answer = super().call(name, partial(self._applied, actor, apply))
            self._knows(actor, name, sent)
            return answer
        except CallFailed as error:
            wrong = fault or str(error)
            raise
        finally:
            if wrong and self._wrong.get((actor, name)) != wrong:
                self._say(f"{actor}: call {number}, {name}: {wrong}")
            self._wrong[actor, name] = wrong
            if not actor.dead:
                self._happen(Beside(actor.who, number, after=True))

    def _knows(self, actor: Actor, name: str, sent: float) -> None:
        """It has an answer that says how the alias is; `sent` is when it asked."""
        for course in self.courses:
            if name in ("GetAlias", "UpdateAlias") and course.id in actor.ids:
                since = self._suspending.pop(course.id, sent)
                if since < sent:  # by an earlier call, which was not answered
                    course.unsure.append((since, self._took_effect))
                if since != sent:
                    self.suspended_by_task[course.id] = since

    def _happen(self, moment: Beside | Ended | Suspended) -> None:
        for action in self._beside.pop(moment, ()):
            action()

    def _fault(self, name: str) -> str:
        """What is wrong with a call of that name, sent now."""
        active = [fault for fault, until in self._faults if self.time < until]
        if self._this_call:
            active.append(self._this_call)
            self._this_call = None
        kinds = [fault.what for fault in active if fault.of in ("", name)]
        if name != "GetAlias":
            kinds = [kind for kind in kinds if kind != "stale"]
        if not kinds:
            return ""
        if name == "PutEvents":
            # An event whose answer is lost would be told twice by rights: the bus has no other
            # fault than to be away.
            return "unsent"
        return kinds[-1]

    def _applied(self, actor: Actor, apply: Callable[[], Any]) -> Any:
        before = self.sender
        self.sender = actor
        self._took_effect = self.time
        self.count_calls()
        try:
            return apply()
        finally:
            self.sender = before

    def _quietly(self, apply: Callable[[], Any]) -> None:
        with contextlib.suppress(Refused):
            apply()

    def _answer_of(self, time: float) -> dict[str, Any]:
        """What GetAlias answered then; before the start, what it answered at the start."""
        then = [state for state in self.states_of_alias if state.since <= max(time, 0.0)]
        return then[-1].answer

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
                failed = calls * share * self.errors.get(version, 0.0)
                counts[1] += failed
                self._write(version, failed, (self._counted + until) / 2)
            self._counted = until

    def _write(self, version: str, failed: float, time: float) -> None:
        """The log has so many more failed calls, of that time."""
        whole = failed + self._unwritten.get(version, 0.0)
        while whole >= 1 and self.log_delay < math.inf:
            self.failed.append(FailedCall(time, version, time + self.log_delay, len(self.failed)))
            whole -= 1
        self._unwritten[version] = whole

    def _print(self) -> None:
        """Version 8 prints what looks like a failed call, if it is called."""
        self.count_calls()
        if "8" in (self.alias.version, *self.alias.routing):
            self._write("8", 1.0, self.time)

    # -- the alias ---------------------------------------------------------------------------------

    def note(self, request: Any) -> None:
        """The alias has been written: by whoever is the sender, or an operator."""
        alias = self.alias
        before = self.states_of_alias[-1]
        writer = self.sender
        by = self._on_behalf(writer, before) if writer else OPERATOR
        text = request.get("Description")
        taken_back = before.suspended and writer is None
        after = State(
            since=self.time,
            version=alias.version,
            routing=dict(alias.routing),
            description=alias.description,
            words=before.words if writer or text is None else unstamped(text),
            version_by=by if alias.version != before.version else before.version_by,
            # Who writes what stands there already takes a suspended alias back.
            routing_by=by if alias.routing != before.routing or taken_back else before.routing_by,
            text_by=before.text_by if text is None else by,
            answer=alias.answer(),
        )
        self.states_of_alias.append(after)
        self.written.append(Write(self.time, writer, by, before, after))
        self._suspended(writer, by)
        split = f" + {after.routing}" if after.routing else ""
        self._say(f"{writer or OPERATOR}: the alias is {after.version}{split}, {shown(after)}")

    def _suspended(self, writer: Actor | None, by: str) -> None:
        """What is planned for when that rollout is suspended, if it has just been."""
        if writer is None or not self.written[-1].suspends:
            return
        self._suspending[by] = self.time
        for moment in list(self._beside):
            if isinstance(moment, Suspended) and self.courses[moment.who].id == by:
                for action in self._beside.pop(moment):
                    self.at(self.time + moment.later, action)

    def _on_behalf(self, writer: Actor, before: State) -> str:
        """Of the rollouts for which it may act, the one whose split or stamp was there."""
        if before.routing_by in writer.ids:
            return before.routing_by
        if before.stamp and before.stamp.id in writer.ids:
            return before.stamp.id
        return writer.ids[0]

    # -- telling -----------------------------------------------------------------------------------

    def tell(self, detail: dict[str, Any]) -> Told:
        """Somebody tries to tell that."""
        told = Told(
            time=self.time,
            actor=self.acting,
            status=detail["status"],
            reason=detail.get("reason", ""),
            where=detail.get("where", ""),
            warnings=detail.get("warnings", []),
            heard=False,
        )
        course = next((each for each in self.courses if each.id == detail["rollout"]), None)
        if course is None:
            assert detail["rollout"] in STRANGERS, f"told of an unknown rollout: {detail}"
            self._say(f"{self.acting}: tells of {detail['rollout']}: {told.status}")
            return told
        if self.acting.who == course.number:  # others may have it from a stamp written by hand
            course.original = detail.get("original-version", course.original)
        if told.status == "ROLLED_BACK":
            course.rolled_back.append(self.time)
        for before in [*course.endings, *course.suspensions[-1:]]:
            if before.actor is told.actor and before.words == told.words and not before.heard:
                return before  # the second try
        if told.status in ("SUSPENDED", "RESUMED"):
            course.suspensions.append(told)
        if told.status not in NO_ENDINGS:
            course.endings.append(told)
        about = f"{name_of(course.number)} {told.status}"
        self._say(f"{self.acting}: tells {about}. {told.reason} {told.where}".rstrip())
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

    def forget(self, id: str) -> None:
        self._letters.pop(id, None)

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
        budget = 0 if machine else course.plan.budget
        self._act(actor, body, budget)

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
        if course.ended is not None:
            return
        course.ended = self.time
        self._say(f"{course} is over: {course.outcome or 'killed'}")
        for moment in list(self._beside):
            if isinstance(moment, Ended) and moment.who == course.number:
                for action in self._beside.pop(moment):
                    self.at(self.time + moment.later, action)

    def _do(self, deed: Deed) -> None:
        self.done += 1
        match deed:
            case Update():
                self._update(deed)
            case Kill(who):
                for actor in list(self._actors):
                    if actor.who == who:
                        self._kill(actor, "killed")
            case Stop(who):
                self._stop(self.courses[who])
            case Deliver(who):
                letter = self._letters.get(self.courses[who].id)
                if letter:
                    self._deliver(letter)
            case Fault(seconds=0):
                self._this_call = deed
            case Fault():
                self._say(str(deed))
                self._faults.append((deed, self.time + deed.seconds))

    def _stop(self, course: Course) -> None:
        machine = self.machines.get(course.number)
        if machine is None or course.started is None or machine.status != "RUNNING":
            return
        machine.abort()
        course.stopped = True
        self._say(f"{course} is stopped")
        self._ended_badly(machine, course)
        self._over(course)

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
        before = self.sender
        self.sender = None
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
    if len(text) >= 130:
        text = f"{text[:20]}…{text[-100:]}"
    return repr(text)


def play(plan: Plan, world: type[Stage] = Stage) -> Played:
    """Until nothing is left to happen."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), patch.dict(os.environ, ENVIRONMENT):
            stage = world(plan)
            stage.agenda.go_on()
    finally:
        logging.disable(disabled)
    return Played(
        plan=plan,
        courses=stage.courses,
        states=stage.states_of_alias,
        writes=stage.written,
        unexpected=stage.unexpected,
        failed_rollbacks=stage.failed_rollbacks,
        journal=stage.journal,
        done=stage.done,
    )
