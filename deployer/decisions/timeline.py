"""The time of a rollout: how long a step lasts, when it is looked at, and which phase it is in.

`Timeline.looked` is the one place that moves a step from phase to phase: from the step, a look and
the time to the step as it is then. Frozen values in, values out.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

from deployer.decisions.errors import HealthCheckInconclusive
from deployer.decisions.evidence import Evidence
from deployer.decisions.health import Status, Verdict
from deployer.decisions.rollout import MARGIN, Rollout
from deployer.decisions.suspicion import FARTHEST, LONGEST, ROOM, Listening

#: No weight lasts less than this part of its interval, however late it was set.
SHORTEST_STEP = 0.9

#: The shortest gap between looks, in seconds, in steps that are shorter than `every`.
SHORTEST_GAP = 5.0

#: After a suspension, where time is short, this part of it must do.
SHORTEST_AFTER_SUSPENSION = 0.5

#: How many looks the state machine's history of events has room for while it settles, and while it
#: is suspended.
MOST_SETTLING = 25
MOST_SUSPENDED = 30

#: The longest gap between looks while it is suspended, in seconds.
SUSPENDED_GAP = 15.0

#: Seconds until a look is repeated that could not be made, where the step would end unseen.
AGAIN = 3.0


class Phase(StrEnum):
    #: Its interval runs.
    LASTING = "LASTING"
    #: Its interval is over, but too few calls were reported of it.
    HELD = "HELD"
    #: Its time is over; calls at the last weight are still to be published.
    SETTLING = "SETTLING"
    #: Its clock stands still: every call goes to the original version, until CloudWatch has
    #: published what the log has.
    SUSPENDED = "SUSPENDED"
    #: The look that was to end it could not be made, and is made once more.
    LAST_TRY = "LAST_TRY"
    #: It has ended.
    OVER = "OVER"


@dataclass(frozen=True)
class Step:
    """One weight's time. Times are seconds since 1970; `number` counts from 1, and is 0 before the
    first shift."""

    number: int = 0
    phase: Phase = Phase.LASTING
    shifted: float = 0.0  # when its weight took effect
    ends: float = 0.0
    next_look: float = 0.0
    looks: int = 0
    seen: bool = False  # whether any look could be made; after its end, whether the last one could
    # For how long steps were held so far, and suspended: later deadlines move with it.
    held: float = 0.0
    stood: float = 0.0
    suspended: float = 0.0  # since when, in the phase SUSPENDED


@dataclass
class Progress:
    """How far a rollout got: all that goes from one verb to the next, in the state machine's state,
    too. Times are seconds since 1970."""

    id: str
    original: str
    words: str  # the user's part of the alias's description
    started: float
    at: Step = Step()
    looks: int = 0
    unseen: int = 0
    reason: str = ""  # of the last verdict
    listening: Listening = field(default_factory=Listening)
    evidence: Evidence = field(default_factory=Evidence)
    warnings: list[str] = field(default_factory=list)


def step_of(progress: Mapping[str, Any]) -> int:
    """How far a rollout had got, of its `Progress` as JSON, as the last release wrote it, too; or
    as a lease's message tells it."""
    if "at" in progress:
        return int(progress["at"]["number"])
    return int(progress.get("step", 0))


class Gaps(NamedTuple):
    """The seconds between the looks of a step: `early` ones grow from `first`, the rest are the
    `longest`."""

    longest: float
    first: float = 0.0
    early: int = 0

    def before(self, number: int) -> float:
        """The gap before that look of the step, from 0."""
        if number >= self.early:
            return self.longest
        return float(self.first * (self.longest / self.first) ** (number / self.early))


def gaps(interval: float, hold: float, every: float, most: int = 0) -> Gaps:
    """As many looks as a step of that many seconds, and of so many more to hold, has time for.

    At most `most`; 0 is no limit. Where they are too few to come as often as `every` says, a
    quarter of them grows from there to the longest gap, and the rest comes evenly: it is a third
    above what evenly spread looks would have.
    """
    every = min(every, max(interval, SHORTEST_GAP))
    if not most or interval + hold <= every * most:
        return Gaps(every)
    early = most // 4
    return Gaps((interval + hold) / (most - early), every, early)


class Timeline:
    """The times of one rollout, in seconds since 1970. `most_looks` limits the looks of a step; 0
    does not."""

    def __init__(self, rollout: Rollout, most_looks: int) -> None:
        self._rollout = rollout
        self._check = rollout.health_check
        #: Whether nothing can be done between looks.
        self.by_looks = most_looks > 0
        self.gaps = gaps(rollout.interval, self._check.hold, self._check.every, most_looks)
        self._settling_gap = self.gaps.before(0)
        self._suspended_gap = min(self.gaps.before(0), SUSPENDED_GAP)
        if most_looks:
            self._settling_gap = max(self._settling_gap, self._check.settle / MOST_SETTLING)
            self._suspended_gap = max(self._suspended_gap, LONGEST / MOST_SUSPENDED)
        #: When a rollback must begin at the latest.
        self.deadline = math.inf
        if rollout.deadline:
            self.deadline = rollout.deadline.timestamp()

    def fully_weighted(self, step: Step) -> bool:
        return step.number == len(self._rollout.weights)

    def begin(self, last: Step, started: float, now: float) -> Step:
        """The step after the `last` one: its weight has just taken effect."""
        interval = self._rollout.interval
        number = last.number + 1
        planned = started + last.held + last.stood + number * interval
        lasts = max(planned - now, SHORTEST_STEP * interval)
        if last.stood:
            lasts = min(lasts, self._share(self._steps_after(last), now))
        ends = now + lasts
        next_look = min(now + self.gaps.before(0), ends)
        return Step(number, Phase.LASTING, now, ends, next_look, held=last.held, stood=last.stood)

    def _share(self, steps: float, now: float) -> float:
        """How long each of the remaining steps may last after a suspension: they share the time
        that is left."""
        interval = self._rollout.interval
        left = (self.deadline - MARGIN - self._check.settle - now) / steps
        return max(SHORTEST_AFTER_SUSPENSION * interval, min(interval, left))

    def listens(self, step: Step, now: float) -> bool:
        """Whether the log may have it suspended: it is read often, and there is time for it."""
        often = not self.by_looks or self.gaps.before(step.looks) <= FARTHEST
        return often and self._room(step, now) >= ROOM

    def _room(self, step: Step, now: float) -> float:
        """Seconds that a suspension may last, for the steps to have half of their intervals yet."""
        rest = max(0.0, step.ends - (step.suspended or now))
        rest += self._steps_after(step) * self._rollout.interval
        shortest = SHORTEST_AFTER_SUSPENSION * rest
        holds = (1 + self._steps_after(step)) * self._check.hold
        return self.deadline - MARGIN - now - shortest - holds - self._check.settle

    def _steps_after(self, step: Step) -> int:
        return len(self._rollout.weights) - step.number

    def suspended(self, step: Step, now: float) -> Step:
        """The step as it is suspended: its clock stands still. To settle begins anew after it."""
        ends = step.ends
        if step.phase not in (Phase.LASTING, Phase.HELD):
            ends = now
        next_look = now + self._suspended_gap
        return replace(step, phase=Phase.SUSPENDED, suspended=now, ends=ends, next_look=next_look)

    def suspended_on(self, step: Step, now: float) -> Step:
        """After a look that has not ended its suspension."""
        return replace(step, next_look=max(step.next_look + self._suspended_gap, now))

    def must_go_on(self, step: Step, now: float) -> bool:
        """Whether there is no time for another look before the suspended step must go on."""
        return self._room(step, now) < self._suspended_gap

    def resumed(self, step: Step, now: float) -> Step:
        """Its weight has taken effect again, and must be looked at anew."""
        stood = now - step.suspended
        ends = step.ends + stood
        if ends > now:
            steps = (ends - now) / self._rollout.interval + self._steps_after(step)
            share = self._share(steps, now) / self._rollout.interval
            ends = now + (ends - now) * share
        return replace(
            step,
            phase=Phase.LASTING,
            shifted=now,
            seen=False,
            suspended=0.0,
            stood=step.stood + stood,
            ends=ends,
            next_look=min(now + self.gaps.before(0), max(ends, now)),
        )

    def looked(
        self, step: Step, verdict: Verdict, evidence: Evidence, began: float, now: float
    ) -> Step:
        """The step after a look, which began at `began`, and did not fail: its phase, and when to
        look next. Raises `HealthCheckInconclusive`."""
        seen = verdict.status is not Status.UNSEEN
        if step.phase in (Phase.LASTING, Phase.HELD):
            step = replace(step, seen=step.seen or seen)
            if began < step.ends:
                return self._next(step, Phase.LASTING, step.ends, now)
            if self._must_hold(step, evidence, now):
                latest = min(step.ends + self._check.hold, self._latest_hold(step))
                return self._next(step, Phase.HELD, latest, now)
            if self._check.may_hold:  # later deadlines, and settling, count from now
                step = replace(step, held=step.held + now - step.ends, ends=now)
        else:
            step = replace(step, seen=seen)
        latest = step.ends + self._check.settle
        if step.stood or self._rollout.deadline:  # lack of time must not roll it back
            latest = min(latest, self.deadline - MARGIN)
        if now < latest and self._must_settle(step, evidence):
            next_look = min(max(step.next_look + self._settling_gap, now), latest)
            return replace(step, phase=Phase.SETTLING, next_look=next_look)
        if step.seen or not self._check.checks:
            return replace(step, phase=Phase.OVER)
        if step.phase == Phase.LAST_TRY:
            raise HealthCheckInconclusive(
                "The new version could not be judged, because no look could be made: "
                f"{verdict.reason}"
            )
        return replace(step, phase=Phase.LAST_TRY, next_look=now + AGAIN)

    def _next(self, step: Step, phase: Phase, latest: float, now: float) -> Step:
        looks = step.looks + 1
        next_look = min(max(step.next_look + self.gaps.before(looks), now), latest)
        return replace(step, phase=phase, looks=looks, next_look=next_look)

    def _must_settle(self, step: Step, evidence: Evidence) -> bool:
        """Whether calls at the last weight are still to be published, or to be judged."""
        if not self._check.checks or not self.fully_weighted(step):
            return False
        # Metrics are published in any order: the last minute's calls may come before its errors.
        return not evidence.judged or self._check.undecided(evidence)

    def _must_hold(self, step: Step, evidence: Evidence, now: float) -> bool:
        """Whether the step must last on until enough calls are reported. Raises when they do not
        come in time."""
        lacking = self._check.lacks(evidence)
        if not lacking:
            return False
        in_time = now < self._latest_hold(step)
        if in_time and now < step.ends + self._check.hold:
            return True
        why = f"{self._check.hold:g} s beyond its interval"
        if not in_time:
            why = "before time ran short"
        raise HealthCheckInconclusive(
            f"{lacking} of version {self._rollout.new_version} in step {step.number}, {why}."
        )

    def _latest_hold(self, step: Step) -> float:
        """Until when a step may be held, for the rest of the rollout to have its time yet."""
        interval = self._rollout.interval
        if step.stood:
            interval *= SHORTEST_AFTER_SUSPENSION
        rest = self._steps_after(step) * interval + self._check.settle
        return self.deadline - MARGIN - rest
