"""One rollout under way, and its verbs. Both drivers turn them: `simple` in a loop, `workflow`
state by state."""

import math
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from deployer import aws
from deployer.alias import Alias
from deployer.decisions import ending, errors
from deployer.decisions.ending import Ending, PromotedByHand
from deployer.decisions.evidence import covers
from deployer.decisions.health import Status, Verdict, judge
from deployer.decisions.rollout import Rollout
from deployer.decisions.steps import Progress, Steps
from deployer.metrics import Metrics, NotSeen
from deployer.tell import NO_ENDINGS, logger, tell

#: Seconds after which somebody is looked for who has moved the alias, or replaced its whole
#: description.
GLANCE = 30.0

#: What is raised when somebody else has the alias.
MOVED = (PromotedByHand, errors.AliasBusy, errors.AliasChanged)

#: When the lease runs out of a rollout that has none: the state machine's.
NEVER = math.inf


class Run:
    """A rollout, what it works with, and its progress."""

    def __init__(
        self,
        rollout: Rollout,
        means: aws.Means,
        alias: Alias,
        progress: Progress,
        most: int = 0,
    ) -> None:
        """`most` limits the looks of a step; 0 does not."""
        self.rollout = rollout
        self.means = means
        self.clock = means.clock
        self.alias = alias
        self.progress = progress
        self.steps = Steps(rollout, progress, most)
        self.check = self.steps.check
        self.checked = self.steps.checked
        self.metrics = Metrics(means.cloudwatch, rollout, progress.original)
        self.log_as_own()

    @property
    def deployed(self) -> bool:
        """Whether there was nothing to do: the alias stood on the new version before the start."""
        return self.progress.original == self.rollout.new_version

    @property
    def weight(self) -> float:
        if not self.progress.step:
            return 0.0
        return self.rollout.weights[self.progress.step - 1]

    def log_as_own(self) -> None:
        """From now on log lines name this rollout."""
        logger.append_keys(
            rollout=self.progress.id,
            function=self.rollout.function_name,
            alias=self.rollout.alias_name,
        )

    # The verbs.

    def update_weight(self, until: datetime, spare: float) -> None:
        """UpdateWeight, within `spare` seconds; `until` is when this rollout has surely gone on
        or ended."""
        progress = self.progress
        if not progress.step:
            progress.started = self.clock.time()
            progress.evidence.since = progress.started // 60 * 60
            self.tell("STARTED")
        self.alias.shift(progress.step + 1, until, spare)
        self.steps.begin(self.clock.time())
        self.tell("SHIFTED")

    @property
    def pause(self) -> float:
        """Wait: the seconds until the next look."""
        return max(0.0, self.progress.next_look - self.clock.time())

    def health_check(self) -> Verdict:
        """HealthCheck: PENDING while the step lasts, is held, or settles. Raises what ends it
        without a verdict."""
        ended = self.clock.time() >= self.progress.step_end
        seen = self._look()
        status = self.steps.looked(seen.status, seen.reason, ended, self.clock.time())
        verdict = Verdict(status, seen.reason)
        if seen.numbers:
            told = {"verdict": verdict.status, "reason": verdict.reason}
            step = {"step": self.progress.step, "weight": self.weight}
            logger.info("LOOKED", extra={**told, **step, **seen.numbers})
        return verdict

    def glance(self) -> None:
        """Between looks that are far apart: see that the alias is still ours. Raises what ends
        the rollout."""
        if self.clock.time() - self.alias.seen_at >= GLANCE:
            with suppress(*aws.CallFailed):
                self.alias.confirm()

    def _look(self) -> Verdict:
        """One look; UNSEEN when it could not be made."""
        progress = self.progress
        now = self.clock.time()
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
        progress.looks += 1
        progress.judged = progress.judged or covers(look, progress.shifted, now)
        verdict = judge(self.check, progress.evidence, progress.original, self.rollout.new_version)
        progress.reason = verdict.reason
        return verdict

    def finalize(self, spare: float) -> Ending:
        """Finalize, within `spare` seconds: the new version alone."""
        self.alias.finalize(spare)
        self.progress.warnings += self._unjudged()
        return Ending(ending.SUCCEEDED, self.progress.reason, self.alias.told)

    def roll_back(
        self, cause: BaseException, lease_until: float = NEVER, watchdog: bool = False
    ) -> Ending:
        """Rollback, unless the alias is somebody else's by now: how the rollout ended because of
        `cause`.

        From `lease_until` on the watchdog may have had the alias, and told; to the `watchdog` a
        deployer that lives is what the watchdog is to that.
        """
        ended = self._rolled_back(cause, lease_until, watchdog)
        where = self.alias.where()
        if ended.rolled_back:
            took = {}
            if self.progress.started:
                took["seconds"] = round(self.clock.time() - self.progress.started)
            self.tell("ROLLED_BACK", reason=ending.reason_of(cause), **took)
        left_over = ended.status == "RollbackFailed" or self.alias.stamped
        return ended.at(where, left_over)

    def _rolled_back(self, cause: BaseException, lease_until: float, watchdog: bool) -> Ending:
        alias = self.alias
        moved: BaseException = cause
        was_split = False
        try:
            if not isinstance(cause, MOVED):
                was_split = alias.roll_back()
        except MOVED as error:
            moved = error
        except errors.RollbackFailed as failed:
            late = self.clock.time() >= lease_until
            silent = late and alias.was_split and not alias.by_ourselves
            return ending.not_rolled_back(cause, failed, silent)
        # What the other one took back, or finalized, it has told.
        others_tell = watchdog or self.clock.time() >= lease_until
        if isinstance(moved, MOVED):
            alias.take_out(stamped_only=True)
            ours = alias.took_out or alias.stamped
            gone = alias.seen.version == self.progress.original and not alias.seen.routing
            if others_tell and not ours and (watchdog or gone):
                return ending.lost(cause)
            return ending.moved(cause, moved)
        if others_tell and alias.was_split and not alias.by_ourselves:
            return ending.lost(cause)
        return ending.rolled_back(cause, was_split)

    def _unjudged(self) -> Iterator[str]:
        """What could not be judged, though it is finalized."""
        progress = self.progress
        seen = progress.evidence
        version = self.rollout.new_version
        if not self.checked:
            yield "The health check was switched off."
            return
        if self.steps.fully_weighted and not progress.judged:
            calls = f"calls of version {version} since {_utc(progress.shifted):%H:%M:%S} UTC"
            told = f"Not judged at full weight: CloudWatch published no {calls}."
            yield f"{told} Does anything call this alias?"
        if self.check.errors == "baseline" and not seen.compared:
            yield "Not compared: CloudWatch published no minute in which both versions had calls."
        for name, limit in self.check.metrics.items():
            if name not in seen.highest:
                told = f"Not judged by {limit}: CloudWatch published no data of it."
                yield f"{told} Is it named correctly?"

    # Telling.

    def tell(self, status: str, **more: Any) -> None:
        """Tell a change of state, with who and what it is about and where the alias is, as far
        as is known."""
        rollout = self.rollout
        progress = self.progress
        detail = {
            "rollout": progress.id,
            "function": rollout.function_name,
            "alias": rollout.alias_name,
            "original-version": progress.original,
            "new-version": rollout.new_version,
            "weight": self.weight,
            "step": progress.step,
            "steps": len(rollout.weights),
            "where": self.alias.told,
        }
        tell(self.means, status, **{**detail, **more})

    def tell_ending(self, ended: Ending) -> None:
        """Tell how it ended; one that is another's to tell is only logged."""
        if ended.silent:
            logger.warning("NOT_OURS_TO_TELL", extra={"reason": ended.reason, "where": ended.where})
            return
        if not ended.well:
            self.tell(ended.status, reason=ended.reason, where=ended.where)
            return
        more: dict[str, Any] = {}
        if "execution-arn" in ended.more:
            more["execution"] = ended.more["execution-arn"]
        reason = ended.reason or self.progress.reason
        self.tell(ended.status, reason=reason, warnings=self._warnings(ended), **more)

    def result(self, ended: Ending) -> dict[str, Any]:
        """What AWS last answered for the alias, as in the sample, and `rollout`; kebab-case, as
        the payload."""
        progress = self.progress
        rollout: dict[str, Any] = {
            "status": ended.status,
            "id": progress.id,
            "original-version": progress.original,
            "new-version": self.rollout.new_version,
            "weights": list(self.rollout.weights),
            "started": _iso(progress.started),
        }
        if ended.status not in NO_ENDINGS:
            rollout["ended"] = _iso(self.clock.time())
            rollout["checks"] = self._checks()
        rollout["warnings"] = self._warnings(ended)
        return {**self.alias.seen.answer, "rollout": {**rollout, **ended.more}}

    def _warnings(self, ended: Ending) -> list[str]:
        if ended.warning:
            return [*self.progress.warnings, ended.warning]
        return self.progress.warnings

    def _checks(self) -> dict[str, Any]:
        progress = self.progress
        versions = {"original": progress.original, "new": self.rollout.new_version}
        counts = {
            who: {"version": version, **progress.evidence.of(who)._asdict()}
            for who, version in versions.items()
        }
        return {
            "looks": progress.looks,
            "unseen": progress.unseen,
            "judged": progress.judged,
            **counts,
            "reason": progress.reason,
        }


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _iso(seconds: float) -> str:
    return _utc(seconds).isoformat(timespec="seconds")
