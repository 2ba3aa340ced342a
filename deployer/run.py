"""One rollout under way, and its verbs. Both drivers turn them: `simple` in a loop, `workflow` state by state.

What is carried from one verb to the next is `Progress`: it is part of the state machine's state.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from deployer import aws, errors
from deployer.alias import Alias
from deployer.claim import PromotedByHand
from deployer.health import Evidence, Status, Verdict, covers, judge
from deployer.looks import looks
from deployer.metrics import Metrics, NotSeen
from deployer.rollout import Rollout

#: No weight lasts less than this part of its interval, however late it was set.
SHORTEST = 0.9

#: Seconds until a look is repeated that could not be made, where the step would end unseen.
AGAIN = 3.0

PROMOTED = "Promoted by hand, or by a request of ours whose answer was lost."

logger = Logger(service="aws-lambda-deploy", use_rfc3339=True)


@dataclass
class Progress:
    """How far it got. Times are seconds since 1970; `step` counts from 1, and is 0 before the first shift."""

    id: str
    original: str
    words: str  # the user's part of the alias's description
    started: float
    step: int = 0
    shifted: float = 0.0  # when the last weight took effect
    step_end: float = 0.0
    next_look: float = 0.0
    looks_of_step: int = 0
    good: int = 0  # good looks of this step; after its end, whether the last one was
    again: bool = False  # the ending look is being repeated
    looks: int = 0
    unseen: int = 0
    judged: bool = False  # calls at the last weight were published, and looked at
    evidence: Evidence = field(default_factory=Evidence)
    warnings: list[str] = field(default_factory=list)


class Run:
    """A rollout, what it works with, and its progress."""

    def __init__(self, rollout: Rollout, means: aws.Means, alias: Alias, progress: Progress, most: int = 0) -> None:
        """`most` limits the looks of a step; 0 does not."""
        self.rollout, self.alias, self.progress = rollout, alias, progress
        self.means, self.clock = means, means.clock
        self.metrics = Metrics(means.cloudwatch, rollout, progress.original)
        self.looks = looks(rollout.interval, most)
        logger.append_keys(rollout=progress.id, function=rollout.function_name, alias=rollout.alias_name)

    @property
    def deployed(self) -> bool:
        """Whether there was nothing to do: the alias stood on the new version before the start."""
        return self.progress.original == self.rollout.new_version

    @property
    def fully_weighted(self) -> bool:
        return self.progress.step == len(self.rollout.weights)

    def update_weight(self, until: datetime) -> None:
        """UpdateWeight; `until` is when this rollout has surely gone on or ended."""
        progress, interval = self.progress, self.rollout.interval
        if not progress.step:
            progress.started = self.clock.time()
            progress.evidence = Evidence(progress.started // 60 * 60)
        self.alias.shift(progress.step + 1, until)
        progress.step, progress.shifted = progress.step + 1, self.clock.time()
        planned = progress.started + progress.step * interval
        progress.step_end = max(planned, progress.shifted + SHORTEST * interval)
        progress.next_look = min(progress.shifted + self.looks.gap(0), progress.step_end)
        progress.looks_of_step, progress.good, progress.again = 0, 0, False
        logger.info("SHIFTED", extra={"weight": self.rollout.weights[progress.step - 1], "step": progress.step})

    @property
    def pause(self) -> float:
        """Wait: the seconds until the next look."""
        return max(0.0, self.progress.next_look - self.clock.time())

    def health_check(self) -> Verdict:
        """HealthCheck: PENDING while the step lasts, and while it settles. Raises what ends it without a verdict."""
        progress, checked = self.progress, self.rollout.health_check is not None
        ended, settling = self.clock.time() >= progress.step_end, progress.next_look > progress.step_end
        verdict = self._look(ended)
        good = verdict.status is not Status.UNSEEN
        progress.good = good if settling else progress.good + good
        now, give_up = self.clock.time(), progress.step_end + self.rollout.settle
        unsettled = self.fully_weighted and checked and not progress.judged and now < give_up
        if verdict.status is Status.FAILED:
            return verdict
        if not ended or unsettled:
            progress.looks_of_step += 1
            gap = self.looks.gap(0 if ended else progress.looks_of_step)
            progress.next_look = min(max(progress.next_look + gap, now), give_up if ended else progress.step_end)
        elif progress.good or not checked:
            return Verdict(Status.SUCCEEDED, verdict.reason)
        elif progress.again:
            unjudged = "The new version could not be judged, because no look could be made"
            raise errors.HealthCheckInconclusive(f"{unjudged}: {verdict.reason}")
        else:
            progress.again, progress.next_look = True, now + AGAIN
        return Verdict(Status.PENDING, verdict.reason)

    def _look(self, ended: bool) -> Verdict:
        """One look; UNSEEN when it could not be made."""
        progress, now = self.progress, self.clock.now()
        try:
            self.alias.confirm()
            if self.rollout.health_check is None:
                return Verdict(Status.PENDING, "The health check is switched off.")
            look = self.metrics.look(_utc(progress.evidence.since), now)
        except (NotSeen, *aws.CallFailed) as unseen:
            progress.unseen += 1
            logger.warning("NOT_SEEN", extra={"reason": str(unseen)})
            return Verdict(Status.UNSEEN, str(unseen))
        progress.evidence.add(look, now)
        progress.looks, progress.judged = progress.looks + 1, covers(look, _utc(progress.shifted), now)
        verdict = judge(progress.evidence, progress.original, self.rollout.new_version, ended)
        logger.info("LOOKED", extra={"verdict": verdict.status, "reason": verdict.reason})
        return verdict

    def finalize(self) -> dict[str, Any]:
        """Finalize: the new version alone; the contract's result."""
        if self.rollout.health_check is None:
            self.progress.warnings.append("The health check was switched off.")
        elif self.fully_weighted and not self.progress.judged:
            calls = f"calls of version {self.rollout.new_version} since {_utc(self.progress.shifted):%H:%M:%S} UTC"
            unjudged = f"Not judged at full weight: CloudWatch published no {calls}. Does anything call this alias?"
            self.progress.warnings.append(unjudged)
        self.alias.finalize()
        return self.result("SUCCEEDED")

    def undo_abandoned(self) -> None:
        if self.alias.seen.routing:
            self.alias.undo_abandoned()
            self.progress.warnings.append("A rollout that had died had left the alias split: rolled back first.")

    def give_back(self, error: BaseException) -> dict[str, Any]:
        """Rollback, and raise the error; the result instead, if the alias turns out to be on the new version."""
        if isinstance(error, errors.AliasBusy | errors.AliasChanged):
            raise error
        try:
            if isinstance(error, PromotedByHand):
                raise error
            if self.alias.roll_back():
                logger.warning("ROLLED_BACK", extra={"reason": str(getattr(error, "reason", error))})
                if isinstance(error, errors.DeployError):
                    error.reason += " It was rolled back."
        except PromotedByHand:
            if isinstance(error, errors.HealthCheckFailed | errors.HealthCheckInconclusive):
                raise error from None  # somebody wants it all the same: respected, and not called a success
            self.progress.warnings.append(PROMOTED)
            return self.result("SUCCEEDED")
        except errors.DeployError as worse:
            worse.reason = f"{getattr(error, 'reason', error)} {worse.reason}"
            raise worse from error
        if isinstance(error, errors.DeployError):
            raise error
        raise errors.RolloutInterrupted(f"Something unexpected happened: {type(error).__name__}: {error}.") from error

    def result(self, status: str) -> dict[str, Any]:
        """What AWS last answered for the alias, as in the sample, and `rollout`; kebab-case, as the payload."""
        progress, new_version, weights = self.progress, self.rollout.new_version, list(self.rollout.weights)
        logger.info(status, extra={"warnings": progress.warnings})
        original, new = progress.evidence.total
        checks: Any = {"looks": progress.looks, "unseen": progress.unseen, "judged": progress.judged}
        checks["original"] = {"version": progress.original, **vars(original)}
        checks["new"] = {"version": new_version, **vars(new)}
        rollout: Any = {"status": status, "id": progress.id}
        rollout |= {"original-version": progress.original, "new-version": new_version, "weights": weights}
        rollout |= {"started": _iso(progress.started), "ended": _iso(self.clock.time())}
        return {**self.alias.seen.answer, "rollout": {**rollout, "checks": checks, "warnings": progress.warnings}}


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _iso(seconds: float) -> str:
    return _utc(seconds).isoformat(timespec="seconds")
