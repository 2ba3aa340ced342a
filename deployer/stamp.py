"""PURE. The stamp: what a rollout leaves in the alias's `Description` while the alias is split.

    Checkout service [rollout 3f2a9c1b04de to 8 at 0.3 (3/10) until 2026-11-23T01:10:00Z]

It shows progress to whoever looks at the alias, says whose split it is, and when it may be taken for
abandoned. The words before it are the user's own; `read` and `write` undo each other.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

#: The longest description that AWS takes (API reference of UpdateAlias), in UTF-16 units.
LONGEST_DESCRIPTION = 256

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_STAMP = re.compile(
    r" ?\[rollout (?P<id>[0-9a-f]{12}) to (?P<version>[0-9]+) at (?P<weight>[0-9.e-]+) "
    r"\((?P<step>[0-9]+)/(?P<steps>[0-9]+)\) until (?P<until>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)\]"
)


@dataclass(frozen=True)
class Stamp:
    """Whose split it is and how far it got; `until` is when its deployer has surely ended."""

    rollout_id: str
    new_version: str
    weight: float
    step: int
    steps: int
    until: datetime

    def __str__(self) -> str:
        """At most 80 characters, for versions below 100,000 and weights of 0.001 or more."""
        return (
            f"[rollout {self.rollout_id} to {self.new_version} at {self.weight:.3g} "
            f"({self.step}/{self.steps}) until {self.until.strftime(_TIME)}]"
        )


def read(description: str) -> tuple[str, Stamp | None]:
    """The user's words, and the stamp if there is one; the last, where words look like one."""
    for match in reversed(list(_STAMP.finditer(description))):
        stamp = _parsed(match)
        if stamp:
            words, _ = read(description[: match.start()] + description[match.end() :])
            return words, stamp
    return description, None


def _parsed(match: re.Match[str]) -> Stamp | None:
    numbers = int(match["step"]), int(match["steps"])
    try:
        until = datetime.strptime(match["until"], _TIME).replace(tzinfo=UTC)
        return Stamp(match["id"], match["version"], float(match["weight"]), *numbers, until)
    except ValueError:  # it looks like a stamp, but nobody writes such numbers
        return None


def write(words: str, stamp: Stamp | None) -> str:
    """The description: words that do not fit beside the stamp are shortened while it stands."""
    if stamp is None:
        return words
    room = LONGEST_DESCRIPTION - len(str(stamp)) - 1
    return f"{shortened(words, room)} {stamp}" if words else str(stamp)


def shortened(words: str, room: int) -> str:
    if _units(words) <= room:
        return words
    while _units(words) > room - 1:
        words = words[:-1]
    return f"{words}…"


def _units(text: str) -> int:
    """The length as AWS counts it: characters beyond the basic plane count twice."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
