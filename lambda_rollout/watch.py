"""The loop: look, show, until the rollout has ended. Ends no rollout, whatever becomes of the
watching."""

from typing import Protocol

from lambda_rollout.eyes import Eyes
from lambda_rollout.state import State

#: Seconds between two looks: an account has 15 requests a second for all who read or move aliases.
EVERY = 5.0
#: Seconds after which the same is shown anew: the times in it go on.
SHOWN_EVERY = 1.0


class Clock(Protocol):
    """Python's `time`, or a test's."""

    def time(self) -> float: ...
    def sleep(self, seconds: float, /) -> None: ...


class Show(Protocol):
    """Shows what is known; `last` was shown before."""

    def show(self, state: State, now: float) -> None: ...


class Watch:
    """`state` is what was known last: it is asked for when the loop was left by Ctrl-C."""

    def __init__(self, state: State) -> None:
        self.state = state

    def follow(self, eyes: Eyes, show: Show, clock: Clock) -> State:
        """Until it ends. Raises `CannotSee`, `KeyboardInterrupt`."""
        while True:
            now = clock.time()
            self.state = eyes.look(self.state, now)
            show.show(self.state, now)
            if self.state.end:
                return self.state
            due = clock.time() + EVERY
            while clock.time() < due:
                clock.sleep(SHOWN_EVERY)
                show.show(self.state, clock.time())
