"""PURE. What the deployer's log says: from CloudWatch's events to lines about rollouts, the oldest
first."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Line(NamedTuple):
    """One line: when it was written, what happened, whose rollout it is about, and all else that it
    says."""

    time: float
    message: str
    rollout: str
    said: Mapping[str, Any]


def read(events: Iterable[Mapping[str, Any]]) -> list[Line]:
    """The lines about rollouts; whatever else a log holds is left out."""
    found = []
    for event in sorted(events, key=lambda event: event["timestamp"]):
        try:
            said = json.loads(event["message"])
        except ValueError:
            continue
        if not isinstance(said, Mapping):
            continue
        rollout = said.get("rollout")
        message = said.get("message")
        if isinstance(rollout, str) and message:
            found.append(Line(event["timestamp"] / 1000, str(message), rollout, said))
    return found


def pattern(function: str, alias: str, rollout: str, request: str) -> str:
    """What CloudWatch is asked for: lines about the alias, the rollout, or of the invocation."""
    asked = [f'($.function = "{function}" && $.alias = "{alias}")']
    if rollout:
        asked.append(f'($.rollout = "{rollout}")')
    if request:
        asked.append(f'($.function_request_id = "{request}")')
    return "{ " + " || ".join(asked) + " }"


def about(line: Line, function: str, alias: str) -> bool:
    return (line.said.get("function"), line.said.get("alias")) == (function, alias)
