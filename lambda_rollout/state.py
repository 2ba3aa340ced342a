"""PURE. What is known of a rollout: from the alias's stamp, the deployer's log and the metrics.
Reads no clock.

Each of these may be silent for a while. The stamp tells how far it is; the log tells why it ended,
and that it did; without the log an alias that is no longer split tells no more than that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deployer.decisions.evidence import Counts, Look
from deployer.decisions.ownership import GRACE, Snapshot
from lambda_rollout.endings import End, Status, status_of
from lambda_rollout.lines import Line, about

#: Seconds that the log is waited for, after the alias has shown an end: CloudWatch publishes lines
#: late.
PATIENCE = 60.0
#: Seconds after which an accepted rollout has surely begun, or never will: the event's longest age,
#: and Lambda's longest call (a version may be Pending for long); and how long it is waited for
#: where the log cannot be read.
LONGEST_START = 300.0 + 900.0
LONGEST_START_UNHEARD = 60.0
#: Seconds past the stamp's end within which the watchdog rolls back what a dead deployer has left.
WATCHDOG = 1800.0


@dataclass(frozen=True)
class Plan:
    """A rollout that was started here; `before` are the rollouts that were known before it."""

    version: str
    interval: float
    settle: float
    request: str = ""
    before: frozenset[str] = frozenset()


@dataclass(frozen=True)
class State:
    """Times are seconds since 1970. `rollout` is empty until its id is known."""

    function: str
    alias: str
    since: float  # calls are counted from here on: when it began, if that is known
    give_up: float  # when a rollout that has shown no sign is no longer waited for
    plan: Plan | None = None
    began: bool = False  # whether `since` is when it began
    rollout: str = ""
    original: str = ""
    new: str = ""
    weight: float = 0.0
    step: int = 0
    steps: int = 0
    shifts: Mapping[int, float] = field(
        default_factory=dict
    )  # when a step's weight took effect, where known
    until: float = 0.0
    where: str = ""  # the alias now, in words
    split: bool = False
    gone: float | None = None  # since when the alias does not show this rollout any more
    execution: str = ""  # that it was handed over to
    counts: tuple[Counts, Counts] | None = None  # of the original and the new version
    verdict: tuple[float, str, str] | None = None  # of the last look: when, what, why
    unseen: tuple[float, str] | None = (
        None  # the last look that could not be made, where it came after that
    )
    deaf: str = ""  # why the log cannot be read
    blind: str = ""  # why the metrics cannot be read
    end: End | None = None

    @property
    def name(self) -> str:
        return f"Alias '{self.alias}' of '{self.function}'"

    @property
    def interval(self) -> float | None:
        """Seconds that a step lasts: as planned, or else as seen between two shifts."""
        gaps = [
            at - self.shifts[step - 1]
            for step, at in self.shifts.items()
            if step - 1 in self.shifts
        ]
        return self.plan.interval if self.plan else min(gaps, default=None)

    def left(self, now: float) -> float | None:
        """Seconds until the last step is over; settling comes after that. None where it cannot be
        told."""
        interval = self.interval
        if interval is None or not self.steps:
            return None
        of_step = self.shifts[self.step] + interval - now if self.step in self.shifts else interval
        return max(0.0, of_step) + interval * (self.steps - self.step)

    def settling(self, now: float) -> bool:
        return 0 < self.step == self.steps and self.step in self.shifts and self.left(now) == 0


def see(state: State, found: Snapshot | None, now: float) -> State:
    """Take in the alias as it is now; None for an alias that is no more."""
    if found is None:
        return replace(state, where="is deleted", split=False, gone=_first(state.gone, now))
    state = replace(state, where=found.state, split=bool(found.routing))
    mark = found.stamp
    if mark and list(found.routing) != [mark.new_version]:
        mark = None  # no split bears it out: it is what a rollout that is over has left
    if mark and not state.rollout and _may_be_ours(state, mark.rollout_id, mark.new_version):
        state = replace(state, rollout=mark.rollout_id)
    if not mark or mark.rollout_id != state.rollout:
        return replace(state, gone=_first(state.gone, now)) if state.step else state
    shifts = dict(state.shifts)
    if mark.step > state.step and (
        state.step or state.plan
    ):  # otherwise it may have been shifted long before
        shifts[mark.step] = now
    versions: Any = {
        "original": found.version,
        "new": mark.new_version,
        "until": mark.until.timestamp(),
    }
    how_far: Any = {"weight": mark.weight, "step": mark.step, "steps": mark.steps, "shifts": shifts}
    return replace(state, gone=None, **versions, **how_far)


def hear(state: State, lines: Iterable[Line]) -> State:
    """Take in lines of the log, the oldest first; heard again they change nothing."""
    lines = list(lines)
    for line in lines:
        if (
            state.plan
            and state.plan.request
            and line.said.get("function_request_id") == state.plan.request
        ):
            if line.rollout != state.rollout:  # what was taken for ours was somebody else's
                state = replace(
                    State(state.function, state.alias, state.since, state.give_up, state.plan),
                    rollout=line.rollout,
                    where=state.where,
                    deaf=state.deaf,
                )
        elif not state.rollout and state.plan and about(line, state.function, state.alias):
            ours = _may_be_ours(
                state, line.rollout, line.said.get("new-version", state.plan.version)
            )
            state = replace(state, rollout=line.rollout) if ours else state
        if line.rollout == state.rollout:
            state = _heard(state, line)
    return state


def count(state: State, look: Look) -> State:
    """Take in what CloudWatch has published of both versions."""
    old, new = (
        Counts(*map(sum, zip((0, 0), *minutes.values(), strict=True)))
        for minutes in (look.original, look.new)
    )
    return replace(state, counts=(old, new), blind="")


def conclude(state: State, now: float) -> State:
    """End it where nothing more is to be expected."""
    if state.end:
        return state
    where = f"{state.name} {state.where}."
    log = (
        f"it stands in the deployer's log, but {state.deaf.rstrip('.')}"
        if state.deaf
        else "the deployer's log does not say"
    )
    if not state.rollout:
        give_up = (
            state.give_up - LONGEST_START + LONGEST_START_UNHEARD
            if state.plan and state.deaf
            else state.give_up
        )
        if now < give_up:
            return state
        if not state.plan:
            return replace(
                state,
                end=End(
                    "NOTHING_RUNS",
                    Status.NOTHING_RUNS,
                    now,
                    "No rollout runs on this alias.",
                    where,
                ),
            )
        return replace(
            state,
            end=End(
                "NOT_BEGUN",
                Status.UNKNOWN,
                now,
                f"Nothing was seen of it; why, is unknown: {log}.",
                where,
            ),
        )
    if state.gone is not None and now - state.gone >= (
        0 if state.deaf and not state.split else PATIENCE
    ):
        return replace(
            state, end=End("ENDED", Status.UNKNOWN, now, f"Ended; reason unknown: {log}.", where)
        )
    if state.until and now > state.until + GRACE.total_seconds() + WATCHDOG:
        died = "Its deployer has died, and the watchdog has not rolled it back."
        return replace(state, end=End("ABANDONED", Status.STILL_SPLIT, now, died, where))
    return state


def _may_be_ours(state: State, rollout: str, version: str) -> bool:
    """Whether a rollout that shows up is the one to follow: any one, or the one that was started
    here."""
    return state.plan is None or (
        version == state.plan.version and rollout not in state.plan.before
    )


def _heard(state: State, line: Line) -> State:
    said = line.said
    status = status_of(line.message)
    versions = {
        "original": said.get("original-version", state.original),
        "new": said.get("new-version", state.new),
    }
    state = replace(state, **versions)
    if status is not None:
        warnings = tuple(map(str, said.get("warnings") or ()))
        where = str(said.get("where") or f"{state.name} {state.where}.")
        return replace(
            state,
            end=End(
                line.message, status, line.time, str(said.get("reason") or ""), where, warnings
            ),
        )
    match line.message:
        case "STARTED":
            return replace(state, since=line.time, began=True, steps=said["steps"])
        case "SHIFTED":
            shifts = {**state.shifts, said["step"]: line.time}
            latest = (
                {"weight": said["weight"], "step": said["step"]}
                if said["step"] >= state.step
                else {}
            )
            return replace(state, shifts=shifts, steps=said["steps"], **latest)
        case "LOOKED" if state.verdict is None or line.time >= state.verdict[0]:
            return replace(state, verdict=(line.time, said["verdict"], said["reason"]), unseen=None)
        case "NOT_SEEN" if state.verdict is None or line.time >= state.verdict[0]:
            return replace(state, unseen=(line.time, said["reason"]))
        case "HANDED_OVER":
            return replace(state, execution=said.get("execution", ""))
    return state


def _first(known: float | None, now: float) -> float:
    return now if known is None else known
