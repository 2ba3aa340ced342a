"""EventBridge: rules take events to queues, topics and functions, and fire at their rate.

A rule must never get more than on AWS: nothing without a pattern or while disabled, and no pattern
is guessed at.
"""

import json
import re
import threading
import time
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from moto.events.exceptions import InvalidEventPatternException
from moto.events.models import EventPatternParser, EventsBackend, Rule, events_backends
from moto.events.utils import EventTemplateParser

from local import delivery
from local.sandbox import ACCOUNT, REGION

SERVICE = delivery.EVENTS

#: AWS wants "1 minute" and "2 minutes"; moto takes any.
RATE = re.compile(r"rate\((?:1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minute|hour|day)s)\)$")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}

#: What a pattern may ask of a value; moto lets whatever it does not know match everything.
_MATCHERS = {
    "prefix",
    "suffix",
    "equals-ignore-case",
    "anything-but",
    "numeric",
    "exists",
    "wildcard",
    "cidr",
}

_moto_put_events, _moto_validate = (
    EventsBackend.put_events,
    EventPatternParser._validate_event_pattern,
)


def apply() -> None:
    EventsBackend._RATE_REGEX = RATE
    EventsBackend.put_events = put_events
    EventPatternParser._validate_event_pattern = validate
    Rule.send_to_targets = send_to_targets


def put_events(self: Any, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As moto's, but sources that begin with "aws." are AWS's own."""
    if len(events) > 10:
        return list(_moto_put_events(self, events))  # refuses them
    refused = {
        "ErrorCode": "NotAuthorizedForSourceException",
        "ErrorMessage": "Not authorized for the source.",
    }
    answers = []
    for event in events:
        ours = not str(event.get("Source")).startswith("aws.")
        answers.append(_moto_put_events(self, [event])[0] if ours else refused)
    return answers


def emit(source: str, detail_type: str, resources: list[str], detail: dict[str, Any]) -> None:
    """An event of AWS itself, on the default bus."""
    event = _event(source, detail_type, resources, detail)
    for rule in list(events_backends[ACCOUNT][REGION].event_buses["default"].rules.values()):
        rule.send_to_targets(event)


def send_to_targets(
    self: Any, original_event: dict[str, Any], transform_input: bool = True
) -> None:
    """To every target, if it matches."""
    if self.state == "DISABLED" or not self.event_pattern.get_pattern():
        return
    if self.event_pattern.matches_event(original_event):
        _deliver(self, original_event)


def fire(rule: Any) -> None:
    """A schedule's event."""
    _deliver(rule, _event("aws.events", "Scheduled Event", [rule.arn], {}))


def validate(self: Any, pattern: dict[str, Any]) -> None:
    """A pattern's lists may hold values and known matchers only."""
    _moto_validate(self, pattern)
    for key, wanted in pattern.items():
        asked = (
            {name for each in wanted if isinstance(each, dict) for name in each}
            if key != "$or"
            else set()
        )
        if isinstance(wanted, list) and asked - _MATCHERS:
            raise InvalidEventPatternException(
                reason=f"Unrecognized match type {', '.join(asked - _MATCHERS)}"
            )


def _deliver(rule: Any, event: dict[str, Any]) -> None:
    for target in rule.targets:
        delivery.send(target["Arn"], _input(target, event), SERVICE, rule.arn)


def _input(target: dict[str, Any], event: dict[str, Any]) -> str:
    """What the target gets: the event, in AWS's order, unless the target says otherwise."""
    stamp = event["time"]
    if isinstance(stamp, int | float):
        stamp = datetime.fromtimestamp(stamp, UTC)
    told = stamp if isinstance(stamp, str) else f"{stamp:%Y-%m-%dT%H:%M:%SZ}"
    keys = (
        "version",
        "id",
        "detail-type",
        "source",
        "account",
        "time",
        "region",
        "resources",
        "detail",
    )
    whole: dict[str, Any] = {key: told if key == "time" else event[key] for key in keys}
    if "Input" in target:
        return str(target["Input"])
    if transformer := target.get("InputTransformer"):
        known = {**whole, "ingestion-time": told}
        made = EventTemplateParser.parse(
            transformer["InputTemplate"], transformer.get("InputPathsMap", {}), known
        )
        return made if isinstance(made, str) else json.dumps(made)
    return json.dumps(whole)


def _event(
    source: str, detail_type: str, resources: list[str], detail: dict[str, Any]
) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": time.time(),
        "region": REGION,
        "resources": resources,
        "detail": detail,
        "ingestion-time": time.time(),
    }


class Schedules:
    """Fires the rules with a rate, from the moment they are there; cron expressions are accepted
    and never fire."""

    def __init__(self) -> None:
        self._next: dict[tuple[str, str], float] = {}

    def keep(self, stopped: threading.Event) -> None:
        """Until it is stopped."""
        while not stopped.wait(0.5):
            for rule in self.due(
                list(events_backends[ACCOUNT][REGION].event_buses["default"].rules.values())
            ):
                fire(rule)

    def due(self, rules: Iterable[Any], now: float | None = None) -> list[Any]:
        """The rules that fire now; a rule that is seen for the first time fires one period
        later."""
        now, due, known = time.monotonic() if now is None else now, [], {}
        for rule in rules:
            if rule.state == "DISABLED" or not (period := seconds(rule.scheduled_expression)):
                continue
            key = (rule.name, rule.scheduled_expression)
            known[key] = self._next.get(key, now + period)
            if known[key] <= now:
                known[key] += period
                due.append(rule)
        self._next = known
        return due


def seconds(expression: str | None) -> int:
    """A rate's period; 0 for everything else."""
    found = RATE.match(expression or "")
    return int(found[2] or 1) * _SECONDS[found[1] or found[3]] if found else 0
