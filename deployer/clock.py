"""The only place that knows the time. Nothing else may call `time`, `datetime.now` or `random`.

Tests pass a clock whose `sleep` moves its time on.
"""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

#: Seconds kept back for a rollback: the rollout turns back when only these are left.
RESERVE = 60.0


class Clock:
    """The time of one invocation, in seconds."""

    def __init__(self, milliseconds_left: Callable[[], int]) -> None:
        self._milliseconds_left = milliseconds_left
        self._start = time.time() - time.monotonic()

    def time(self) -> float:
        """Seconds since 1970 that never jump: the wall clock at the start, moved on by the
        monotonic one."""
        return self._start + time.monotonic()

    def now(self) -> datetime:
        """The same in UTC: for CloudWatch's minutes and for the stamp."""
        return utc(self.time())

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))

    def left(self) -> float:
        """Seconds until Lambda kills this invocation."""
        return self._milliseconds_left() / 1000

    def spare(self) -> float:
        """Seconds that a rollout may still use: what is left without the reserve."""
        return self.left() - RESERVE

    def spread(self, seconds: float) -> None:
        """Sleep for a random part of them, so that those who come together do not start
        together."""
        self.sleep(random.uniform(0.0, seconds))

    def pause(self, attempt: int) -> None:
        """Sleep before asking AWS again: about 0.5, 1, 2, then 4 seconds.

        Half of each is random, so that deployers that were refused together do not come back
        together.
        """
        self.sleep(min(0.5 * 2**attempt, 4.0) * random.uniform(0.5, 1.0))


def utc(seconds: float) -> datetime:
    """Of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def iso(seconds: float) -> str:
    """The same in words that both people and programs read, such as 2026-11-23T01:10:00+00:00."""
    return utc(seconds).isoformat(timespec="seconds")
