"""Deployers in one world, in turns: whichever wakes first goes on, so that every run is the
same."""

import threading
from collections.abc import Callable
from typing import Any

from deployer.decisions.errors import DeployError
from world.world import World

#: What became of a deployer.
Outcome = dict[str, Any] | DeployError


class SharedWorld(World):
    """Each deployer has a thread, but only one of them runs at any time: the one that wakes
    first."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._wakes: dict[str, float] = {}  # by thread; the one that runs is always the earliest
        self._turns: dict[str, threading.Semaphore] = {}
        self._threads: list[threading.Thread] = []
        self._ended: dict[str, Outcome] = {}
        self._unexpected: list[BaseException] = []

    def advance(self, seconds: float) -> None:
        me = threading.current_thread().name
        if me not in self._wakes:
            return super().advance(seconds)
        wake = max(self.time, self._wakes[me]) + seconds
        self._wakes[me] = wake
        self._hand_on(me)
        return super().advance(max(0.0, wake - self.time))

    def _hand_on(self, me: str) -> None:
        """Let the earliest go on; with `me` among them, wait for my turn."""
        earliest = min(self._wakes, key=lambda name: (self._wakes[name], name), default=me)
        if earliest != me:
            self._turns[earliest].release()
            if me in self._wakes:
                self._turns[me].acquire()

    def at_once(self, deployers: dict[str, tuple[float, Callable[[], Any]]]) -> dict[str, Outcome]:
        """What became of each deployer, by its name; each starts so many seconds later."""
        self._ended = {}
        self._unexpected = []
        self._threads = []
        for name, (later, deploy) in deployers.items():
            self.enter(name, later, deploy)
        self._hand_on("")
        for thread in self._threads:  # those who enter meanwhile are there, too
            thread.join()
        for error in self._unexpected:
            raise error
        return self._ended

    def enter(self, name: str, later: float, deploy: Callable[[], Any]) -> None:
        """One more, which starts so many seconds later; asked for by one of them."""

        def run() -> None:
            self._turns[name].acquire()
            try:
                super(SharedWorld, self).advance(max(0.0, self._wakes[name] - self.time))
                self._ended[name] = deploy()
            except DeployError as error:
                self._ended[name] = error
            except BaseException as error:
                self._unexpected.append(error)
            finally:
                del self._wakes[name]
                self._hand_on(name)

        self._wakes[name] = self.time + later
        self._turns[name] = threading.Semaphore(0)
        self._threads.append(threading.Thread(target=run, name=name, daemon=True))
        self._threads[-1].start()

    def together(self, second_starts: float, **payload: Any) -> list[Outcome]:
        """What became of two deployers with the same payload; the second starts that much later."""
        ended = self.at_once(
            {
                "first": (0.0, lambda: self.deploy("aaaaaaaaaaaa", **payload)),
                "second": (second_starts, lambda: self.deploy("bbbbbbbbbbbb", **payload)),
            }
        )
        return [ended["first"], ended["second"]]
