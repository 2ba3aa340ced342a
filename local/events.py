"""EventBridge: rules take events to queues and topics, and fire at their rate.

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

from local import delivery, transformers
from local.patches import replace_value, replaces
from local.sandbox import ACCOUNT, REGION

SERVICE = delivery.EVENTS

RATE = re.compile(r"rate\((?:1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minute|hour|day)s)\)$")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}

#: What a pattern may ask of a value.
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

#: An event's keys, in AWS's order.
_KEYS = (
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

_NOT_YOURS = {
    "ErrorCode": "NotAuthorizedForSourceException",
    "ErrorMessage": "Not authorized for the source.",
}

_moto_put_events = EventsBackend.put_events
_moto_validate = EventPatternParser._validate_event_pattern

replace_value(
    EventsBackend,
    "_RATE_REGEX",
    RATE,
    """
    AWS: wants `rate(1 minute)` and `rate(2 minutes)`.
    moto: takes any number with either.
    Upstream: this expression.
    """,
)


@replaces(EventsBackend, "put_events")
def _put_events(self: Any, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """AWS: refuses sources that begin with "aws.", which are its own.
    moto: takes them.
    Upstream: one more refusal beside the others of `put_events`.
    """
    if len(events) > 10:
        return list(_moto_put_events(self, events))  # refuses them
    answers = []
    for event in events:
        if str(event.get("Source")).startswith("aws."):
            answers.append(_NOT_YOURS)
        else:
            answers += _moto_put_events(self, [event])
    return answers


@replaces(EventPatternParser, "_validate_event_pattern")
def _validate(self: Any, pattern: dict[str, Any]) -> None:
    """AWS: refuses a pattern with a matcher that it does not know.
    moto: takes it, and lets it match every value.
    Upstream: the names of the matchers, asked for where the pattern is read.
    """
    _moto_validate(self, pattern)
    for key, wanted in pattern.items():
        if key == "$or" or not isinstance(wanted, list):
            continue
        matchers = [each for each in wanted if isinstance(each, dict)]
        unknown = set().union(*matchers) - _MATCHERS
        if unknown:
            why = f"Unrecognized match type {', '.join(sorted(unknown))}"
            raise InvalidEventPatternException(reason=why)


@replaces(Rule, "send_to_targets")
def send_to_targets(
    self: Any, original_event: dict[str, Any], transform_input: bool = True
) -> None:
    """AWS: a rule sends to topics too, asks the target's policy, and does nothing while disabled.
    moto: sends to queues alone, whatever their policies; a disabled rule and one with no pattern
    get every event.
    Upstream: the two conditions; topics as targets; a queue's and topic's policy.
    """
    if self.state == "DISABLED" or not self.event_pattern.get_pattern():
        return
    if self.event_pattern.matches_event(original_event):
        _deliver(self, original_event)


def emit(source: str, detail_type: str, resources: list[str], detail: dict[str, Any]) -> None:
    """An event of AWS itself, on the default bus."""
    event = _event(source, detail_type, resources, detail)
    for rule in rules():
        send_to_targets(rule, event)


def rules() -> list[Any]:
    """Those of the default bus."""
    return list(events_backends[ACCOUNT][REGION].event_buses["default"].rules.values())


def fire(rule: Any) -> None:
    """A schedule's event."""
    _deliver(rule, _event("aws.events", "Scheduled Event", [rule.arn], {}))


def fire_named(name: str) -> None:
    """That rule's event; raises when there is no such rule."""
    fire(events_backends[ACCOUNT][REGION].event_buses["default"].rules[name])


def _deliver(rule: Any, event: dict[str, Any]) -> None:
    for target in rule.targets:
        try:
            text = _input(rule, target, event)
        except transformers.Invalid as error:
            delivery.complain(f"{rule.arn} sent nothing to {target['Arn']}: {error}")
        else:
            delivery.send(target["Arn"], text, SERVICE, rule.arn)


def _input(rule: Any, target: dict[str, Any], event: dict[str, Any]) -> str:
    """What the target gets: the event, in AWS's order, unless the target says otherwise."""
    if "Input" in target:
        return str(target["Input"])
    whole = {**{key: event[key] for key in _KEYS}, "time": _stamp(event["time"])}
    transformer = target.get("InputTransformer")
    if not transformer:
        return json.dumps(whole)
    return transformers.transformed(transformer, whole, rule.arn, rule.name)


def _stamp(time: Any) -> str:
    """moto has it as a number, as a date, or as it was given."""
    if isinstance(time, int | float):
        time = datetime.fromtimestamp(time, UTC)
    return time if isinstance(time, str) else f"{time:%Y-%m-%dT%H:%M:%SZ}"


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
            for rule in self.due(rules(), time.monotonic()):
                fire(rule)

    def due(self, rules: Iterable[Any], now: float) -> list[Any]:
        """The rules that fire now; a rule that is seen for the first time fires one period
        later."""
        due = []
        known = {}
        for rule in rules:
            period = seconds(rule.scheduled_expression)
            if rule.state == "DISABLED" or not period:
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
    if not found:
        return 0
    one, count, many = found.groups()
    return int(count or 1) * _SECONDS[one or many]
