"""The payload's keys to their values, or `InvalidRollout` that names the key and the remedy."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from deployer.decisions.errors import InvalidRollout

#: From a value to what it means; None where it is not what the key's rule asks for. One may raise
#: `InvalidRollout` itself, to say more.
Reader = Callable[[Any], Any]

#: By key: the rule, which says in words what the value must be; its reader; an example for who left
#: the key out.
Keys = Mapping[str, tuple[str, Reader, str]]


_DAY = r"20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_HOUR = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = rf"{_DAY}T{_HOUR}(:[0-5][0-9](\.[0-9]{{1,6}})?)?(Z|[+-]{_HOUR})"


def read(event: Any, keys: Keys, *required: str, at: str = "") -> dict[str, Any]:
    """What the event holds, read: it must be a JSON object of known keys, the required ones among
    them, none null.

    `at` is its own place in the payload, such as "health-check.".
    """
    whole = f"'{at.rstrip('.')}'" if at else "the payload"
    if not isinstance(event, Mapping):
        raise InvalidRollout(
            f"{whole[0].upper()}{whole[1:]} must be a JSON object, but it is {shown(event)}: "
            "send an object of keys."
        )
    given = {}
    for key, value in event.items():
        if key not in keys:
            remedy = nearest(str(key), keys, f"the keys are {', '.join(keys)}.")
            raise InvalidRollout(f"{shown(key)} is not a key of {whole}: {remedy}")
        if value is None:
            raise InvalidRollout(f"'{at}{key}' is null: give it a value, or leave the key out.")
        rule, reader, _ = keys[key]
        given[key] = reader(value)
        if given[key] is None:
            raise InvalidRollout(f"'{at}{key}' must be {rule}, but it is {shown(value)}.")
    require(given, keys, *required, at=at)
    return given


def nearest(word: str, known: Iterable[str], otherwise: str) -> str:
    """A remedy for who has misspelt it: the one that was meant, where one is near."""
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    if not near:
        return otherwise
    return f"did you mean '{near[0]}'?"


def require(given: Mapping[str, Any], keys: Keys, *required: str, at: str = "") -> None:
    for key in required:
        if key not in given:
            raise InvalidRollout(
                f"'{at}{key}' is required: add it, for example \"{key}\": {keys[key][2]}."
            )


def text(pattern: str, kinds: Any = str) -> Reader:
    """To the match of a string, or of another value of these kinds, with the whole pattern."""

    def reader(value: Any) -> re.Match[str] | None:
        return re.fullmatch(pattern, str(value)) if isinstance(value, kinds) else None

    return reader


def number(low: float, high: float, kind: type[float]) -> Reader:
    """To a number of that kind; for `int`, 10.0 is a whole number, as in JSON Schema."""

    def reader(value: Any) -> Any:
        if is_number(value) and low <= value <= high and value == kind(value):
            return kind(value)
        return None

    return reader


def time(value: Any) -> datetime | None:
    """A time that says its zone."""
    if not isinstance(value, str) or not re.fullmatch(_TIME, value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:  # such as February 30th
        return None


def flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def flag_or_object(value: Any) -> Any:
    return value if isinstance(value, bool | Mapping) else None


def is_number(value: Any) -> bool:
    """JSON's true and false are none, though Python counts them as integers."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def shown(value: Any) -> str:
    """The value for an error message: as JSON, short whatever the value is."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, int) and abs(value) >= 10**18:
        return "a number of more than 18 digits"
    text = as_json(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}…"


def as_json(value: Any) -> bytes:
    # JSON may hold half a surrogate pair, which no log line and no answer can carry.
    return json.dumps(value, ensure_ascii=False, default=repr).encode("utf-8", "backslashreplace")
