"""What is known of a plan when it has been played: where the alias was and who moved it, what was
told, and how every rollout ended.

Values alone. Nothing is judged here: tests/whose.py and the rules of tests/test_stateful.py do.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from tests.agenda import Actor
from tests.plans import Plan, Rollout, name_of

#: Who else than a plan's rollouts has written the alias.
OPERATOR = "an operator"
ABANDONED = "eeeeeeeeeeee"

#: Rollouts that are no part of a plan, but may stand in a stamp.
STRANGERS = (ABANDONED, "dddddddddddd")

#: The statuses after which a rollout goes on, or goes on elsewhere.
NO_ENDINGS = (
    "STARTED",
    "SHIFTED",
    "SUSPENDED",
    "RESUMED",
    "ROLLED_BACK",
    "HANDED_OVER",
    "PLANNED",
)

#: What reads like a stamp is a stamp, whoever wrote it: no part of the user's words.
STAMP = re.compile(
    r" ?\[rollout ([0-9a-f]{12}) to ([0-9]+)( suspended)? [^\]]*until ([-0-9]+T[0-9:]+Z)\]"
)


class Stamped(NamedTuple):
    id: str
    version: str
    suspended: bool
    until: datetime


def stamp_in(description: str) -> Stamped | None:
    found = STAMP.findall(description)
    if not found:
        return None
    id, version, suspended, until = found[-1]
    return Stamped(id, version, bool(suspended), datetime.fromisoformat(until))


def unstamped(description: str) -> str:
    return STAMP.sub("", description)


class State(NamedTuple):
    """What the alias was from then on, and who made it so: an operator, or a rollout, by its id."""

    since: float
    version: str
    routing: dict[str, float]
    description: str
    words: str  # the user's own, as they were last written
    version_by: str
    routing_by: str
    text_by: str
    answer: dict[str, Any]

    @property
    def stamp(self) -> Stamped | None:
        return stamp_in(self.description)

    @property
    def suspended(self) -> bool:
        """Whether its stamp says that a rollout of it is suspended, which nobody has promoted."""
        stamp = self.stamp
        if stamp is None or self.routing:
            return False
        return stamp.suspended and self.version != stamp.version

    @property
    def whereabouts(self) -> tuple[str, dict[str, float]]:
        return self.version, self.routing

    @property
    def sentence(self) -> str:
        if not self.routing:
            return f"Alias 'live' of 'checkout' is on version {self.version}."
        ((other, weight),) = self.routing.items()
        split = f"is split: it sends {weight * 100:.4g} % of its calls to version {other}"
        return f"Alias 'live' of 'checkout' {split}, the rest to version {self.version}."


class Write(NamedTuple):
    """`actor` is None for an operator; `by` is the rollout for which it was written."""

    time: float
    actor: Actor | None
    by: str
    before: State
    after: State

    @property
    def moves(self) -> bool:
        return self.before.whereabouts != self.after.whereabouts

    @property
    def suspends(self) -> bool:
        return self.after.suspended and not self.before.suspended

    @property
    def resplits(self) -> bool:
        """Whether the alias is split by it, and otherwise than before."""
        return bool(self.after.routing) and self.after.routing != self.before.routing


@dataclass
class Told:
    """One ending, as it was told; `heard` says that the bus took it, if need be at the second
    try."""

    time: float
    actor: Actor
    status: str
    reason: str
    where: str
    warnings: list[str]
    heard: bool

    @property
    def words(self) -> tuple[str, str]:
        return self.status, self.reason

    def __str__(self) -> str:
        return f"{self.status} ({self.reason} {self.where}) by {self.actor} at {self.time:.2f} s"


@dataclass
class Course:
    """What became of one rollout."""

    number: int
    plan: Rollout
    id: str
    original: str = ""  # as its events say
    started: float | None = None
    ended: float | None = None  # its deployer has ended, died or was stopped
    #: A status and the error's text, unless it died or was stopped.
    outcome: tuple[str, str] | None = None
    stopped: bool = False
    lease_until: float = float("inf")  # from then on the watchdog may have the alias
    #: Of its sandboxes, and of watchdogs at work for it.
    deaths: list[float] = field(default_factory=list)
    endings: list[Told] = field(default_factory=list)
    suspensions: list[Told] = field(default_factory=list)  # SUSPENDED and RESUMED
    #: From when to when the alias was suspended, and its deployer could not know by which write.
    unsure: list[tuple[float, float]] = field(default_factory=list)
    rolled_back: list[float] = field(default_factory=list)  # when that was told

    def __str__(self) -> str:
        return f"{name_of(self.number)} ({self.plan.driver})"

    @property
    def began(self) -> float:
        return self.started or 0.0

    def lease_over(self, time: float) -> bool:
        return time >= self.lease_until

    def lives(self, time: float) -> bool:
        return self.started is not None and (self.ended is None or time < self.ended)

    def dies_between(self, since: float, until: float) -> bool:
        return any(since <= death <= until for death in self.deaths)


@dataclass
class Played:
    plan: Plan
    courses: list[Course]
    states: list[State]
    writes: list[Write]
    unexpected: list[tuple[str, str]]  # an exception that is not of the tree, and where it came out
    failed_rollbacks: list[tuple[float, Actor, str]]  # deliveries that ended with RollbackFailed
    journal: list[str]
    done: int  # deeds that came to pass

    def by_id(self, id: str) -> Course | None:
        return next((course for course in self.courses if course.id == id), None)

    def between(self, since: float, until: float) -> Iterator[State]:
        """Every state that the alias was in at some time of those."""
        for state, following in zip(self.states, [*self.states[1:], None], strict=True):
            if state.since <= until and (following is None or following.since >= since):
                yield state

    def endings(self) -> Iterator[tuple[Course, Told]]:
        for course in self.courses:
            for told in course.endings:
                yield course, told

    def deployers_writes(self) -> Iterator[tuple[Course, Write]]:
        """What a deployer or a watchdog has written, and for which of the plan's rollouts."""
        for write in self.writes:
            course = self.by_id(write.by)
            if write.actor and course:
                yield course, write

    def splits_replaced(self) -> Iterator[tuple[Course, Write]]:
        """Those of them that put something else in the place of a split, or of a suspension."""
        for course, write in self.deployers_writes():
            other_routing = write.after.routing != write.before.routing
            over = write.before.suspended and not write.after.suspended
            if over or (write.before.routing and other_routing):
                yield course, write

    @property
    def story(self) -> str:
        lines = "\n".join(f"  {line}" for line in self.journal)
        return f"The plan:\n{self.plan}\nWhat happened:\n{lines}"
