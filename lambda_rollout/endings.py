"""PURE. How a rollout ended, and the exit status that tells it; pipelines wait on these, so their
numbers stay."""

import re
from enum import IntEnum
from typing import NamedTuple

from lambda_rollout.lines import Line


class Status(IntEnum):
    """The exit statuses; `MEANINGS` has them in words."""

    DEPLOYED = 0
    ROLLED_BACK = 1
    REFUSED = 2
    CHANGED = 3
    UNKNOWN = 4
    STILL_SPLIT = 5
    NOTHING_RUNS = 6
    NOT_SEEN = 7
    BROKEN_OFF = 8
    STOPPED_WATCHING = 130


MEANINGS = {
    Status.DEPLOYED: "the alias is on the new version; or what was asked for is done, such as a plan or a rehearsal",
    Status.ROLLED_BACK: "the rollout failed: it was rolled back, or had moved nothing yet",
    Status.REFUSED: "refused: nothing was moved",
    Status.CHANGED: "somebody else moved the alias, and it was left to them",
    Status.UNKNOWN: "ended, or never seen to begin; reason unknown, because the deployer's log does not tell",
    Status.STILL_SPLIT: "the alias is still split, and nobody goes on: take it back",
    Status.NOTHING_RUNS: "no rollout runs on this alias: nothing to watch, to stop or to promote",
    Status.NOT_SEEN: "AWS could not be asked: how the rollout goes is not known",
    Status.BROKEN_OFF: "the output was closed or full, or this command failed; a rollout that has begun goes on",
    Status.STOPPED_WATCHING: "stopped watching by Ctrl-C; the rollout goes on",
}

#: By what the deployer's log says last: a result's status, or an error's class
#: (deployer/decisions/errors.py).
STATUSES = {
    "SUCCEEDED": Status.DEPLOYED,
    "APPROVED": Status.DEPLOYED,
    "ALREADY_DEPLOYED": Status.DEPLOYED,
    "InvalidRollout": Status.REFUSED,
    "RolloutTooLong": Status.REFUSED,
    "AliasBusy": Status.REFUSED,
    "HealthCheckFailed": Status.ROLLED_BACK,
    "HealthCheckInconclusive": Status.ROLLED_BACK,
    "RolloutInterrupted": Status.ROLLED_BACK,
    "AliasChanged": Status.CHANGED,
    "RollbackFailed": Status.STILL_SPLIT,
}

_CLASS = re.compile(r"[A-Z][a-z]+([A-Z][a-z]+)+")


class End(NamedTuple):
    """`name` as in the log, or a word of ours; when; `reason` and `where` the alias is, in
    sentences."""

    name: str
    status: Status
    at: float
    reason: str = ""
    where: str = ""
    warnings: tuple[str, ...] = ()


def status_of(message: str) -> Status | None:
    """The exit status of a log line's `message`; None where the line is no end.

    An error of a newer deployer, of a class that is not known here, has failed like most do.
    """
    known = STATUSES.get(message)
    return Status.ROLLED_BACK if known is None and _CLASS.fullmatch(message) else known


def end_of(line: Line, where: str = "") -> End | None:
    """The ending that a line of the log tells; None where it tells none. `where` the alias is, for
    a line that does not say it."""
    status = status_of(line.message)
    if status is None:
        return None
    return End(
        name=line.message,
        status=status,
        at=line.time,
        reason=str(line.said.get("reason") or ""),
        where=str(line.said.get("where") or where),
        warnings=tuple(str(warning) for warning in line.said.get("warnings") or ()),
    )
