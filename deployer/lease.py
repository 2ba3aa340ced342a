"""The lease: a timer in EventBridge Scheduler that outlives the deployer. It fires unless it is
moved on.

A rollout takes its lease before the first shift, and moves it on every half minute. When its
deployer dies the lease runs out, and its message wakes the watchdog, which rolls back. A deployer
that cannot move its lease on goes by its own clock: `SAFE` seconds before the lease runs out it
shifts no more, and rolls back by itself.
https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

import json
import math
from datetime import UTC, datetime
from typing import Any

from deployer import aws
from deployer.clock import iso, utc
from deployer.decisions import errors
from deployer.decisions.ending import Ending
from deployer.tell import logger
from deployer.verbs import Run

#: It runs out on the first whole minute at least so many seconds ahead: Scheduler knows no finer
#: times.
AHEAD = 90.0

#: Seconds after which it is moved on.
EVERY = 30.0

#: Seconds after which a renewal that failed is tried again.
AGAIN = 5.0

#: Before a shift it is moved on when it is older than so many seconds: a shift may take half a
#: minute.
BEFORE_SHIFT = 10.0

#: So many seconds before it runs out, by its own clock, a deployer shifts no more: clocks differ.
SAFE = 15.0

#: What must be known of a rollout to roll it back and to tell of it, beside its progress.
TARGET = ("function-name", "alias-name", "new-version", "weights", "started-by")


class Lease:
    """One rollout's lease. Times are seconds since 1970."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._means = run.means
        self._clock = run.clock
        self._name = {"Name": run.progress.id, "GroupName": run.means.settings.lease_group}
        event = run.rollout.to_event()
        self._message: dict[str, Any] = {key: event[key] for key in TARGET if key in event}
        self._renewed = 0.0
        self._tried = 0.0
        self._unrenewed = ""  # why it could not be moved on, in AWS's words
        self.due = math.inf  # until it is taken

    def take(self) -> None:
        """No lease, no rollout: raises `InvalidRollout` or `RolloutInterrupted`."""
        try:
            self._send(self._means.scheduler.create_schedule)
        except aws.CallFailed as error:
            kind = errors.InvalidRollout if aws.refused(error) else errors.RolloutInterrupted
            raise kind(
                f"The lease could not be taken, so nothing was started. AWS says {aws.words(error)}"
            ) from error

    def pause(self) -> float:
        """Seconds until it is to be moved on, or until that is tried again."""
        due = max(self._renewed + EVERY, self._tried + AGAIN)
        return max(0.0, due - self._clock.time())

    def spare(self) -> float:
        """Seconds for which shifts may still be made."""
        return self.due - SAFE - self._clock.time()

    def renew(self, older_than: float = EVERY) -> None:
        """Move it on, if it was last moved on so many seconds ago. Raises `RolloutInterrupted`
        when it runs out."""
        # Never when it may be running out: the watchdog may have asked `is_held` already.
        now = self._clock.time()
        if self.spare() > 0 and now - self._renewed >= older_than and now - self._tried >= AGAIN:
            self._tried = now
            try:
                self._send(self._means.scheduler.update_schedule)
            except aws.CallFailed as error:
                self._unrenewed = f"AWS says {aws.words(error)}"
                logger.warning("LEASE_NOT_RENEWED", extra={"reason": self._unrenewed})
        if self.spare() <= 0:
            raise errors.RolloutInterrupted(
                f"The lease runs out, and could not be renewed in time. {self._unrenewed}".strip()
            )

    def hand_to_watchdog(self, ending: Ending) -> bool:
        """Leave this ending to the watchdog, if it surely has the alias already; otherwise have it
        know that this was told, as far as that can be written."""
        try:
            self._leave(ending)
        except aws.CallFailed as error:
            return aws.code(error) == "ResourceNotFoundException"
        return False

    def give_up(self, ending: Ending) -> None:
        """The rollout has ended, and it was told: delete it, or leave to the watchdog what is
        still to be done."""
        if ending.silent or self.due == math.inf:  # the watchdog has it, or it was never taken
            return
        try:
            if ending.left_over:
                self._leave(ending)
            else:
                self._means.scheduler.delete_schedule(**self._name)
        except aws.CallFailed as error:  # it runs out, then, and the watchdog sees for itself
            logger.info("LEASE_LEFT", extra={"reason": aws.words(error)})

    def _leave(self, ending: Ending) -> None:
        """Have the watchdog know, when it comes, that this ending was told."""
        self._message["told"] = ending.status
        self._send(self._means.scheduler.update_schedule)

    def _send(self, call: Any) -> None:
        """Create or update it: fields that are left out would be reset, so all are sent."""
        now = self._clock.time()
        due = math.ceil((now + AHEAD) / 60) * 60
        settings = self._means.settings
        progress = self._run.progress
        told = {
            "id": progress.id,
            "original": progress.original,
            "words": self._run.alias.words,
            "step": self._run.step,
        }
        message = {**self._message, "progress": told}
        call(
            **self._name,
            ScheduleExpression=f"at({utc(due):%Y-%m-%dT%H:%M:%S})",
            ScheduleExpressionTimezone="UTC",
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="DELETE",
            Target={
                "Arn": settings.lease_queue,
                "RoleArn": settings.lease_role,
                "Input": json.dumps(message),
                "DeadLetterConfig": {"Arn": settings.lease_dead_letters},
            },
        )
        self._renewed = now
        self.due = float(due)
        # Whoever follows the log knows from this how long a deployer can be silent and alive.
        logger.info("LEASED", extra={"until": iso(due)})


def is_held(means: aws.Means, rollout_id: str) -> bool:
    """Whether that rollout's lease runs out later, so that its deployer lives. Raises the API's
    own error."""
    try:
        schedule = means.scheduler.get_schedule(
            Name=rollout_id, GroupName=means.settings.lease_group
        )
    except aws.CallFailed as error:
        if aws.code(error) == "ResourceNotFoundException":
            return False
        raise
    at = schedule["ScheduleExpression"].removeprefix("at(").removesuffix(")")
    due = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return due > means.clock.now()
