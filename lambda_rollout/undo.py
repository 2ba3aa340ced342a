"""Finds what an undo goes back to: the version before the alias's last rollout that succeeded, as
the deployer's log has it. What cannot be known is said, and nothing is begun. Writes nothing."""

from typing import Any, NamedTuple

from deployer import aws
from deployer.clock import utc
from deployer.decisions.errors import AliasBusy
from deployer.decisions.ownership import Snapshot
from deployer.decisions.rollout import Rollout
from deployer.decisions.target import Target
from lambda_rollout import archive, called, past, request, words
from lambda_rollout.eyes import Eyes
from lambda_rollout.past import Past
from lambda_rollout.remedies import Refused
from lambda_rollout.state import State, see


class Undo(NamedTuple):
    """The rollout that is undone, and the one that does it."""

    undone: Past
    rollout: Rollout

    @property
    def question(self) -> str:
        when = words.moment(self.undone.at)
        name = f"{self.undone.function}:{self.undone.alias}"
        versions = f"from version {self.undone.new} back to version {self.undone.original}"
        by = f", started by {self.undone.started_by}" if self.undone.started_by else ""
        return (
            f"{name} goes {versions}, all users at once, unjudged: it undoes rollout "
            f"{self.undone.rollout}, which succeeded at {when} UTC{by}."
        )


def find(
    clients: Any, eyes: Eyes, target: Target, now: float, started_by: str | None = None
) -> Undo:
    """Raises `AliasBusy`, `NotSent`, or `Refused`."""
    found = eyes.must_see()
    if found.routing or found.suspended:
        raise AliasBusy(found.busy, f"{_to_end(found, target, now)}Nothing was sent.")
    undone = _last_success(eyes, target, now)
    if found.version != undone.new:
        raise Refused(
            f"{target} {found.state}, but the last rollout "
            f"that succeeded put it on version {undone.new}: somebody else has moved it since. "
            f"What was there before is not known. {_by_hand(target)}"
        )
    event: dict[str, Any] = {
        "function-name": target.function,
        "alias-name": target.alias,
        "new-version": undone.original,
        "type": "all-at-once",
        "interval": 0,
        "health-check": False,
    }
    if started_by is not None:
        event["started-by"] = started_by
    return Undo(undone, request.check(event, clients.region))


def _to_end(found: Snapshot, target: Target, now: float) -> str:
    """How the rollout on the alias is ended; empty where `stop` would find none there."""
    if not see(State(*target, since=now, give_up=now), found, now).step:
        return ""
    stop = called.command("stop", function=target.function, alias=target.alias)
    return f"To end that first: {stop} "


def _last_success(eyes: Eyes, target: Target, now: float) -> Past:
    try:
        found = archive.last_success(eyes.logbook, now, *target)
    except aws.CallFailed as error:
        why = eyes.logbook.why_not(error)
        told = f"Which version was there before stands in the deployer's log, but {why}"
        raise Refused(f"{told} {_by_hand(target)}") from error
    if found.cut_short:  # what was left out may be a later success
        told = "The deployer's log was too long to be read whole"
        raise Refused(f"{told}: which version was there before is not known. {_by_hand(target)}")
    undone = past.last_success(found.rollouts)
    if undone is None or not undone.original:
        since = f"{utc(found.since):%Y-%m-%d}"
        told = f"Since {since} the deployer's log tells of no rollout of this alias that succeeded"
        raise Refused(f"{told}: which version was there before is not known. {_by_hand(target)}")
    return undone


def _by_hand(target: Target) -> str:
    """What is typed by who knows the version."""
    command = called.command(
        "start",
        function=target.function,
        alias=target.alias,
        version="VERSION",
        type="all-at-once",
        interval="0",
        health="false",
    )
    return f"Nothing was sent. To go back by hand, with the version that you want: {command}"
