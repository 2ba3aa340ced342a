"""The early warning of a rollout: its function's log, read between looks. It may have the rollout
suspended, and says why a version failed; it judges nothing (decisions/suspicion.py).

A log that cannot be read changes no verdict: the rollout goes on by metrics alone.
"""

from copy import deepcopy
from functools import cached_property
from math import inf

from deployer import aws
from deployer.decisions import suspicion
from deployer.decisions.checks.check import Versions
from deployer.decisions.errors import HealthCheckInconclusive
from deployer.decisions.evidence import Look
from deployer.decisions.failures import Failure, example, told
from deployer.decisions.health import Status, Verdict
from deployer.decisions.rollout import Rollout
from deployer.decisions.suspicion import Call, Outcome
from deployer.decisions.timeline import Phase, Progress, Timeline
from deployer.logs import Logs, Reading
from deployer.tell import logger

#: After readings that failed, the next one comes so many seconds later at most.
LONGEST_PAUSE = 60.0


class EarlyWarning:
    """What a rollout hears from the log. Times are seconds since 1970."""

    def __init__(
        self, means: aws.Means, rollout: Rollout, progress: Progress, timeline: Timeline
    ) -> None:
        self._clock = means.clock
        self._check = rollout.health_check
        self._versions = Versions(progress.original, rollout.new_version)
        self._progress = progress
        self._timeline = timeline
        self._means = means
        self._target = rollout.target
        self._next = 0.0
        self._gap = suspicion.EVERY

    @cached_property
    def _logs(self) -> Logs:
        """Made when it is first needed: a client takes its time."""
        group = self._progress.listening.group
        return Logs(self._means.logs, self._clock, self._target, group)

    @property
    def next(self) -> float:
        """When the log is to be read next; never, where it is not listened to."""
        return self._next if self._listens else inf

    @property
    def _listens(self) -> bool:
        at = self._progress.at
        if not self._check.listens or self._progress.listening.off or at.phase == Phase.SUSPENDED:
            return False
        return self._timeline.listens(at, self._clock.time())

    def begin(self, rate: float) -> None:
        """Before the first shift: see that the log may be read; `rate` is the alias's calls a
        second."""
        self._progress.listening.rate = rate
        self._read(self._versions.new, self._clock.time())

    @property
    def suspends_on(self) -> list[str]:
        """For the plan: what would suspend the rollout."""
        if not self._listens:
            return []
        return [f"failed calls of version {self._versions.new} in its log {self._logs.group}"]

    def suspicion(self, look: Look) -> str:
        """Why the rollout is to be suspended, if it is: the new version would have failed, had
        CloudWatch published what the log shows. `look` is the latest one."""
        now = self._clock.time()
        if now < self.next:
            return ""
        listening = self._progress.listening
        started = self._progress.started
        since = max(started, now - suspicion.WINDOW)
        read = self._read(self._versions.new, since)
        failures = read.failures

        def unpublished(who: str, found: list[Failure]) -> list[Call]:
            return suspicion.unpublished(found, look, who, started, listening.timeout, now)

        calls = unpublished("new", failures)
        if not calls or not self._would_fail(look, calls, []):
            return ""
        if self._check.compares:  # what fails on both versions accuses nobody
            read = self._read(self._versions.original, since)
            others = unpublished("original", read.failures)
            if not read.whole or not self._would_fail(look, calls, others):
                return ""
        listening.suspension = suspicion.suspension(calls, look, now)
        accused = f"The log of version {self._versions.new} accuses it"
        return f"{accused}, before CloudWatch has published it. {told(failures)}"

    def _would_fail(self, look: Look, new: list[Call], original: list[Call]) -> bool:
        now = self._clock.time()
        progress = self._progress
        rate = suspicion.rate_of(look, progress.started, progress.listening.rate, now)
        projected = deepcopy(progress.evidence)
        projected.shift(now, 0.0)
        failed = {"new": new, "original": original}
        projected.add(suspicion.projected(look, projected, failed, rate, now), now)
        return self._check.suspects(projected, self._versions)

    def judged(self, look: Look | None) -> Verdict:
        """What has become of a suspension, after a look that failed nobody; None where it could
        not be made. CLEARED ends it. Raises `HealthCheckInconclusive`."""
        now = self._clock.time()
        listening = self._progress.listening
        assert listening.suspension is not None, "it was suspended"
        found = suspicion.looked(listening.suspension, look, now)
        listening.suspension = found.suspension
        logged = f"The log had {_failed(found.suspension.calls)} of version {self._versions.new}"
        counted = f"{logged}, CloudWatch counted {found.counted}"
        off = "The log is not listened to any more in this rollout."
        match found.outcome:
            case Outcome.TOO_FEW if listening.suspensions >= suspicion.MOST:
                return self._off(f"{counted}: too few to fail it. {off}")
            case Outcome.TOO_FEW:
                return Verdict(Status.CLEARED, f"{counted}: too few to fail it.")
            case Outcome.ACQUITTED:
                return self._off(f"{counted} in the same minutes. {off}")
            case Outcome.INCONCLUSIVE:
                raise HealthCheckInconclusive(
                    f"{logged}, and CloudWatch did not publish those minutes of the alias."
                )
        if self._timeline.must_go_on(self._progress.at, now):
            return self._off(f"{logged}, and time ran short to wait for CloudWatch. {off}")
        return Verdict(Status.PENDING, f"{logged}. CloudWatch has not published them yet.")

    def _off(self, why: str) -> Verdict:
        self._progress.listening.off = why
        self._progress.warnings.append(why)
        return Verdict(Status.CLEARED, why)

    def explanation(self) -> str:
        """Why the new version failed, as its log has it; "" where it has nothing."""
        if not self._check.logs:
            return ""
        try:
            failures = self._logs.read(self._versions.new, self._progress.started).failures
            if not failures:
                return ""
            request = self._logs.request_of(example(failures), self._progress.listening.timeout)
            return told(failures, request)
        except aws.CallFailed as error:
            return self._unread(error)
        except Exception as error:  # the rollback must be told all the same
            return _not_understood(error)

    def _read(self, version: str, since: float) -> Reading:
        """The failed calls of that version; none, and not the whole, where it could not be read."""
        now = self._clock.time()
        self._next = now + suspicion.EVERY
        try:
            read = self._logs.read(version, since)
        except aws.CallFailed as error:
            if aws.refused(error):
                self._off(f"No early warning: {self._unread(error)}")
            else:
                self._gap = min(2 * self._gap, LONGEST_PAUSE)
                self._next = now + self._gap
                logger.info("LOG_NOT_READ", extra={"reason": aws.words(error)})
            return Reading([], whole=False)
        except Exception as error:  # lines are strangers' words: whatever they bring about
            self._off(f"No early warning: {_not_understood(error)}")
            return Reading([], whole=False)
        self._gap = suspicion.EVERY
        return read

    def _unread(self, error: Exception) -> str:
        remedy = ""
        if aws.denied(error):
            remedy = (
                ": allow it to the deployer with the template's parameters TargetFunctions "
                "and TargetLogGroups, or set 'logs' to false"
            )
        return f"Its log {self._logs.group} could not be read{remedy}. AWS says {aws.words(error)}"


def _not_understood(error: Exception) -> str:
    """Its words may be those of a line: only its name is told."""
    return f"The log could not be understood ({type(error).__name__})."


def _failed(calls: int) -> str:
    return f"{calls:,} failed call{'' if calls == 1 else 's'}"
