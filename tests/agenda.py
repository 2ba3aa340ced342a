"""Time that jumps from one event to the next, and whoever acts in it, in turns.

Each actor has a thread, but only one of them runs at any time, and the next is always the earliest:
a plan is played the same way every time.
"""

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from tests.plans import name_of


@dataclass(eq=False)
class Actor:
    """A rollout's deployer, or one delivery to the watchdog. It sleeps until it is given its
    turn."""

    who: int
    ids: tuple[str, ...]  # of the rollouts it may act for
    skew: float = 0.0
    #: Whether there is a sandbox that could be killed; the state machine's comes and goes.
    sandbox: bool = True
    dead: bool = False
    over: bool = False
    sleeps: int = 0
    turn: threading.Lock = field(default_factory=threading.Lock)

    def __str__(self) -> str:
        return name_of(self.who)


class Agenda:
    def __init__(self) -> None:
        self.time = 0.0
        self.acting: Actor | None = None
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()
        self._main = threading.Lock()
        self._main.acquire()

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Of what is due at the same time, what was planned first comes first."""
        heapq.heappush(self._due, (max(time, self.time), next(self._number), action))

    def go_on(self) -> None:
        """Until nothing is left to happen."""
        while self._due:
            self.time, _, action = heapq.heappop(self._due)
            action()

    def start(self, actor: Actor, body: Callable[[], None]) -> None:
        """It acts from now on. What the body raises is lost."""

        def run() -> None:
            actor.turn.acquire()
            try:
                body()
            finally:
                actor.over = True
                self._main.release()

        actor.turn.acquire()
        threading.Thread(target=run, daemon=True).start()
        self.wake(actor, self.time)

    def sleep(self, actor: Actor, seconds: float) -> None:
        """Called by whoever acts."""
        self.wake(actor, self.time + seconds)
        self._main.release()
        actor.turn.acquire()

    def wake(self, actor: Actor, time: float) -> None:
        """It is given its turn then, and not when it meant to wake before."""
        actor.sleeps += 1
        sleep = actor.sleeps

        def give_turn() -> None:
            if actor.over or actor.sleeps != sleep:
                return
            self.acting = actor
            actor.turn.release()
            self._main.acquire()
            self.acting = None

        self.at(time, give_turn)
