"""PURE. What to do now that it has ended, in one line with a command to type."""

from typing import Any

from deployer.decisions.sentences import sentences
from lambda_rollout import called
from lambda_rollout.endings import Status
from lambda_rollout.state import State


def to_do(state: State) -> str:
    """After a rollout that was followed; empty where its last words have said it."""
    if state.end is None:
        return ""
    target = {"function": state.function, "alias": state.alias}
    match state.end.name:
        case "SUCCEEDED" if state.version in (state.new, None):
            return f"To go back to version {state.original}: {called.command('undo', **target)}"
        case "ABANDONED":
            return ""
        case "NOTHING_RUNS":
            return f"What has run before: {called.command('history', **target)}"
        case "ENDED" | "NOT_BEGUN":
            return f"What the log says later: {called.command('history', **target)}"
    if state.end.status is Status.UNKNOWN:
        return ""
    return sentences(state.end.name, _detail(state))["now"]


def to_do_after(promoted: bool, state: State) -> str:
    """After a rollout that was promoted or stopped here."""
    if promoted:
        back = called.command("undo", function=state.function, alias=state.alias)
        return f"To go back to version {state.original}: {back}"
    again = called.command("start", function=state.function, alias=state.alias, version=state.new)
    return f"To roll version {state.new} out after all: {again} …"


def _detail(state: State) -> dict[str, Any]:
    """As the deployer's event has it."""
    plan = state.plan
    known = {
        "function": state.function,
        "alias": state.alias,
        "original-version": state.original or (plan.original if plan else ""),
        "new-version": state.new or (plan.version if plan else ""),
        "step": state.step,
    }
    where = state.end.where if state.end else ""
    return {**{key: value for key, value in known.items() if value}, "where": where}
