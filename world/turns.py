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
        ended: dict[str, Outcome] = {}
        unexpected: list[BaseException] = []

        def run(name: str, deploy: Callable[[], Any]) -> None:
            self._turns[name].acquire()
            try:
                super(SharedWorld, self).advance(max(0.0, self._wakes[name] - self.time))
                ended[name] = deploy()
            except DeployError as error:
                ended[name] = error
            except BaseException as error:
                unexpected.append(error)
            finally:
                del self._wakes[name]
                self._hand_on(name)

        self._wakes = {name: self.time + later for name, (later, _) in deployers.items()}
        self._turns = {name: threading.Semaphore(0) for name in deployers}
        threads = [
            threading.Thread(target=run, args=(name, deploy), name=name, daemon=True)
            for name, (_, deploy) in deployers.items()
        ]
        for thread in threads:
            thread.start()
        self._hand_on("")
        for thread in threads:
            thread.join()
        for error in unexpected:
            raise error
        return ended

    def together(self, second_starts: float, **payload: Any) -> list[Outcome]:
        """What became of two deployers with the same payload; the second starts that much later."""
        ended = self.at_once(
            {
                "first": (0.0, lambda: self.deploy("aaaaaaaaaaaa", **payload)),
                "second": (second_starts, lambda: self.deploy("bbbbbbbbbbbb", **payload)),
            }
        )
        return [ended["first"], ended["second"]]
