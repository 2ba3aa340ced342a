"""PURE. What a rollout that went well returns; kebab-case, as the payload."""

from datetime import datetime
from typing import Any

from deployer import health
from deployer.rollout import Rollout
from deployer.snapshot import Snapshot


def result(
    status: str,
    rollout_id: str,
    rollout: Rollout,
    original: str,
    alias: Snapshot,
    seen: health.Look,
    checks: dict[str, Any],
    times: tuple[datetime, datetime],
    warnings: list[str],
) -> dict[str, Any]:
    """What `UpdateAlias` answered, as in the sample, and `rollout`."""
    for who, version, minutes in (("original", original, seen.original), ("new", rollout.new_version, seen.new)):
        counts = health.total(minutes)
        checks = {**checks, who: {"version": version, "invocations": counts.invocations, "errors": counts.errors}}
    started, ended = (time.isoformat(timespec="seconds") for time in times)
    told = {
        "status": status,
        "id": rollout_id,
        "original-version": original,
        "new-version": rollout.new_version,
        "weights": list(rollout.weights),
        "started": started,
        "ended": ended,
        "checks": checks,
        "warnings": warnings,
    }
    return {**alias.answer, "rollout": told}
