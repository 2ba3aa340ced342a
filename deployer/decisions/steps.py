"""The steps of a rollout: how long each lasts, when it is looked at, held and settled; and what is
carried along.

`Progress` is all that goes from one verb to the next: it is part of the state machine's state.
"""

import math
from dataclasses import dataclass, field

from deployer.decisions.checks import HealthCheck
from deployer.decisions.errors import HealthCheckInconclusive
from deployer.decisions.evidence import Evidence
from deployer.decisions.health import Status, undecided
from deployer.decisions.looks import looks
from deployer.decisions.rollout import Rollout

#: No weight lasts less than this part of its interval, however late it was set.
SHORTEST = 0.9

#: How many looks the state machine's history of events has room for while it settles.
MOST_SETTLING = 25

#: Seconds until a look is repeated that could not be made, where the step would end unseen.
AGAIN = 3.0


@dataclass
class Progress:
    """How far it got. Times are seconds since 1970; `step` counts from 1, and is 0 before the
    first shift."""

    id: str
    original: str
    words: str  # the user's part of the alias's description
    started: float
    step: int = 0
    shifted: float = 0.0  # when the last weight took effect
    step_end: float = 0.0
    held: float = 0.0  # for how long steps were held: later deadlines move with it
    next_look: float = 0.0
    looks_of_step: int = 0
    good: int = 0  # good looks of this step; after its end, whether the last one was
    settling: bool = False  # the step's time is over, only the settling may go on
    again: bool = False  # the ending look is being repeated
    looks: int = 0
    unseen: int = 0
    judged: bool = False  # calls at the last weight were published, and looked at
    reason: str = ""  # of the last verdict
    evidence: Evidence = field(default_factory=Evidence)
    warnings: list[str] = field(default_factory=list)


class Steps:
    """The course of one rollout. Changes nothing but `progress`; times are seconds since 1970."""

    def __init__(self, rollout: Rollout, progress: Progress, most_looks: int) -> None:
        """`most_looks` limits the looks of a step; 0 does not."""
        self.rollout, self.progress = rollout, progress
        self.checked, self.check = (
            rollout.health_check is not None,
            rollout.health_check or HealthCheck(settle=0),
        )
        self.looks = looks(rollout.interval, rollout.hold, self.check.every, most_looks)
        self.settling_gap = max(
            self.looks.gap(0), self.check.settle / MOST_SETTLING if most_looks else 0
        )
        self.deadline = math.inf  # when a rollback must begin at the latest

    @property
    def fully_weighted(self) -> bool:
        return self.progress.step == len(self.rollout.weights)

    def begin(self, now: float) -> None:
        """The next weight has just taken effect."""
        progress, interval = self.progress, self.rollout.interval
        progress.step, progress.shifted = progress.step + 1, now
        planned = progress.started + progress.held + progress.step * interval
        progress.step_end = max(planned, now + SHORTEST * interval)
        progress.next_look = min(now + self.looks.gap(0), progress.step_end)
        progress.looks_of_step, progress.good = 0, 0
        progress.settling, progress.again, progress.judged = False, False, False
        progress.evidence.next_step()

    def looked(self, status: Status, reason: str, ended: bool, now: float) -> Status:
        """After a look: whether the step lasts on, and the time of the next look.

        `ended` says whether the step's time was over before the look. Raises
        `HealthCheckInconclusive`.
        """
        progress, good = self.progress, status is not Status.UNSEEN
        progress.good = good if progress.settling else progress.good + good
        if status is Status.FAILED:
            return status
        if not ended:
            return self._again(progress.looks_of_step + 1, progress.step_end, now)
        if not progress.settling:
            if self._holds(now):
                return self._again(
                    progress.looks_of_step + 1, progress.step_end + self.check.hold, now
                )
            if self.check.min_invocations:
                progress.held, progress.step_end = progress.held + now - progress.step_end, now
            progress.settling = True
        give_up = progress.step_end + self.check.settle
        # Metrics are published in any order: the last minute's calls may come before its errors.
        settled = progress.judged and not undecided(self.check, progress.evidence)
        if self.fully_weighted and self.checked and not settled and now < give_up:
            progress.next_look = min(max(progress.next_look + self.settling_gap, now), give_up)
            return Status.PENDING
        if progress.good or not self.checked:
            return Status.SUCCEEDED
        if progress.again:
            unjudged = "The new version could not be judged, because no look could be made"
            raise HealthCheckInconclusive(f"{unjudged}: {reason}")
        progress.again, progress.next_look = True, now + AGAIN
        return Status.PENDING

    def _holds(self, now: float) -> bool:
        """Whether the step must last on until enough calls are reported. Raises when they do not
        come in time."""
        progress, calls, wanted = (
            self.progress,
            self.progress.evidence.of_step,
            self.check.min_invocations,
        )
        if calls >= wanted:
            return False
        rest = (
            len(self.rollout.weights) - progress.step
        ) * self.rollout.interval + self.check.settle
        if now < progress.step_end + self.check.hold and now + rest < self.deadline:
            return True
        asked = f"the {wanted} calls that 'min-invocations' asks for"
        few = f"{calls} of {asked} were reported of version"
        why = (
            f"{self.check.hold:g} s beyond its interval"
            if now + rest < self.deadline
            else "before time ran short"
        )
        raise HealthCheckInconclusive(
            f"Only {few} {self.rollout.new_version} in step {progress.step}, {why}."
        )

    def _again(self, number: int, latest: float, now: float) -> Status:
        progress = self.progress
        progress.looks_of_step = number
        progress.next_look = min(max(progress.next_look + self.looks.gap(number), now), latest)
        return Status.PENDING
