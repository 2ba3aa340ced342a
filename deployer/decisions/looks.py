"""When to look: close together after each shift, and as evenly as a budget of looks allows after
that."""

from typing import NamedTuple

#: The shortest gap between looks, in seconds, in steps that are shorter than `every`.
SHORTEST = 5.0


class Looks(NamedTuple):
    """The gaps between the looks of a step, in seconds: `early` ones grow from `first`, the rest
    are the `longest`."""

    longest: float
    first: float = 0.0
    early: int = 0

    def gap(self, number: int) -> float:
        """The gap before that look of the step, from 0."""
        if number >= self.early:
            return self.longest
        return float(self.first * (self.longest / self.first) ** (number / self.early))


def looks(interval: float, hold: float, every: float, most: int = 0) -> Looks:
    """As many looks as a step of that many seconds, and of so many more to hold, has time for.

    At most `most`; 0 is no limit. Where they are too few to come as often as `every` says, a
    quarter of them grows from there to the longest gap, and the rest comes evenly: it is a third
    above what evenly spread looks would have.
    """
    lasts, every = interval + hold, min(every, max(interval, SHORTEST))
    if not most or lasts <= every * most:
        return Looks(every)
    return Looks(lasts / (most - most // 4), every, most // 4)
