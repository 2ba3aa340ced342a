"""One command under way: a method a verb. What is for people goes to `progress`; with `--json`
that is standard error, and standard output gets one object at the end."""

import argparse
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from deployer import aws
from deployer.decisions.errors import InvalidRollout
from deployer.decisions.ownership import Snapshot
from deployer.decisions.rollout import Rollout
from deployer.decisions.target import Target
from lambda_rollout import (
    afterwards,
    answer,
    archive,
    by_hand,
    called,
    history,
    past,
    planned,
    remedies,
    request,
    table,
    undo,
    words,
)
from lambda_rollout.by_hand import Move
from lambda_rollout.endings import Status
from lambda_rollout.eyes import UNKNOWN_START, Eyes
from lambda_rollout.logbook import Logbook
from lambda_rollout.past import Past
from lambda_rollout.plain import Plain
from lambda_rollout.remedies import CannotSee, Refused
from lambda_rollout.say import say
from lambda_rollout.screen import Screen, Terminal
from lambda_rollout.start import ask, start
from lambda_rollout.state import State
from lambda_rollout.watch import Clock, Watch

#: So far back a history goes, where nothing is said, in seconds.
_BACK = 90 * archive.DAY


class Session:
    """What was typed, and what has come of it so far."""

    def __init__(
        self, typed: argparse.Namespace, clock: Clock, out: TextIO, typist: TextIO
    ) -> None:
        self.typed = typed
        self.progress = sys.stderr if typed.json else out
        self._clock = clock
        self._out = out
        self._typist = typist
        self._watch: Watch | None = None
        self.done = ""  # what was written to the alias, in words
        self._clients: Any = None

    @property
    def state(self) -> State | None:
        """What is known of the rollout, once one is followed."""
        return self._watch.state if self._watch else None

    def run(self, connect: Callable[[], Any]) -> Status:
        """Raises what keeps it from being done."""
        given = self._given()
        self._clients = connect()
        match self.typed.verb:
            case "start" | "plan":
                return self._roll_out(request.payload(self._options(), given))
            case "watch":
                return self._follow(self._target_state(self.typed.wait))
            case "stop":
                return self._by_hand(Move(promotes=False))
            case "promote":
                return self._by_hand(Move(promotes=True))
            case "undo":
                return self._undo()
            case _:
                return self._history()

    def refused(self, status: Status, name: str, reason: str, where: str = "") -> Status:
        """The answer of what was not done, or not seen to its end."""
        if self.state:
            told = answer.of_state(self.state, status, name)
            told.setdefault("reason", reason)
        else:
            told = answer.of(status, name, reason=reason, where=where)
        with suppress(OSError):
            self._answer(told)
        return status

    # The verbs.

    def _undo(self) -> Status:
        target = self._target()
        eyes = self._eyes(target)
        found = undo.find(self._clients, eyes, target, self._clock.time(), self.typed.started_by)
        say(found.question, Status.DEPLOYED)
        self._agree()
        return self._begin(eyes, found.rollout, found.undone.new)

    def _history(self) -> Status:
        function, alias = self._asked_about()
        now = self._clock.time()
        since = self.typed.since.seconds(now) if self.typed.since else now - _BACK
        logbook = Logbook(self._clients, self.typed.stack)
        try:
            found = archive.last(logbook, now, self.typed.last, since, function, alias)
        except aws.CallFailed as error:
            raise CannotSee(
                f"Rollouts stand in the deployer's log, but {logbook.why_not(error)}"
            ) from error
        rollouts = [self._running(each) for each in found.rollouts]
        warnings = [history.CUT_SHORT] if found.cut_short else []
        if not self.typed.json:
            nothing = [] if rollouts else [history.nothing(found.since)]
            table.list_of(rollouts, self._terminal(), self._out, [*nothing, *warnings])
        told = [history.as_json(each) for each in rollouts]
        self._answer({**answer.of(Status.DEPLOYED, "LISTED", warnings), "rollouts": told})
        return Status.DEPLOYED

    def _asked_about(self) -> tuple[str, str]:
        """The function and the alias; empty for all."""
        if not self.typed.function:
            return "", ""
        # Where no alias was said, any one will do for the function to be read.
        alias = self.typed.alias
        target = request.target(self.typed.function, alias or "all", self._clients.region)
        return target.function, target.alias if alias else ""

    # What several verbs do.

    def _roll_out(self, payload: Any) -> Status:
        """`start`, or `plan`."""
        rollout = request.check(payload, self._clients.region)
        eyes = self._eyes(rollout.target)
        if rollout.dry_run:
            return self._show_plan(rollout, ask(self._clients, eyes, rollout))
        return self._begin(eyes, rollout)

    def _begin(self, eyes: Eyes, rollout: Rollout, expected: str = "") -> Status:
        state = start(self._clients, eyes, rollout, self._clock.time(), expected)
        if not self.typed.no_wait:
            return self._follow(state, eyes)
        watch = called.command("watch", function=state.function, alias=state.alias)
        if not self.typed.json:
            print(f"Accepted. How it goes: {watch}", file=self._out, flush=True)
        self._answer(answer.of_state(state, Status.DEPLOYED, "ACCEPTED"))
        return Status.DEPLOYED

    def _follow(self, state: State, eyes: Eyes | None = None) -> Status:
        """To the end of the rollout, which is then told."""
        state = self._to_end(state, eyes or self._eyes(Target(state.function, state.alias)))
        end = state.end
        status = end.status if end else Status.UNKNOWN
        return self._end(state, status, end.name if end else "", afterwards.to_do(state))

    def _to_end(self, state: State, eyes: Eyes) -> State:
        self._watch = Watch(state)
        with self._show() as show:
            return self._watch.follow(eyes, show, self._clock)

    def _by_hand(self, wanted: Move) -> Status:
        """`stop`, or `promote`."""
        known = self._target_state(0.0)
        eyes = self._eyes(Target(known.function, known.alias))

        def tell(what: str) -> None:
            say(what, Status.DEPLOYED)

        state, written = by_hand.move(self._clients, eyes, known, wanted, self._clock, tell)
        if not written:
            return self._came_too_late(state, eyes)
        self.done = wanted.done(state)
        say(self.done, Status.DEPLOYED, self.progress)
        if self.typed.no_wait:
            where = f"{state.target} is on version {wanted.goal(state)}."
            self._answer(answer.of_state(state, Status.DEPLOYED, wanted.name, where=where))
            return Status.DEPLOYED
        return self._moved(self._to_end(state, eyes), wanted)

    def _came_too_late(self, state: State, eyes: Eyes) -> Status:
        """The rollout was over before: how it ended is told all the same."""
        if self.typed.no_wait:
            return self.refused(Status.NOTHING_RUNS, "NOTHING_RUNS", "It was over before.")
        state = self._to_end(state, eyes)
        name = state.end.name if state.end else "NOTHING_RUNS"
        return self._end(state, Status.NOTHING_RUNS, name, afterwards.to_do(state))

    def _moved(self, state: State, wanted: Move) -> Status:
        """What the deployer has made of an alias that was moved by hand."""
        assert state.end is not None, "it is followed to its end"
        confirmed = wanted.confirmed(state.end)
        # AWS itself adds the original for some minutes where there is provisioned concurrency.
        aws_s_own = wanted.promotes and confirmed and state.routing.keys() == {state.original}
        alone = not state.routing or aws_s_own
        as_wanted = state.version == wanted.goal(state) and alone
        unread = state.version is None
        if not as_wanted and not (unread and confirmed):
            status = state.end.status
            if status is Status.DEPLOYED:  # not what was asked for here
                status = Status.CHANGED
            return self._end(state, status, state.end.name, afterwards.to_do(state))
        warnings = list(state.end.warnings)
        if not confirmed:
            warnings.append(words.unconfirmed(state))
        to_do = afterwards.to_do_after(wanted.promotes, state)
        return self._end(state, Status.DEPLOYED, wanted.name, to_do, warnings=warnings)

    def _end(self, state: State, status: Status, name: str, to_do: str, **more: Any) -> Status:
        """Say what to do now, and answer."""
        if to_do:
            say(to_do, status)
        self._answer(answer.of_state(state, status, name, **more, next=to_do))
        return status

    def _show_plan(self, rollout: Rollout, told: Mapping[str, Any]) -> Status:
        """What a dry run has answered."""
        where = f"{rollout.target} {Snapshot(told).state}."
        nothing = planned.not_planned(rollout, told)
        if nothing:
            say(nothing, Status.DEPLOYED, self.progress)
        else:
            table.show(planned.read(rollout, told), self._terminal(), self.progress)
        self._answer(answer.of_plan(Status.DEPLOYED, told, where))
        return Status.DEPLOYED

    def _running(self, told: Past) -> Past:
        """One whose ending is not told: whether it runs, as the alias's stamp says."""
        if told.name != past.NOT_TOLD:
            return told
        try:
            found = self._eyes(Target(told.function, told.alias)).alias()
        except aws.CallFailed as error:
            why = remedies.sentence(error)
            reason = f"The log does not say how it ended, and its alias could not be read: {why}"
            return past.unknown(told, reason)
        return past.shown(told, found)

    def _agree(self) -> None:
        """Ask whether to go on. Raises `Refused`."""
        if self.typed.yes:
            return
        if not self._typist.isatty():
            raise Refused("Nobody can be asked here: say --yes to do it. Nothing was sent.")
        print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
        if self._typist.readline().strip().lower() not in ("y", "yes"):
            raise Refused("Nothing was sent.")

    # What was typed.

    def _given(self) -> Any:
        """What the payload's file holds, where there is one. Raises `Refused`, which names all that
        is missing, and `InvalidRollout`."""
        given: Any = {}
        if self.typed.verb in ("start", "plan"):
            if self.typed.payload:
                given = request.contents(_text(self.typed.payload))
            absent = request.missing(vars(self.typed), given)
        elif self.typed.verb == "history":
            absent = ["function"] if self.typed.alias and not self.typed.function else []
        else:
            absent = [name for name in ("function", "alias") if not getattr(self.typed, name)]
        if absent:
            raise Refused(request.which(absent))
        return given

    def _options(self) -> dict[str, Any]:
        options = vars(self.typed)
        return {**options, "dry_run": "1"} if self.typed.verb == "plan" else options

    def _target(self) -> Target:
        return request.target(self.typed.function, self.typed.alias, self._clients.region)

    def _target_state(self, wait: float) -> State:
        """Of a rollout that is not known so far."""
        now = self._clock.time()
        return State(*self._target(), since=now - UNKNOWN_START, give_up=now + wait)

    # What AWS and people are reached by.

    def _eyes(self, target: Target) -> Eyes:
        return Eyes(self._clients, *target, self.typed.stack)

    def _terminal(self) -> Terminal | None:
        """None where lines are to be printed."""
        console = Terminal(file=self.progress, highlight=False)
        if self.typed.plain or not console.is_terminal or console.is_dumb_terminal:
            return None
        return console

    def _show(self) -> Screen | Plain:
        console = self._terminal()
        return Screen(console) if console else Plain(self.progress)

    def _answer(self, told: Mapping[str, Any]) -> None:
        if self.typed.json:
            print(answer.as_json(told), file=self._out, flush=True)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InvalidRollout(f"The payload cannot be read: {error}.") from error
