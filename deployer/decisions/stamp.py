"""The stamp: what a rollout leaves in the alias's `Description` while the alias is split.

    Checkout service [rollout 3f2a9c1b04de to 8 at 0.3 (3/10) until 2026-11-23T01:10:00Z]
    Checkout service [rollout 3f2a9c1b04de to 8 suspended at 0.3 (3/10) until 2026-11-23T01:10:00Z]

It stands there, too, while the rollout is suspended, and the alias not split. It shows progress to
whoever looks at the alias, says whose it is, and when it may be taken for abandoned. The words
before it are the user's own; `read` and `write` undo each other, unless the words had to be
shortened.
"""

import re
from datetime import datetime
from typing import NamedTuple

#: The longest description that AWS takes (API reference of UpdateAlias), in UTF-16 units.
LONGEST_DESCRIPTION = 256

# The id, the version, whether it is suspended, the weight, the step, the steps and the end.
_UNTIL = r"until ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)"
_STAMP = re.compile(
    r" ?\[rollout ([0-9a-f]{12}) to ([0-9]+)( suspended)? at ([0-9.e-]+)"
    rf" \(([0-9]+)/([0-9]+)\) {_UNTIL}\]"
)


class Stamp(NamedTuple):
    """Whose split it is and how far it got; `until` is when its deployer has surely ended."""

    rollout_id: str
    new_version: str
    weight: float
    step: int
    steps: int
    until: datetime
    suspended: bool = False

    def __str__(self) -> str:
        """At most 80 characters, for versions below 100,000 and weights of 0.001 or more; at most
        90 while it is suspended."""
        weight = f"at {self.weight:.3g} ({self.step}/{self.steps})"
        if self.suspended:
            weight = f"suspended {weight}"
        until = f"{self.until:%Y-%m-%dT%H:%M:%SZ}"
        return f"[rollout {self.rollout_id} to {self.new_version} {weight} until {until}]"


def read(description: str) -> tuple[str, Stamp | None]:
    """The user's words, and the stamp if there is one; the last, where words look like one."""
    for match in reversed(list(_STAMP.finditer(description))):
        rollout_id, version, suspended, weight, step, steps, until = match.groups()
        try:
            stamp = Stamp(
                rollout_id,
                version,
                float(weight),
                int(step),
                int(steps),
                datetime.fromisoformat(until),
                suspended is not None,
            )
        except ValueError:  # it looks like a stamp, but nobody writes such numbers
            continue
        return read(description[: match.start()] + description[match.end() :])[0], stamp
    return description, None


def write(words: str, stamp: Stamp | None) -> str:
    """The description: words that do not fit beside the stamp are shortened while it stands."""
    if stamp is None:
        return words
    room = LONGEST_DESCRIPTION - len(str(stamp)) - 1
    return f"{shortened(words, room)} {stamp}" if words else str(stamp)


def is_shortened(description: str, words: str) -> bool:
    """Whether the `words` of this description are what was left of longer ones."""
    units = len(description.encode("utf-16-le", "surrogatepass")) // 2
    return words.endswith("…") and units >= LONGEST_DESCRIPTION - 1


def shortened(words: str, room: int) -> str:
    """At most `room` units: as AWS counts, characters beyond the basic plane are two. None is
    cut in half."""
    units = words.encode("utf-16-le", "surrogatepass")
    if len(units) <= 2 * room:
        return words
    return units[: 2 * (room - 1)].decode("utf-16-le", "ignore") + "…"
