"""Where the output is no terminal: a line a change, with the time, never redrawn. Its words are
those of `words`."""

from collections.abc import Iterator
from typing import TextIO

from deployer.decisions.evidence import Counts
from lambda_rollout import words
from lambda_rollout.state import State


class Plain:
    """Prints what is new since the state before."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._before: tuple[State | None, float] = (None, 0.0)
        self._unheard = 0.0  # since when the deployer is silent, once that was told

    def __enter__(self) -> "Plain":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, state: State, now: float) -> None:
        for line in (*changes(*self._before, state, now), *self._silence(state, now)):
            print(f"{words.clock(now)}  {line}", file=self._out, flush=True)
        self._before = (state, now)

    def _silence(self, state: State, now: float) -> Iterator[str]:
        """That the deployer is silent, in one line, once; and that it is heard again."""
        if state.silent(now) and not self._unheard:
            self._unheard = state.pulse.word
            told = [f"{words.no_word(state)}.", *words.silence(state, now)]
            yield " ".join([*told, words.take_back(state), words.stop(state)])
        elif 0 < self._unheard < state.pulse.word and not state.end:
            yield words.heard_again(state, self._unheard)
            self._unheard = 0.0


def changes(before: State | None, then: float, state: State, now: float) -> Iterator[str]:
    """What is to be told of the state, after the one of `then`; None is before the first."""
    old = before or State(state.function, state.alias, state.since, state.give_up, state.plan)
    if state.rollout != old.rollout:
        rollout = f"rollout {state.rollout} on {state.function}:{state.alias}"
        yield "  ".join(filter(None, (rollout, words.versions(state), words.started_by(state))))
    elif state.started_by != old.started_by:
        yield words.started_by(state)
    if state.rollout == old.rollout and state.execution != old.execution:
        yield f"handed over to {state.execution}"
    for number in range(len(state.suspensions.turns)):
        if state.suspensions.turns[number] not in old.suspensions.turns:
            yield words.turn(state.suspensions, number)
    if _placed(state) != _placed(old) and not state.suspensions.lasting:
        left = words.left(state, now)
        step = f"step {state.step} of {state.steps}"
        yield f"weight {words.share(state.weight)}  {step}  {left}".rstrip()
    phase = words.phase(state, now)
    told_before = before is not None and phase == words.phase(before, then)
    told_elsewhere = phase.startswith("step") or phase == words.no_word(state)
    if phase and not told_elsewhere and not told_before:
        left = ", ".join(filter(None, (phase, words.left(state, now))))
        yield ". ".join(filter(None, (left, words.awaited(state, now))))
    unheard = words.unheard(state, now)
    if unheard and not words.unheard(old, then):
        yield unheard
    if state.last != old.last and not state.end:
        yield words.last(state, now)
    if state.counts and state.counts != old.counts and state.counts != (Counts(), Counts()):
        since = words.clock(state.since // 60 * 60)
        original, new = state.counts
        calls = f"version {state.original}: {original}; version {state.new}: {new}"
        yield f"calls since {since}  {calls}"
    seen = words.verdict(state)
    shown = words.verdict(old)
    if seen and (shown is None or seen[1:] != shown[1:]):
        yield f"look {seen[1]}  {seen[2]}".rstrip()
    for line in words.untold(state):
        if line not in words.untold(old):
            yield line
    yield from _reached(old, then, state, now)
    if state.end:
        yield words.told(state)
        for warning in state.end.warnings:
            yield f"warning: {warning}"


def _reached(old: State, then: float, state: State, now: float) -> Iterator[str]:
    """What AWS does not answer, once; and that it answers again."""
    before = words.unreachable(old, then)
    told = words.unreachable(state, now)
    for what, line in told.items():
        if what not in before:
            yield line
    for what in before:
        if what not in state.reach.outages:
            yield words.reached_again(old, what, now)


def _placed(state: State) -> tuple[int, float, bool]:
    return state.step, state.weight, state.suspensions.lasting is None
