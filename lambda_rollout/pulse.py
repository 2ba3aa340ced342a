"""PURE. Whether the deployer can still be heard: when its last line came, when the next one is due,
and when its lease runs out.

Every line about a look names the next one's time, so silence can be told from patience.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from deployer.decisions.timeline import Phase
from lambda_rollout.lines import Line

#: How late a line may come, in seconds: a look takes its time, and so does the log.
LATE = 20.0
#: How much later the log may be, or the clock of who watches ahead.
MOST_BEHIND = 60.0
#: Seconds after the end of a lease within which the watchdog has surely rolled back what a dead
#: deployer left.
AFTER_LEASE = 600.0

#: The phase that these lines begin.
_BEGINS = {
    "SHIFTED": Phase.LASTING,
    "RESUMED": Phase.LASTING,
    "SUSPENDED": Phase.SUSPENDED,
}


#: Lines that only a deployer that lives writes, beside those that name its next look. The watchdog
#: writes under the same rollout's id, and so does whoever rolls back what a dead one has left.
_WORDS = ("LEASED", "STARTED", "SMOKE_TESTED", "SHIFTED", "SUSPENDED", "RESUMED", "HANDED_OVER")


class Told(NamedTuple):
    """What a line said of its step's time: when it was written, which step and phase, when the next
    look is due, and when the interval is over."""

    at: float
    step: int
    phase: str
    due: float
    ends: float


class Lengths(NamedTuple):
    """Seconds that a step lasts, that settling may take, and that a step may be held."""

    interval: float
    settle: float
    hold: float


@dataclass(frozen=True)
class Pulse:
    """Of one rollout's deployer, as its log tells. Times are seconds since 1970; 0 is unknown."""

    word: float = 0.0  # when its last line was written
    lease: float = 0.0  # when its lease runs out
    told: Told | None = None
    lengths: Lengths | None = None
    #: How long after they were written lines were still not to be read, at the most; `guessed` until
    #: one has come while the log was read.
    behind: float = 0.0
    guessed: bool = False

    def listen(self, before: float | None, oldest: float | None) -> "Pulse":
        """Take in that the log was read, and `before`; and when the oldest line was written that
        was not there then."""
        if before is None:
            return replace(self, behind=MOST_BEHIND, guessed=True)
        if oldest is None:
            return self
        behind = min(max(0.0, before - oldest), MOST_BEHIND)
        if not self.guessed:
            behind = max(behind, self.behind)
        return replace(self, behind=behind, guessed=False)

    def hear(self, line: Line) -> "Pulse":
        """Take in a line of the rollout; heard again it changes nothing."""
        said = line.said
        pulse = self
        if line.message in _WORDS or "next-look" in said:
            pulse = replace(self, word=max(self.word, line.time))
        if line.message == "LEASED" and "until" in said:
            return replace(pulse, lease=max(self.lease, _seconds(said["until"])))
        if line.message == "STARTED" and "interval" in said:
            lengths = Lengths(said["interval"], said.get("settle", 0.0), said.get("hold", 0.0))
            return replace(pulse, lengths=lengths)
        if "next-look" not in said or (self.told and line.time < self.told.at):
            return pulse
        phase = said.get("phase") or _BEGINS.get(line.message, Phase.LASTING)
        due = _seconds(said["next-look"])
        ends = _seconds(said["step-ends"])
        return replace(pulse, told=Told(line.time, said["step"], phase, due, ends))

    def silent(self, now: float) -> bool:
        """Whether a line is missing; never before one has said when the next is due."""
        late = LATE + self.behind
        return self.told is not None and now > max(self.told.due, self.word) + late

    def lease_over(self, now: float) -> bool:
        """Whether its lease has run out, which a deployer that lives never lets happen."""
        return 0 < self.lease < now - LATE - self.behind and self.word <= self.lease


def _seconds(told: str) -> float:
    return datetime.fromisoformat(told).timestamp()
