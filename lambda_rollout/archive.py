"""Looks back into the deployer's log for rollouts that are over, a stretch at a time, from now
on backwards: what is asked for is mostly new, and the log may be long."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from lambda_rollout import lines, past
from lambda_rollout.logbook import Logbook
from lambda_rollout.past import Past

DAY = 86400.0

#: So far back each stretch goes, in seconds; the log is kept for 90 days as the template has it.
_STRETCHES = (DAY, 7 * DAY, 30 * DAY, 90 * DAY)

#: Pages of a stretch, for each log group.
_PAGES = 200


class Found(NamedTuple):
    """The rollouts, the newest first; since when the log was read, in seconds since 1970; and
    whether it was too long to be read whole."""

    rollouts: list[Past]
    since: float
    cut_short: bool


def last(
    logbook: Logbook, now: float, most: int, since: float, function: str = "", alias: str = ""
) -> Found:
    """At most so many rollouts. Raises the API's own error."""
    rollouts: list[Past] = []
    for found in _stretches(logbook, now, since, past.pattern(function, alias)):
        rollouts = found.rollouts
        newest = rollouts[:most]
        if len(newest) == most and all(each.whole for each in newest):
            break
    return found._replace(rollouts=rollouts[:most])


def last_success(logbook: Logbook, now: float, function: str, alias: str) -> Found:
    """All rollouts of an alias down to the last one that succeeded, as far as the log goes back.
    Raises the API's own error."""
    for found in _stretches(logbook, now, now - _STRETCHES[-1], past.pattern(function, alias)):
        if past.last_success(found.rollouts):
            break
    return found


def _stretches(logbook: Logbook, now: float, since: float, wanted: str) -> Iterator[Found]:
    """What is found, further and further back."""
    events: list[Any] = []
    until = now
    since = min(since, now)  # nothing has happened yet
    for stretch in (*_STRETCHES, now - since):
        begin = max(since, now - stretch)
        # The end of a stretch is left out: the one after it has begun there.
        older = logbook.events(wanted, begin, until, _PAGES)
        known = {event["eventId"] for event in events}
        events += [event for event in older if event["eventId"] not in known]
        yield Found(past.read(lines.read(events)), begin, logbook.cut_short)
        if begin <= since:
            return
        until = begin
