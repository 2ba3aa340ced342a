"""PURE. Rollouts of before in words, and as JSON: when, who, which versions, how each ended and
why, how long it took."""

from collections.abc import Mapping
from typing import Any

from deployer.clock import iso
from lambda_rollout import past, words
from lambda_rollout.past import Past

CUT_SHORT = (
    "The log was too long to be read whole: there may be more. "
    "Ask for less of it, with --since or --function."
)

_UNTOLD = "The log does not say how it ended."


def headline(told: Past) -> str:
    """The first line of one."""
    named = f"{told.function}:{told.alias}" if told.function else "of no known alias"
    versions = ""
    if told.original and told.new:
        versions = f"version {told.original} → {told.new}"
    ended = told.name
    if told.seconds is not None:
        ended = f"{told.name} after {words.for_long(told.seconds)}"
    by = f"by {told.started_by}" if told.started_by else "by whom is not known"
    when = words.moment(told.at)
    return "  ".join(filter(None, (when, named, versions, ended, by)))


def why(told: Past) -> str:
    """The line below it."""
    reason = told.reason
    if told.name == past.NOT_TOLD:
        reason = reason or _UNTOLD
    return " ".join(filter(None, (reason, told.where, f"Rollout {told.rollout}.")))


def nothing(since: float) -> str:
    return f"The deployer's log tells of no rollout since {words.moment(since)} UTC."


def as_json(told: Past) -> Mapping[str, Any]:
    """What is not known is left out."""
    known: dict[str, Any] = {
        "status": told.name,
        "rollout": told.rollout,
        "function-name": told.function,
        "alias-name": told.alias,
        "original-version": told.original,
        "new-version": told.new,
        "started-by": told.started_by,
        "reason": told.reason,
        "where": told.where,
        "execution-arn": told.execution,
    }
    known = {key: value for key, value in known.items() if value}
    if told.began is not None:
        known["started"] = iso(told.began)
    if told.ended is not None:
        known["ended"] = iso(told.ended)
    if told.seconds is not None:
        known["seconds"] = round(told.seconds, 1)
    return {**known, "warnings": list(told.warnings)}
