"""PURE. What `--json` answers: one object with the payload's kind of keys. What is not known is
left out, but for `warnings`, which are then none."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lambda_rollout import words
from lambda_rollout.endings import Status
from lambda_rollout.state import State


def of(status: Status, name: str, warnings: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """`name` is the deployer's word for how it ended, or one of ours; the underscores of further
    keys become hyphens."""
    known = {key.replace("_", "-"): value for key, value in more.items() if value}
    return {
        "exit-status": int(status),
        "status": name,
        **known,
        "warnings": list(warnings),
    }


def as_json(told: Mapping[str, Any]) -> str:
    """On one line, in letters that every output has."""
    return json.dumps(told)


def of_state(state: State, status: Status, name: str, **more: Any) -> dict[str, Any]:
    """What is known of a rollout that was followed, or only begun."""
    end = state.end
    plan = state.plan
    known: dict[str, Any] = {
        "function_name": state.function,
        "alias_name": state.alias,
        "rollout": state.rollout,
        "original_version": state.original or (plan.original if plan else ""),
        "new_version": state.new or (plan.version if plan else ""),
        "reason": end.reason if end else "",
        "where": words.where(state) or _now(state),
        "started_by": state.started_by or (plan.started_by if plan else ""),
        "execution_arn": state.execution,
    }
    warnings = end.warnings if end else ()
    return of(status, name, **{"warnings": warnings, **known, **more})


def _now(state: State) -> str:
    """Where the alias was seen last."""
    return state.stands if state.where else ""


def of_plan(status: Status, answer: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What a dry run has answered."""
    told = answer["rollout"]
    return of(
        status,
        str(told["status"]),
        told["warnings"],
        rollout=told["id"],
        original_version=told["original-version"],
        new_version=told["new-version"],
        started_by=told.get("started-by"),
        where=where,
        weights=told["weights"],
        plan=told.get("plan"),
    )
