"""PURE. One key of the payload to one value, or `InvalidRollout` that names the key and the remedy.

Each reader returns None where the key is absent; whether it may be absent is the caller's business.
"""

import json
import math
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from deployer.errors import InvalidRollout

Payload = Mapping[str, Any]


def as_object(event: Any, keys: Collection[str]) -> Payload:
    """The event itself, if it is a JSON object of known keys and none of them is null."""
    if not isinstance(event, Mapping):
        raise InvalidRollout(f"The payload must be a JSON object, but it is {shown(event)}: send an object of keys.")
    for key, value in event.items():
        if key not in keys:
            near = get_close_matches(str(key), keys, n=1, cutoff=0.5)
            remedy = f"did you mean '{near[0]}'?" if near else f"the keys are {', '.join(keys)}."
            raise InvalidRollout(f"{shown(key)} is not a key of the payload: {remedy}")
        if value is None:
            raise InvalidRollout(f"'{key}' is null: give it a value, or leave the key out.")
    return event


def require(event: Payload, key: str, example: str) -> None:
    if key not in event:
        raise InvalidRollout(f"'{key}' is required: add it, for example \"{key}\": {example}.")


def text(event: Payload, key: str, pattern: re.Pattern[str], rule: str) -> re.Match[str] | None:
    """The match of a string with the whole of `pattern`; `rule` says in words what it asks for."""
    if key not in event:
        return None
    value = event[key]
    match = pattern.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise wrong(key, rule, value)
    return match


def whole_number(event: Payload, key: str, low: int, high: int) -> int | None:
    """A whole number from `low` to `high`; 10.0 is one, as in JSON Schema; true and "10" are not."""
    if key not in event:
        return None
    value = event[key]
    if not _is_number(value) or value != math.floor(value) or not low <= value <= high:
        raise wrong(key, f"a whole number from {low} to {high}", value)
    return int(value)


def number(event: Payload, key: str, low: float, high: float, unit: str) -> float | None:
    """A finite number from `low` to `high`."""
    if key not in event:
        return None
    value = event[key]
    if not _is_number(value) or not low <= value <= high:
        raise wrong(key, f"a number of {unit} from {low:g} to {high:.0f}", value)
    return float(value)


def flag(event: Payload, key: str, default: bool) -> bool:
    value = event.get(key, default)
    if not isinstance(value, bool):
        raise wrong(key, "true or false, without quotes", value)
    return value


def rising_weights(event: Payload, key: str, most: int) -> tuple[float, ...] | None:
    """A list of numbers in (0, 1], strictly rising, the last one 1."""
    if key not in event:
        return None
    value = event[key]
    rule = "a list of numbers that rise, each above 0, the last one 1, such as [0.05, 0.25, 1]"
    if not isinstance(value, list) or not value:
        raise wrong(key, rule, value)
    if len(value) > most:
        raise InvalidRollout(f"'{key}' has {len(value)} numbers: give at most {most}.")
    for before, weight in zip([0, *value], value, strict=False):
        if not _is_number(weight) or not before < weight <= 1:
            raise InvalidRollout(f"'{key}' must be {rule}, but {shown(weight)} follows {shown(before)}.")
    if value[-1] != 1:
        raise InvalidRollout(f"'{key}' must end with 1, but it ends with {shown(value[-1])}: add 1 as the last weight.")
    return tuple(float(weight) for weight in value)


def wrong(key: str, rule: str, value: Any) -> InvalidRollout:
    return InvalidRollout(f"'{key}' must be {rule}, but it is {shown(value)}.")


def shown(value: Any) -> str:
    """The value for an error message: as JSON, short whatever the value is."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, int) and abs(value) >= 10**18:
        return "a number of more than 18 digits"
    # JSON may hold half a surrogate pair, which no log line and no answer can carry.
    as_json = json.dumps(value, ensure_ascii=False, default=repr).encode("utf-8", "backslashreplace").decode()
    return as_json if len(as_json) <= 60 else f"{as_json[:57]}…"


def _is_number(value: Any) -> bool:
    """Whether it is a finite number; JSON's true and false are not, though Python counts them as integers."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf
