"""PURE. What is known of a rollout: from the alias's stamp, the deployer's log and the metrics.
Reads no clock.

Each of these may be silent for a while. The stamp tells how far it is; the log tells why it ended,
and that it did; without the log an alias that is no longer split tells no more than that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from deployer.decisions.evidence import Counts, Look
from deployer.decisions.ownership import GRACE, Snapshot
from deployer.decisions.stamp import Stamp
from deployer.decisions.target import Target
from deployer.decisions.timeline import Phase
from lambda_rollout.endings import End, Status, end_of
from lambda_rollout.lines import Line, about
from lambda_rollout.pulse import AFTER_LEASE, LATE, Pulse, Told
from lambda_rollout.reach import LOG, Reach
from lambda_rollout.suspension import Suspensions, Turn, is_suspended

#: Seconds that the log is waited for, after the alias has shown an end: CloudWatch publishes lines
#: late.
PATIENCE = 60.0
#: For how many seconds AWS may give no answer before it is no longer waited for.
UNREACHABLE = 300.0
#: Seconds after which an accepted rollout has surely begun, or never will: the event's longest age,
#: and Lambda's longest call (a version may be Pending for long).
LONGEST_START = 300.0 + 900.0
#: The same where the log cannot be read: so long, and no longer, it is waited for.
LONGEST_START_UNHEARD = 60.0
#: Seconds past the stamp's end within which the watchdog rolls back what a dead deployer has left,
#: where no lease is known.
WATCHDOG = 1800.0
_AFTER_STAMP = GRACE.total_seconds() + WATCHDOG


class Looked(NamedTuple):
    """What came out of the deployer's last look: when, its verdict and why, and the calls that it
    saw of the original and the new version; None where it does not look at calls."""

    at: float
    verdict: str
    reason: str
    calls: tuple[Counts, Counts] | None = None


class Last(NamedTuple):
    """The last rollout of an alias on which none runs."""

    rollout: str
    end: End


@dataclass(frozen=True)
class Plan:
    """A rollout that was started here; `before` are the rollouts that were known before it."""

    version: str
    interval: float
    settle: float
    request: str = ""
    before: frozenset[str] = frozenset()
    original: str = ""
    started_by: str = ""


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
    #: When a step's weight took effect, where known.
    shifts: Mapping[int, float] = field(default_factory=dict)
    until: float = 0.0
    suspensions: Suspensions = field(default_factory=Suspensions)
    where: str = ""  # the alias now, in words
    #: The version that it stands on; empty where the alias is deleted, None where that is unknown.
    version: str | None = None
    routing: Mapping[str, float] = field(default_factory=dict)
    gone: float | None = None  # since when the alias does not show this rollout any more
    execution: str = ""  # that it was handed over to
    started_by: str = ""
    last: Last | None = None  # what ended before any was followed
    counts: tuple[Counts, Counts] | None = None  # of the original and the new version
    verdict: Looked | None = None
    #: The last look that could not be made, where it came after that.
    unseen: tuple[float, str] | None = None
    deaf: str = ""  # why the log cannot be read
    blind: str = ""  # why the metrics cannot be read
    pulse: Pulse = field(default_factory=Pulse)
    reach: Reach = field(default_factory=Reach)
    end: End | None = None

    @property
    def target(self) -> Target:
        return Target(self.function, self.alias)

    @property
    def stands(self) -> str:
        """Where the alias is now, in a sentence."""
        return f"{self.target} {self.where}."

    @property
    def split(self) -> bool:
        return bool(self.routing)

    @property
    def share(self) -> float:
        """The part of users' calls that the new version gets now."""
        if self.version is None:
            return self._share_by_the_log
        new = self.new or (self.plan.version if self.plan else "")
        if self.version == new:
            return 1 - sum(self.routing.values())
        return self.routing.get(new, 0.0)

    @property
    def _share_by_the_log(self) -> float:
        given_back = self.end is not None and self.end.name == "APPROVED"
        if self.suspensions.lasting or given_back:
            return 0.0
        by_end = {Status.DEPLOYED: 1.0, Status.ROLLED_BACK: 0.0}
        return by_end.get(self.end.status, self.weight) if self.end else self.weight

    @property
    def stopped_by_hand(self) -> bool:
        """Whether it has ended because somebody has taken the alias back."""
        if self.end is None or self.end.name != "AliasChanged" or self.split:
            return False
        return bool(self.version) and self.version == self.original

    def silent(self, now: float) -> bool:
        """Whether the deployer should have been heard, and was not. Who cannot hear accuses
        nobody."""
        if self.end or self.gone is not None or self.deaf or not self.reach.can_hear:
            return False
        # An outage that we have met may have kept the deployer from going on, too.
        met = bool(self.reach.back) and now <= self.reach.back + LATE
        return bool(self.step) and not met and self.pulse.silent(self._listened(now))

    def _listened(self, now: float) -> float:
        """Until when the log was read: who has not listened cannot accuse."""
        return min(now, self.reach.answers.get(LOG, now))

    def _lease_over(self, now: float) -> bool:
        return self._hears_of_lease and self.pulse.lease_over(self._listened(now))

    def orphaned(self, now: float) -> bool:
        """Whether its deployer has surely ended, and the watchdog has not come yet."""
        if self._lease_over(now):
            return True
        return bool(self.until) and now > self.until + GRACE.total_seconds()

    def past_rescue(self, now: float) -> bool:
        """Whether the watchdog should have come, and did not."""
        if self._hears_of_lease:
            return self._lease_over(now) and now > self.pulse.lease + AFTER_LEASE
        return bool(self.until) and now > self.until + _AFTER_STAMP

    @property
    def _hears_of_lease(self) -> bool:
        return bool(self.pulse.lease) and not self.deaf and self.reach.can_hear

    @property
    def told(self) -> Told | None:
        """What the log says of the time of the step that the alias shows."""
        told = self.pulse.told
        return told if told and told.step == self.step else None

    @property
    def interval(self) -> float | None:
        """Seconds that a step lasts: as told or planned, or else as seen between two shifts."""
        if self.pulse.lengths:
            return self.pulse.lengths.interval
        if self.plan:
            return self.plan.interval
        gaps = []
        for step, at in self.shifts.items():
            before = self.shifts.get(step - 1)
            if before is None:
                continue
            rest = self.suspensions.rest(before, at)
            if rest is not None:
                gaps.append(at - before - rest)
        return min(gaps, default=None)

    def left(self, now: float) -> float | None:
        """Seconds of steps until the last one is over, were it not suspended any more; settling
        comes after that. None where it cannot be told."""
        interval = self.interval
        if interval is None or not self.steps:
            return None
        of_step = self._left_of_step(interval, now)
        return None if of_step is None else of_step + interval * (self.steps - self.step)

    def _left_of_step(self, interval: float, now: float) -> float | None:
        lasting = self.suspensions.lasting
        if self.told:
            if self.told.phase == Phase.SUSPENDED and not lasting:
                return None  # it goes on, and the log has not told how long
            # A step's clock stands still while it is suspended.
            return max(0.0, self.told.ends - (lasting.at if lasting else now))
        if self.step not in self.shifts:
            return interval
        rest = self.suspensions.rest(self.shifts[self.step], now)
        if rest is None:
            return None
        return max(0.0, self.shifts[self.step] + interval + rest - now)

    def settling(self, now: float) -> bool:
        if self.told:
            return self.told.phase == Phase.SETTLING
        return 0 < self.step == self.steps and self.step in self.shifts and self.left(now) == 0


def see(state: State, found: Snapshot | None, now: float) -> State:
    """Take in the alias as it is now; None for an alias that is no more."""
    if found is None:
        gone = _first(state.gone, now)
        return replace(state, where="is deleted", version="", routing={}, gone=gone)
    state = replace(state, where=found.state, version=found.version, routing=found.routing)
    mark = _standing(state, found, now)
    if mark and not state.rollout and _may_be_ours(state, mark.rollout_id, mark.new_version):
        state = replace(state, rollout=mark.rollout_id)
    if not mark or mark.rollout_id != state.rollout:
        if not state.step:
            return state
        return replace(state, gone=_first(state.gone, now))
    suspensions = state.suspensions.show(is_suspended(found), now)
    shifts = dict(state.shifts)
    # What the first look finds may have been shifted long before.
    if mark.step > state.step and (state.step or state.plan):
        shifts[mark.step] = now
    return replace(
        state,
        gone=None,
        original=found.version,
        new=mark.new_version,
        until=mark.until.timestamp(),
        weight=mark.weight,
        step=mark.step,
        steps=mark.steps,
        shifts=shifts,
        suspensions=suspensions,
    )


def _standing(state: State, found: Snapshot, now: float) -> Stamp | None:
    """The stamp, where the alias bears it out: else it is what a rollout that is over has left."""
    mark = found.stamp
    if mark is None:
        return None
    if not mark.suspended:
        if list(found.routing) == [mark.new_version]:
            return mark
        return None
    followed = mark.rollout_id == state.rollout
    moved = followed and found.version != (state.original or found.version)
    # Nobody goes on with it, and nobody has to: users are on the original version.
    forgotten = not followed and now > mark.until.timestamp() + _AFTER_STAMP
    if is_suspended(found) and not moved and not forgotten:
        return mark
    return None


def hear(state: State, lines: Iterable[Line]) -> State:
    """Take in lines of the log, the oldest first; heard again they change nothing."""
    for line in lines:
        if not state.plan and not state.rollout:
            state = _told_of_last(state, line)
        if _is_of_our_invocation(state, line):
            if line.rollout != state.rollout:
                state = _taken_for(state, line.rollout)
        elif state.plan and not state.rollout and about(line, state.function, state.alias):
            version = line.said.get("new-version", "")  # a lease's line does not say which
            if _may_be_ours(state, line.rollout, version):
                state = replace(state, rollout=line.rollout)
        if line.rollout == state.rollout:
            state = _heard(state, line)
    return state


def _told_of_last(state: State, line: Line) -> State:
    """Nothing is followed yet: people want to know what became of the one that they have started."""
    end = end_of(line, state.stands)
    if end is None or not about(line, state.function, state.alias):
        return state
    if state.last and line.time < state.last.end.at:
        return state
    return replace(state, last=Last(line.rollout, end))


def count(state: State, look: Look) -> State:
    """Take in what CloudWatch has published of both versions."""
    counts = (_sum(look.original.values()), _sum(look.new.values()))
    return replace(state, counts=counts, blind="")


def conclude(state: State, now: float) -> State:
    """End it where nothing more is to be expected."""
    if state.end:
        return state
    if not state.rollout:
        return _conclude_unseen(state, now)
    patience = PATIENCE
    if not state.reach.can_hear:
        patience = UNREACHABLE
    if state.deaf and not state.split:  # there is nothing to wait for
        patience = 0.0
    if state.gone is not None and now - state.gone >= patience:
        reason = f"Ended; reason unknown: {_silence(state)}."
        return _ended(state, "ENDED", Status.UNKNOWN, now, reason)
    if state.past_rescue(now):
        return _abandoned(state, now)
    return state


def _abandoned(state: State, now: float) -> State:
    if state.suspensions.lasting and not state.split:
        reason = "Its deployer has died while it was suspended: users are on the original version."
        return _ended(state, "ABANDONED", Status.ROLLED_BACK, now, reason)
    reason = "Its deployer has died, and the watchdog has not rolled it back."
    return _ended(state, "ABANDONED", Status.STILL_SPLIT, now, reason)


def _conclude_unseen(state: State, now: float) -> State:
    """No rollout has shown yet: it is waited for, for as long as there is hope."""
    give_up = state.give_up
    if state.plan and state.deaf:
        give_up += LONGEST_START_UNHEARD - LONGEST_START
    if now < give_up:
        return state
    if not state.plan:
        reason = "No rollout runs on this alias."
        return _ended(state, "NOTHING_RUNS", Status.NOTHING_RUNS, now, reason)
    reason = f"Nothing was seen of it; why, is unknown: {_silence(state)}."
    return _ended(state, "NOT_BEGUN", Status.UNKNOWN, now, reason)


def _ended(state: State, name: str, status: Status, now: float, reason: str) -> State:
    return replace(state, end=End(name, status, now, reason, state.stands))


def _silence(state: State) -> str:
    """Why the reason is unknown."""
    if state.deaf:
        return f"it stands in the deployer's log, but {state.deaf.rstrip('.')}"
    outage = state.reach.outages.get(LOG)
    if outage:
        return f"it stands in the deployer's log, which could not be read: {outage.why}"
    return "the deployer's log does not say"


def _is_of_our_invocation(state: State, line: Line) -> bool:
    """Whether it tells of our rollout: what a dead one has left is rolled back, and told, by the
    invocation that finds it."""
    if state.plan is None or not state.plan.request or line.rollout in state.plan.before:
        return False
    return line.said.get("function_request_id") == state.plan.request


def _taken_for(state: State, rollout: str) -> State:
    """What was taken for ours was somebody else's: it begins anew, as that rollout."""
    anew = State(state.function, state.alias, state.since, state.give_up, state.plan)
    pulse = Pulse(behind=state.pulse.behind, guessed=state.pulse.guessed)
    anew = replace(anew, rollout=rollout, deaf=state.deaf, reach=state.reach, pulse=pulse)
    return replace(anew, where=state.where, version=state.version, routing=state.routing)


def _may_be_ours(state: State, rollout: str, version: str) -> bool:
    """Whether a rollout that shows up is the one to follow: any one, or the one that was started
    here."""
    if state.plan is None:
        return True
    return version == state.plan.version and rollout not in state.plan.before


def _heard(state: State, line: Line) -> State:
    said = line.said
    original = said.get("original-version", state.original)
    state = replace(state, original=original, new=said.get("new-version", state.new))
    state = replace(state, pulse=state.pulse.hear(line))
    state = replace(state, started_by=str(said.get("started-by", state.started_by)))
    end = end_of(line, state.stands)
    if end:
        return replace(state, end=end)
    newest = state.verdict is None or line.time >= state.verdict.at
    match line.message:
        case "STARTED":
            # What was counted since another time is counted anew.
            counts = state.counts if line.time == state.since else None
            began = replace(state, since=line.time, began=True, counts=counts)
            return replace(began, steps=said["steps"])
        case "SHIFTED":
            shifts = {**state.shifts, said["step"]: line.time}
            state = replace(state, shifts=shifts, steps=said["steps"])
            if said["step"] >= state.step:
                state = replace(state, weight=said["weight"], step=said["step"])
        case "SUSPENDED" | "RESUMED":
            turn = Turn(line.time, line.message, str(said.get("reason") or ""))
            return replace(state, suspensions=state.suspensions.tell(turn))
        case "LOOKED" if newest:
            looked = Looked(line.time, said["verdict"], said["reason"], _calls(said))
            return replace(state, verdict=looked, unseen=None)
        case "NOT_SEEN" if newest:
            return replace(state, unseen=(line.time, said["reason"]))
        case "HANDED_OVER":
            return replace(state, execution=said.get("execution", ""))
    return state


def _calls(said: Mapping[str, Any]) -> tuple[Counts, Counts] | None:
    """What a look saw of both versions; nothing where the health check is switched off."""
    if "original" not in said or "new" not in said:
        return None
    return Counts(**said["original"]), Counts(**said["new"])


def _sum(minutes: Iterable[Counts]) -> Counts:
    calls = 0
    errors = 0
    for counts in minutes:
        calls += counts.invocations
        errors += counts.errors
    return Counts(calls, errors)


def _first(known: float | None, now: float) -> float:
    return now if known is None else known
