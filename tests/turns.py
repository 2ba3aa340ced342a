"""Two deployers in one world, in turns: whichever wakes first goes on, so that every run is the same."""

import threading
from typing import Any

from deployer.errors import DeployError
from tests.world import World


class SharedWorld(World):
    """Each deployer has a thread, but only one of them runs at any time: the one that wakes first."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._turn = threading.Condition()
        self._wakes: dict[str, float] = {}  # by thread; the one that runs is always the earliest

    def advance(self, seconds: float) -> None:
        me = threading.current_thread().name
        if me not in self._wakes:
            return super().advance(seconds)
        wake = max(self.time, self._wakes[me]) + seconds
        with self._turn:
            self._wakes[me] = wake
            self._turn.notify_all()
            self._turn.wait_for(lambda: min((time, name) for name, time in self._wakes.items())[1] == me)
        return super().advance(max(0.0, wake - self.time))

    def together(self, second_starts: float, **payload: Any) -> list[dict[str, Any] | DeployError]:
        """What became of two deployers with the same payload; the second starts that much later."""
        ended: dict[str, dict[str, Any] | DeployError] = {}

        def run(name: str, rollout_id: str) -> None:
            try:
                self.advance(0)
                ended[name] = self.deploy(rollout_id, **payload)
            except DeployError as error:
                ended[name] = error
            finally:
                with self._turn:
                    del self._wakes[name]
                    self._turn.notify_all()

        self._wakes = {"first": self.time, "second": self.time + second_starts}
        ids = {"first": "aaaaaaaaaaaa", "second": "bbbbbbbbbbbb"}
        threads = [threading.Thread(target=run, args=item, name=item[0], daemon=True) for item in ids.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [ended["first"], ended["second"]]
