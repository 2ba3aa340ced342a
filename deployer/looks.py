"""PURE. When to look: close together after each shift, and as evenly as a budget of looks allows after that."""

from typing import NamedTuple

#: Seconds between looks, less in shorter steps; every step ends with a look in any case.
EVERY, SHORTEST = 15.0, 5.0


class Looks(NamedTuple):
    """The gaps between the looks of a step, in seconds: `early` ones grow from `first`, the rest are the `longest`."""

    longest: float
    first: float = 0.0
    early: int = 0

    def gap(self, number: int) -> float:
        """The gap before that look of the step, from 0."""
        if number >= self.early:
            return self.longest
        return float(self.first * (self.longest / self.first) ** (number / self.early))


def looks(interval: float, most: int = 0) -> Looks:
    """As many looks as a step of that many seconds has time for, at most `most`; 0 is no limit.

    Where they are too few to come every 15 s, a quarter of them grows from 15 s to the longest gap, and the
    rest comes evenly: the longest gap is a third above what evenly spread looks would have.
    """
    every = min(EVERY, max(interval, SHORTEST))
    if not most or interval <= every * most:
        return Looks(every)
    return Looks(interval / (most - most // 4), every, most // 4)
