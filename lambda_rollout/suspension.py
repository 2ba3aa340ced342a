"""PURE. When a rollout is suspended, and why: the alias shows that it is, the deployer's log tells
why, and why it goes on."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from deployer.decisions.ownership import Snapshot

SUSPENDED = "SUSPENDED"
RESUMED = "RESUMED"


class Turn(NamedTuple):
    """A line of the log: when, SUSPENDED or RESUMED, and why."""

    at: float
    message: str
    reason: str = ""


@dataclass(frozen=True)
class Suspensions:
    """Of one rollout; times are seconds since 1970."""

    turns: tuple[Turn, ...] = ()  # as the log tells them, in their order
    seen_since: float | None = (
        None  # since when the alias shows that it is suspended; None: it is not
    )
    seen: int = 0  # how often the alias has shown a new one

    @property
    def lasting(self) -> Turn | None:
        """The one that lasts; without a reason where the log has not told it."""
        if self.seen_since is None:
            return None
        if self.turns and self.turns[-1].message == SUSPENDED:
            return self.turns[-1]
        return Turn(self.seen_since, SUSPENDED)

    @property
    def told(self) -> int:
        return sum(turn.message == SUSPENDED for turn in self.turns)

    @property
    def count(self) -> int:
        """The log may be late, and who watches may have come later."""
        return max(self.told, self.seen)

    def during(self, when: float) -> bool:
        """Whether it was suspended then, as the log tells."""
        before = [turn for turn in self.turns if turn.at <= when]
        return bool(before) and before[-1].message == SUSPENDED

    def show(self, suspended: bool, now: float) -> "Suspensions":
        """Take in what the alias shows."""
        if not suspended:
            return replace(self, seen_since=None)
        if self.seen_since is not None:
            return self
        return replace(self, seen_since=now, seen=self.seen + 1)

    def tell(self, turn: Turn) -> "Suspensions":
        """Take in a line of the log; heard again it changes nothing."""
        return replace(self, turns=tuple(sorted({*self.turns, turn})))

    def rest(self, since: float, until: float) -> float | None:
        """For how many seconds of that time it was suspended; None where the log has not told."""
        if self.told < self.seen:
            return None
        rest = 0.0
        begun = None
        for turn in (*self.turns, Turn(until, RESUMED)):
            if turn.message == SUSPENDED:
                begun = turn.at
            elif begun is not None:
                rest += max(0.0, min(turn.at, until) - max(begun, since))
                begun = None
        return rest


def is_suspended(found: Snapshot) -> bool:
    """Whether the alias is unsplit under a stamp that says so, on the original version: somebody
    who puts it on the new one promotes it, and leaves the stamp."""
    mark = found.stamp
    if mark is None or not mark.suspended:
        return False
    return not found.routing and found.version != mark.new_version
