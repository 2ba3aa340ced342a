"""One rollout under way, and its verbs. Both drivers call them: `simple` in a loop, `workflow`
state by state."""

import math
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from typing import Any

from deployer import aws
from deployer.alias import Alias
from deployer.clock import iso, utc
from deployer.decisions import ending, errors
from deployer.decisions.checks.check import Versions
from deployer.decisions.ending import Ending, PromotedByHand
from deployer.decisions.evidence import MINUTE, Look
from deployer.decisions.health import Status, Verdict
from deployer.decisions.ownership import Hold, Snapshot
from deployer.decisions.rollout import Rollout
from deployer.decisions.stamp import Stamp
from deployer.decisions.timeline import Phase, Progress, Step, Timeline
from deployer.early_warning import EarlyWarning
from deployer.metrics import Metrics, NotSeen
from deployer.tell import NO_ENDINGS, logger, tell

#: How old a reading of the alias may be, in seconds, before `glance` reads it again.
GLANCE = 30.0

#: A look that took so many seconds leaves no time to read the log besides: the lease must be moved
#: on.
SLOW = 10.0

#: What is raised when somebody else has the alias.
MOVED = (PromotedByHand, errors.AliasBusy, errors.AliasChanged)

#: When the lease of a rollout runs out that has none: the state machine's.
NEVER = math.inf


class Run:
    """A rollout, what it works with, and its progress."""

    def __init__(
        self,
        rollout: Rollout,
        means: aws.Means,
        alias: Alias,
        progress: Progress,
        most_looks: int = 0,
    ) -> None:
        """`most_looks` limits the looks of a step; 0 does not."""
        self.rollout = rollout
        self.means = means
        self.clock = means.clock
        self.alias = alias
        self.progress = progress
        self.versions = Versions(progress.original, rollout.new_version)
        self.check = rollout.health_check
        self.timeline = Timeline(rollout, most_looks)
        self._seen = Look({}, {})  # the last look, as far as this invocation has made one
        #: The alias's calls in the hour before, of the minutes that had any; None if unknown.
        self.hour_before: list[float] | None = None
        self.log_as_own()

    @classmethod
    def of_the_dead(
        cls,
        means: aws.Means,
        rollout: Rollout,
        hold: Hold,
        words: str,
        step: int,
        seen: Snapshot | None = None,
    ) -> "Run":
        """One whose deployer died, as far as that is known: it can only be rolled back.

        Reads the alias, unless it was `seen`; raises the API's own error.
        """
        alias = Alias(means, rollout, hold.rollout_id, seen)
        alias.resume(hold, words)
        progress = Progress(hold.rollout_id, hold.original, words, started=0.0, at=Step(step))
        return cls(rollout, means, alias, progress)

    @cached_property
    def early_warning(self) -> EarlyWarning:
        return EarlyWarning(self.means, self.rollout, self.progress, self.timeline)

    @cached_property
    def metrics(self) -> Metrics:
        return Metrics(self.means.cloudwatch, self.rollout.target, self.versions, self.check)

    @property
    def deployed(self) -> bool:
        """Whether there was nothing to do: the alias stood on the new version before the start."""
        return self.versions.original == self.versions.new

    @property
    def step(self) -> int:
        """From 1; 0 before the first shift."""
        return self.progress.at.number

    @property
    def weight(self) -> float:
        return self.rollout.weights[self.step - 1] if self.step else 0.0

    @property
    def fully_weighted(self) -> bool:
        return self.timeline.fully_weighted(self.progress.at)

    def log_as_own(self) -> None:
        """From now on log lines name this rollout."""
        logger.append_keys(rollout=self.progress.id, **self.rollout.target._asdict())

    # The verbs.

    def update_weight(self, until: datetime, spare: float) -> None:
        """UpdateWeight, within `spare` seconds; `until` is when this rollout has surely gone on
        or ended."""
        progress = self.progress
        self._must_be_in_time(self.clock.time())
        if self.step == 0:
            progress.started = self.clock.time()
            progress.evidence.since = progress.started // MINUTE * MINUTE
            self.tell("STARTED", warnings=progress.warnings, **self._lengths())
        self.alias.shift(self._mark(self.step + 1, until), spare)
        progress.at = self.timeline.begin(progress.at, progress.started, self.clock.time())
        progress.evidence.begin_step(progress.at.shifted, self.weight)
        self.tell("SHIFTED", **self._times())

    @property
    def pause(self) -> float:
        """Wait: the seconds until the next look, or until the log is to be read."""
        until = self.progress.at.next_look
        if not self.timeline.by_looks:
            until = min(until, self.early_warning.next)
        return max(0.0, until - self.clock.time())

    def health_check(self) -> Verdict:
        """HealthCheck: PENDING while the step lasts, is held, settles, or is suspended; SUCCEEDED
        at its end; SUSPECTED when it must be suspended, CLEARED when that is over. Raises what
        ends it without a verdict."""
        progress = self.progress
        began = self.clock.time()
        self._must_be_in_time(began)
        if began < progress.at.next_look and not self.timeline.by_looks:
            self.glance()
            return self._listened(Verdict(Status.PENDING, progress.reason))
        looked = self._look()
        verdict = looked
        if looked.status is Status.FAILED:
            pass
        elif progress.at.phase == Phase.SUSPENDED:
            verdict = self._suspended_on(looked)
        else:
            progress.at = self.timeline.looked(
                progress.at, looked, progress.evidence, began, self.clock.time()
            )
            over = progress.at.phase == Phase.OVER
            listens = looked.status is not Status.UNSEEN or not self.timeline.by_looks
            verdict = looked._replace(status=Status.SUCCEEDED if over else Status.PENDING)
            # What was published must be known; a loop knows it of the look before.
            if listens and self.clock.time() - began < SLOW:
                verdict = self._listened(verdict)
        self._log(looked, verdict)
        return verdict

    def _log(self, looked: Verdict, verdict: Verdict) -> None:
        """A line for every look, which says when the next one is due: silence can be told from
        patience."""
        at = {"phase": self.progress.at.phase, "step": self.step, "weight": self.weight}
        if looked.status is Status.UNSEEN:
            logger.warning("NOT_SEEN", extra={"reason": looked.reason, **at, **self._times()})
            return
        told = {"verdict": verdict.status, "reason": verdict.reason}
        logger.info("LOOKED", extra={**told, **at, **self._times(), **verdict.numbers})

    def _must_be_in_time(self, now: float) -> None:
        deadline = self.rollout.deadline
        if deadline and now >= deadline.timestamp():
            raise errors.RolloutInterrupted("The rollout's deadline has passed.")

    def _listened(self, verdict: Verdict) -> Verdict:
        """The verdict, unless the log accuses the new version."""
        why = self.early_warning.suspicion(self._seen)
        if not why:
            return verdict
        self.progress.reason = why
        return verdict._replace(status=Status.SUSPECTED, reason=why)

    def _suspended_on(self, verdict: Verdict) -> Verdict:
        """After a look that has not failed it while it is suspended."""
        progress = self.progress
        seen = verdict.status is not Status.UNSEEN
        judged = self.early_warning.judged(self._seen if seen else None)
        progress.at = self.timeline.suspended_on(progress.at, self.clock.time())
        progress.reason = judged.reason
        return judged._replace(numbers=verdict.numbers)

    def suspend(self, until: datetime, spare: float) -> None:
        """Suspend, within `spare` seconds: every call to the original version, until metrics have
        judged what the log has. Where AWS does not take that write, all stays as it is."""
        progress = self.progress
        if not self.alias.suspend(self._mark(self.step, until, suspended=True), spare):
            progress.listening.suspension = None
            return
        now = self.clock.time()
        progress.at = self.timeline.suspended(progress.at, now)
        progress.evidence.shift(now, 0.0)
        progress.listening.suspend(now)
        self.tell("SUSPENDED", reason=progress.reason, **self._times())

    def resume(self, until: datetime, spare: float) -> None:
        """Resume, within `spare` seconds: the step's weight again."""
        progress = self.progress
        self.alias.shift(self._mark(self.step, until), spare)
        now = self.clock.time()
        progress.at = self.timeline.resumed(progress.at, now)
        progress.evidence.shift(now, self.weight)
        progress.listening.suspension = None
        self.tell("RESUMED", reason=progress.reason, **self._times())

    def _mark(self, step: int, until: datetime, suspended: bool = False) -> Stamp:
        weights = self.rollout.weights
        weight = weights[step - 1]
        new = self.versions.new
        return Stamp(self.progress.id, new, weight, step, len(weights), until, suspended)

    def glance(self) -> None:
        """Between looks that are far apart: see that the alias is still ours. Raises what ends
        the rollout."""
        with suppress(*aws.CallFailed):
            self.alias.confirm(older_than=GLANCE)

    def _look(self) -> Verdict:
        """One look; UNSEEN when it could not be made."""
        progress = self.progress
        now = self.clock.time()
        try:
            self.alias.confirm()
            if not self.check.checks:
                return Verdict(Status.PENDING, "The health check is switched off.")
            look = self.metrics.look(progress.evidence.since, now)
        except (NotSeen, *aws.CallFailed) as unseen:
            progress.unseen += 1
            return Verdict(Status.UNSEEN, str(unseen))
        self._seen = look
        progress.evidence.add(look, now)
        progress.looks += 1
        verdict = self.check.judge(progress.evidence, self.versions)
        progress.reason = verdict.reason
        return verdict

    def finalize(self, spare: float) -> Ending:
        """Finalize, within `spare` seconds: the new version alone; after a rehearsal the original
        one."""
        status = ending.SUCCEEDED
        if self.rollout.finalize:
            self.alias.finalize(spare)
        else:
            status = ending.APPROVED
            self.alias.give_back(spare)
        self.progress.warnings += self._unjudged()
        return Ending(status, self.progress.reason, self.alias.told)

    def roll_back(
        self, cause: BaseException, lease_until: float = NEVER, watchdog: bool = False
    ) -> Ending:
        """Rollback, unless the alias is somebody else's by now: how the rollout ended because of
        `cause`.

        From `lease_until` on the watchdog may have rolled it back, and told; what it did is not
        told twice. Where the `watchdog` itself calls, that other one is the deployer, should it
        live.
        """
        ended = self._rolled_back(cause, lease_until, watchdog)
        where = self.alias.where()
        if ended.rolled_back:
            self.tell("ROLLED_BACK", reason=ending.reason_of(cause), **self._took())
        left_over = ended.status == "RollbackFailed" or self.alias.stamped
        if ended.status == "HealthCheckFailed":
            ended = ended.because(self.early_warning.explanation())
        return ended.at(where, left_over)

    def _rolled_back(self, cause: BaseException, lease_until: float, watchdog: bool) -> Ending:
        alias = self.alias
        moved: BaseException = cause
        rolled_back = False
        try:
            if not isinstance(cause, MOVED):
                rolled_back = alias.roll_back()
        except MOVED as error:
            moved = error
        except errors.RollbackFailed as failed:
            late = self.clock.time() >= lease_until
            silent = late and alias.may_have_shifted and not alias.may_be_by_us
            return ending.not_rolled_back(cause, failed, silent)
        # What another one may have rolled back is that one's to tell, unless a write of ours may
        # have done it.
        others_tell = watchdog or self.clock.time() >= lease_until
        if isinstance(moved, MOVED):
            alias.take_out(stamped_only=True)
            ours = alias.took_out or alias.stamped
            found = alias.seen
            rests = found.routing or found.suspended  # another rollout has it
            gone = found.version == self.versions.original and not rests
            if others_tell and not ours and (watchdog or gone):
                return ending.lost(cause, watchdog)
            return ending.moved(cause, moved)
        if others_tell and alias.may_have_shifted and not alias.may_be_by_us:
            return ending.lost(cause, watchdog)
        return ending.rolled_back(cause, rolled_back)

    def _took(self) -> dict[str, int]:
        """For how many seconds it went on since the first shift, where that is known."""
        started = self.progress.started
        return {"seconds": round(self.clock.time() - started)} if started else {}

    def _unjudged(self) -> Iterator[str]:
        """What could not be judged, though it is finalized."""
        seen = self.progress.evidence
        if not self.check.checks:
            yield "The health check was switched off."
            return
        if self.fully_weighted and not seen.judged:
            shifted = utc(self.progress.at.shifted)
            why = "Does anything call this alias?"
            if self.rollout.too_quick:
                why = "They may come yet: this rollout was quicker than CloudWatch."
            yield (
                "Not judged at full weight: CloudWatch published no calls of version "
                f"{self.versions.new} since {shifted:%H:%M:%S} UTC. {why}"
            )
        for check in self.check.checks:
            yield from check.unjudged(seen)

    # Telling.

    def _lengths(self) -> dict[str, float]:
        """In seconds: how long a step lasts, and what may come besides."""
        return {
            "interval": self.rollout.interval,
            "settle": self.check.settle,
            "hold": self.check.hold,
        }

    def _times(self) -> dict[str, str]:
        """When the next look is due, and when the step's interval is over. After a step's last
        look the next shift, or the end, follows at once."""
        at = self.progress.at
        due = at.next_look
        if at.phase == Phase.OVER:
            due = self.clock.time()
        return {"next-look": iso(due), "step-ends": iso(at.ends)}

    def tell(self, status: str, **more: Any) -> None:
        """Tell a change of state, with who and what it is about and where the alias is, as far
        as is known."""
        detail = {
            "rollout": self.progress.id,
            **self.rollout.target._asdict(),
            "original-version": self.versions.original,
            "new-version": self.versions.new,
            "weight": self.weight,
            "step": self.step,
            "steps": len(self.rollout.weights),
            "where": self.alias.told,
        }
        if self.rollout.started_by:
            detail["started-by"] = self.rollout.started_by
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
        where = ended.where or self.alias.told
        warnings = self._warnings(ended)
        self.tell(ended.status, reason=reason, where=where, warnings=warnings, **more)

    def result(self, ended: Ending) -> dict[str, Any]:
        """What AWS last answered for the alias, as in the sample, and `rollout`; kebab-case, as
        the payload."""
        progress = self.progress
        rollout: dict[str, Any] = {
            "status": ended.status,
            "id": progress.id,
            "original-version": self.versions.original,
            "new-version": self.versions.new,
            "weights": list(self.rollout.weights),
            "started": iso(progress.started),
        }
        if self.rollout.started_by:
            rollout["started-by"] = self.rollout.started_by
        if ended.status not in NO_ENDINGS:
            rollout["ended"] = iso(self.clock.time())
            rollout["checks"] = self._checks()
        rollout["warnings"] = self._warnings(ended)
        return {**self.alias.seen.answer, "rollout": {**rollout, **ended.more}}

    def _warnings(self, ended: Ending) -> list[str]:
        if ended.warning:
            return [*self.progress.warnings, ended.warning]
        return self.progress.warnings

    def _checks(self) -> dict[str, Any]:
        progress = self.progress
        seen = progress.evidence
        counts = {
            who: {"version": version, **seen.of(who)._asdict()}
            for who, version in self.versions._asdict().items()
        }
        return {
            "looks": progress.looks,
            "unseen": progress.unseen,
            "judged": seen.judged,
            "suspensions": progress.listening.suspensions,
            **counts,
            "reason": progress.reason,
        }
