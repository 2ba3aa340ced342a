"""One rollout under way, and its verbs. Both drivers turn them: `simple` in a loop, `workflow` state by state."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from decisions import errors
from decisions.claim import PromotedByHand
from decisions.evidence import covers
from decisions.health import Status, Verdict, judge
from decisions.rollout import Rollout
from decisions.steps import Progress, Steps
from deployer import aws
from deployer.alias import Alias
from deployer.metrics import Metrics, NotSeen
from deployer.tell import NO_ENDINGS, logger, tell

PROMOTED = "Promoted by hand, or by a request of ours whose answer was lost."


class Run:
    """A rollout, what it works with, and its progress."""

    def __init__(self, rollout: Rollout, means: aws.Means, alias: Alias, progress: Progress, most: int = 0) -> None:
        """`most` limits the looks of a step; 0 does not."""
        self.rollout, self.alias, self.progress = rollout, alias, progress
        self.means, self.clock = means, means.clock
        self.steps = Steps(rollout, progress, most)
        self.check, self.checked = self.steps.check, self.steps.checked
        self.metrics = Metrics(means.cloudwatch, rollout, progress.original)
        logger.append_keys(rollout=progress.id, function=rollout.function_name, alias=rollout.alias_name)

    @property
    def deployed(self) -> bool:
        """Whether there was nothing to do: the alias stood on the new version before the start."""
        return self.progress.original == self.rollout.new_version

    @property
    def weight(self) -> float:
        return self.rollout.weights[self.progress.step - 1] if self.progress.step else 0.0

    def tell(self, status: str, **more: Any) -> None:
        """Tell a change of state, with who and what it is about and where the alias is, as far as is known."""
        rollout, progress = self.rollout, self.progress
        who = {"rollout": progress.id, "function": rollout.function_name, "alias": rollout.alias_name}
        who |= {"original-version": progress.original, "new-version": rollout.new_version}
        how_far = {"weight": self.weight, "step": progress.step, "steps": len(rollout.weights)}
        tell(self.means, status, **who, **how_far, **{"where": self.alias.told, **more})

    def update_weight(self, until: datetime) -> None:
        """UpdateWeight; `until` is when this rollout has surely gone on or ended."""
        progress = self.progress
        if not progress.step:
            progress.started = self.clock.time()
            progress.evidence.since = progress.started // 60 * 60
            self.tell("STARTED")
        self.alias.shift(progress.step + 1, until)
        self.steps.begin(self.clock.time())
        self.tell("SHIFTED")

    @property
    def pause(self) -> float:
        """Wait: the seconds until the next look."""
        return max(0.0, self.progress.next_look - self.clock.time())

    def health_check(self) -> Verdict:
        """HealthCheck: PENDING while the step lasts, is held, or settles. Raises what ends it without a verdict."""
        ended, seen = self.clock.time() >= self.progress.step_end, self._look()
        verdict = Verdict(self.steps.looked(seen.status, seen.reason, ended, self.clock.time()), seen.reason)
        if seen.numbers:
            told = {"verdict": verdict.status, "reason": verdict.reason}
            step = {"step": self.progress.step, "weight": self.weight}
            logger.info("LOOKED", extra={**told, **step, **seen.numbers})
        return verdict

    def _look(self) -> Verdict:
        """One look; UNSEEN when it could not be made."""
        progress, now = self.progress, self.clock.time()
        try:
            self.alias.confirm()
            if not self.checked:
                return Verdict(Status.PENDING, "The health check is switched off.")
            look = self.metrics.look(progress.evidence.since, now)
        except (NotSeen, *aws.CallFailed) as unseen:
            progress.unseen += 1
            logger.warning("NOT_SEEN", extra={"reason": str(unseen)})
            return Verdict(Status.UNSEEN, str(unseen))
        progress.evidence.add(look, now, progress.shifted, self.steps.fully_weighted)
        progress.looks, progress.judged = progress.looks + 1, progress.judged or covers(look, progress.shifted, now)
        verdict = judge(self.check, progress.evidence, progress.original, self.rollout.new_version)
        progress.reason = verdict.reason
        return verdict

    def finalize(self) -> dict[str, Any]:
        """Finalize: the new version alone; the contract's result."""
        self.progress.warnings += self._unjudged()
        self.alias.finalize()
        return self.result("SUCCEEDED")

    def _unjudged(self) -> Iterator[str]:
        """What could not be judged, though it is finalized."""
        progress, seen, version = self.progress, self.progress.evidence, self.rollout.new_version
        if not self.checked:
            yield "The health check was switched off."
            return
        if self.steps.fully_weighted and not progress.judged:
            calls = f"calls of version {version} since {_utc(progress.shifted):%H:%M:%S} UTC"
            yield f"Not judged at full weight: CloudWatch published no {calls}. Does anything call this alias?"
        if self.check.errors == "baseline" and not seen.compared:
            yield "Not compared: CloudWatch published no minute in which both versions had calls."
        for name, limit in self.check.metrics.items():
            if name not in seen.highest:
                yield f"Not judged by {limit}: CloudWatch published no data of it. Is it named correctly?"

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
                took = {"seconds": round(self.clock.time() - self.progress.started)} if self.progress.started else {}
                self.tell("ROLLED_BACK", reason=str(getattr(error, "reason", error)), **took)
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

    def result(self, status: str, **more: Any) -> dict[str, Any]:
        """What AWS last answered for the alias, as in the sample, and `rollout`; kebab-case, as the payload."""
        progress, new_version = self.progress, self.rollout.new_version
        self.tell(status, reason=progress.reason, warnings=progress.warnings, **more)
        rollout: Any = {"status": status, "id": progress.id, "original-version": progress.original}
        rollout |= {
            "new-version": new_version,
            "weights": list(self.rollout.weights),
            "started": _iso(progress.started),
        }
        if status not in NO_ENDINGS:
            checks: Any = {"looks": progress.looks, "unseen": progress.unseen, "judged": progress.judged}
            for who, version in (("original", progress.original), ("new", new_version)):
                checks[who] = {"version": version, **progress.evidence.of(who)._asdict()}
            rollout |= {"ended": _iso(self.clock.time()), "checks": {**checks, "reason": progress.reason}}
        return {**self.alias.seen.answer, "rollout": {**rollout, "warnings": progress.warnings}}


def tell_ending(error: errors.DeployError, means: aws.Means, run: Run | None, who: Any, attempt: int = 0) -> None:
    """Tell that it ended with this error, which then says where the alias is; `who` it was, where there is no run.

    That a rollback failed is told once: a later `attempt` at it, from 1, is only logged.
    """
    if run:
        error.where = run.alias.where()
    if attempt and isinstance(error, errors.RollbackFailed):
        logger.error("STILL_SPLIT", extra={"attempt": attempt, "reason": error.reason, "where": error.where})
    elif run:
        run.tell(type(error).__name__, reason=error.reason, where=error.where)
    else:
        tell(means, type(error).__name__, **who, reason=error.reason, where=error.where)


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _iso(seconds: float) -> str:
    return _utc(seconds).isoformat(timespec="seconds")
