"""CloudWatch Logs: lines are written at once and can be read some seconds later, by who may.

A reader must never find more than on AWS: nothing of a stream of another prefix, nothing that a
pattern keeps out, and nothing before its time.
"""

import copy
import hashlib
import itertools
import json
import random
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from moto.core.exceptions import JsonRESTError
from moto.logs.exceptions import InvalidParameterException, ResourceNotFoundException
from moto.logs.models import LogEvent, LogGroup, LogStream, logs_backends
from moto.logs.responses import LogsResponse

from local import lines, patterns, roles
from local.lines import Function
from local.patches import replaces
from local.sandbox import ACCOUNT, REGION

#: Seconds until a line can be read; on AWS samples of 0.05 to 15 s are known.
DELAY = 5.0
#: What a page of events has at most, on AWS: in number, and in bytes of their messages.
MOST_EVENTS = 10_000
MOST_BYTES = 1_048_576

_KNOWN = {
    *("logGroupName", "logGroupIdentifier", "logStreamNames", "logStreamNamePrefix"),
    *("startTime", "endTime", "filterPattern", "nextToken", "limit", "interleaved"),
}

_moto_event = LogEvent.__init__
_moto_get = LogStream.get_log_events
_moto_get_response = LogsResponse.get_log_events
_moto_attribute = LogGroup.get_cfn_attribute
_ids = itertools.count(1)


@dataclass
class Settings:
    """`delay` in seconds; `looked_at` is how many events are looked at for a page, whether the
    pattern lets them through or not: pages that are short, or empty, come from there."""

    delay: float = DELAY
    looked_at: int = MOST_EVENTS


settings = Settings()


class Stream:
    """A sandbox's own stream in its function's log group."""

    def __init__(self, function: Function, group: str) -> None:
        self.group = group
        unique = f"{random.getrandbits(128):032x}"
        self.name = lines.stream(function, group, datetime.now(UTC), unique)
        self._logs = logs_backends[ACCOUNT][REGION]
        self._one_at_a_time = threading.Lock()

    def keep(self, line: str) -> None:
        """A group that was deleted meanwhile is made anew."""
        event = {"timestamp": _now(), "message": line}
        with self._one_at_a_time:
            self._logs.ensure_log_group(self.group)
            self._logs.ensure_log_stream(self.group, self.name)
            self._logs.put_log_events(self.group, self.name, [event])


def written(group: str) -> list[dict[str, Any]]:
    """All that is in a group, oldest first, whether it can be read already or not."""
    known = logs_backends[ACCOUNT][REGION].groups
    if group not in known:
        return []
    return [each.told() for each in _sorted(known[group].streams.values())]


class _Placed(NamedTuple):
    """An event and its place among all of its group."""

    timestamp: int
    number: int
    event: Any
    stream: str

    @property
    def place(self) -> tuple[int, int]:
        return self.timestamp, self.number

    def told(self) -> dict[str, Any]:
        return {
            "logStreamName": self.stream,
            "timestamp": self.timestamp,
            "message": self.event.message,
            "ingestionTime": self.event.ingestion_time,
            "eventId": f"{self.number:056d}",
        }


def _sorted(streams: Iterable[Any]) -> list[_Placed]:
    placed = [
        _Placed(event.timestamp, event.event_id, event, stream.log_stream_name)
        for stream in streams
        for event in list(stream.events)
    ]
    return sorted(placed, key=lambda each: each.place)


@replaces(LogEvent, "__init__")
def _event(self: Any, ingestion_time: int, log_event: dict[str, Any]) -> None:
    """AWS: each event has an id of its own.
    moto: two that are put at once may get the same.
    Upstream: an `itertools.count`.
    """
    _moto_event(self, ingestion_time, log_event)
    self.event_id = next(_ids)


@replaces(LogsResponse, "filter_log_events")
def _filter(self: Any) -> str:
    """AWS: heeds the prefix of streams and every form of pattern, and pages may be short or empty.
    moto: passes over the prefix and over patterns that it does not know, and lets all through.
    Upstream: the prefix; a refusal of unknown patterns; events of all streams in one order.
    """
    asked = json.loads(self.body)
    if unknown := asked.keys() - _KNOWN:
        raise InvalidParameterException(f"{', '.join(sorted(unknown))}: not known here.")
    name = _group_name(asked)
    _check_reader(self, "logs:FilterLogEvents", name, "")
    streams = _streams(_group(name), asked)
    first = asked.get("startTime", 0)
    last = asked.get("endTime", float("inf"))
    found = [
        each
        for each in _sorted(streams)
        if first <= each.timestamp <= last and _can_be_read(each.event)
    ]
    events, token = _page(found, asked)
    answer: dict[str, Any] = {"events": events, "searchedLogStreams": []}
    if token:
        answer["nextToken"] = token
    return json.dumps(answer)


@replaces(LogStream, "get_log_events")
def _get(self: Any, *args: Any, **kwargs: Any) -> Any:
    """AWS: a line can be read some seconds after it was written.
    moto: tells it at once.
    Upstream: nothing; a mock need not be late.
    """
    seen = copy.copy(self)
    seen.events = [event for event in list(self.events) if _can_be_read(event)]
    return _moto_get(seen, *args, **kwargs)


@replaces(LogsResponse, "get_log_events")
def _get_response(self: Any) -> str:
    """AWS: the caller's policies must let it read.
    moto: lets everybody read.
    Upstream: moto's own check of policies does it, for roles' sessions.
    """
    asked = json.loads(self.body)
    _check_reader(self, "logs:GetLogEvents", _group_name(asked), asked.get("logStreamName", ""))
    return str(_moto_get_response(self))


@replaces(LogGroup, "get_cfn_attribute")
def _attribute(self: Any, attribute_name: str) -> str:
    """AWS: the `Arn` of a group in a template ends in ":*", as policies want it.
    moto: answers it without.
    Upstream: those two characters.
    """
    value = str(_moto_attribute(self, attribute_name))
    return f"{value}:*" if attribute_name == "Arn" else value


def _check_reader(response: Any, action: str, group: str, stream: str) -> None:
    """AWS asks for the streams of a group: a policy for the group's name alone is not enough."""
    resource = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:log-stream:{stream}"
    caller = roles.caller(response.headers)
    if not roles.may(caller, action, resource):
        told = f"User: {caller} is not authorized to perform: {action} on resource: {resource}"
        raise JsonRESTError("AccessDeniedException", told)


def _group_name(asked: dict[str, Any]) -> str:
    named = [asked[key] for key in ("logGroupName", "logGroupIdentifier") if asked.get(key)]
    if len(named) != 1:
        told = "Exactly one of logGroupName and logGroupIdentifier must be given."
        raise InvalidParameterException(told)
    return str(named[0]).rpartition(":log-group:")[2].removesuffix(":*")


def _group(name: str) -> Any:
    groups = logs_backends[ACCOUNT][REGION].groups
    if name not in groups:
        raise ResourceNotFoundException
    return groups[name]


def _streams(group: Any, asked: dict[str, Any]) -> list[Any]:
    names = asked.get("logStreamNames")
    prefix = asked.get("logStreamNamePrefix")
    if names and prefix:
        told = "logStreamNames and logStreamNamePrefix cannot be given together."
        raise InvalidParameterException(told)
    streams = dict(group.streams)
    if names:
        if missing := set(names) - streams.keys():
            told = f"The specified log stream does not exist: {', '.join(sorted(missing))}"
            raise ResourceNotFoundException(told)
        return [streams[name] for name in names]
    return [stream for name, stream in streams.items() if name.startswith(prefix or "")]


def _can_be_read(event: Any) -> bool:
    return bool(event.ingestion_time + settings.delay * 1000 <= _now())


def _page(found: list[_Placed], asked: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """The next events that the pattern lets through, and where to go on: empty at the end."""
    limit = asked.get("limit", MOST_EVENTS)
    if not 1 <= limit <= MOST_EVENTS:
        rule = f"Member must have value between 1 and {MOST_EVENTS}"
        raise InvalidParameterException(constraint=rule, parameter="limit", value=limit)
    matches = _pattern(asked.get("filterPattern") or "")
    after = _after(asked)
    rest = [each for each in found if each.place > after]
    events: list[dict[str, Any]] = []
    size = 0
    looked_at = 0
    for each in rest[: settings.looked_at]:
        if matches(each.event.message):
            size += len(each.event.message.encode())
            if len(events) == limit or (events and size > MOST_BYTES):
                break
            events.append(each.told())
        looked_at += 1
    if looked_at == len(rest):
        return events, ""
    timestamp, number = rest[looked_at - 1].place
    return events, f"{_fingerprint(asked)}/{timestamp}/{number}"


def _pattern(pattern: str) -> patterns.Matches:
    try:
        return patterns.read(pattern)
    except patterns.Unknown as why:
        raise InvalidParameterException(f"Invalid filter pattern '{pattern}': {why}") from why


def _after(asked: dict[str, Any]) -> tuple[int, int]:
    """The place after which a page begins. A token is of use to the request that it is for."""
    token = asked.get("nextToken")
    if token is None:
        return -1, -1
    fingerprint, _, place = token.partition("/")
    timestamp, _, number = place.partition("/")
    if fingerprint != _fingerprint(asked) or not (timestamp + number).isdigit():
        raise InvalidParameterException("The specified nextToken is invalid.")
    return int(timestamp), int(number)


def _fingerprint(asked: dict[str, Any]) -> str:
    same = {key: value for key, value in asked.items() if key not in ("nextToken", "limit")}
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:32]


def _now() -> int:
    return int(time.time() * 1000)
