"""PURE: CloudWatch Logs' filter patterns: terms, phrases, and comparisons of JSON.

A pattern must never let through more than on AWS: what is not known here is refused, and where
AWS's pages leave open what a pattern means, it means the narrower thing.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

import json
import re
from collections.abc import Callable
from typing import Any

#: Whether a message is let through.
Matches = Callable[[str], bool]

#: Characters of a pattern.
LONGEST = 1024

#: A phrase in quotation marks, in which a backslash takes the next character as it is.
_PHRASE = r'"(?:[^"\\]|\\.)*"'
_TERM = re.compile(rf"\s*([?-]?)({_PHRASE}|\w+)(?=\s|$)")
_TOKEN = re.compile(
    rf"\s*(&&|\|\||!=|<=|>=|[()=<>]|{_PHRASE}|\$(?:\.\w+|\[\d+\])+|[\w*.:/@+-]+)", re.ASCII
)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")

#: Where JSON has no value.
_ABSENT: Any = object()


class Unknown(ValueError):
    """A pattern that AWS refuses, or that is not known here; says why."""


def read(pattern: str) -> Matches:
    """Raises `Unknown`."""
    if len(pattern) > LONGEST:
        raise Unknown(f"it is longer than {LONGEST} characters")
    if not pattern.strip():
        return lambda message: True
    if pattern.strip().startswith("{"):
        return _read_json(pattern.strip())
    return _read_terms(pattern)


# Terms and phrases.


def _read_terms(pattern: str) -> Matches:
    found: dict[str, list[Matches]] = {"": [], "?": [], "-": []}
    place = 0
    while pattern[place:].strip():
        term = _TERM.match(pattern, place)
        if term is None:
            told = "a term with characters other than letters and digits stands in quotation marks"
            raise Unknown(f"at '{pattern[place:].strip()}': {told}")
        found[term[1]].append(_has(_unquoted(term[2])))
        place = term.end()
    if found["?"] and (found[""] or found["-"]):
        raise Unknown("beside other terms AWS passes over the question mark")
    if found["?"]:
        return lambda message: any(has(message) for has in found["?"])
    return lambda message: (
        all(has(message) for has in found[""]) and not any(has(message) for has in found["-"])
    )


def _has(phrase: str) -> Matches:
    """AWS speaks of words: a part of a longer one is none."""
    if not phrase:
        raise Unknown("a phrase is empty")
    before = r"(?<!\w)" if re.match(r"\w", phrase) else ""
    after = r"(?!\w)" if re.search(r"\w$", phrase) else ""
    whole = re.compile(before + re.escape(phrase) + after)
    return lambda message: whole.search(message) is not None


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    return re.sub(r"\\(.)", r"\1", text[1:-1])


# JSON.


def _read_json(pattern: str) -> Matches:
    if not pattern.endswith("}"):
        raise Unknown("the closing brace is missing")
    expression = _Expression(_tokens(pattern[1:-1]))
    asked = expression.read()

    def matches(message: str) -> bool:
        if not message.lstrip().startswith("{"):
            return False
        try:
            return asked(json.loads(message))
        except ValueError:
            return False

    return matches


def _tokens(text: str) -> list[str]:
    tokens = []
    place = 0
    while text[place:].strip():
        found = _TOKEN.match(text, place)
        if found is None:
            raise Unknown(f"at '{text[place:].strip()}'")
        tokens.append(found[1])
        place = found.end()
    return tokens


class _Expression:
    """Comparisons, joined by `&&`, which binds stronger, and `||`."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens

    def read(self) -> Callable[[Any], bool]:
        asked = self._either()
        if self._tokens:
            raise Unknown(f"at '{self._tokens[0]}'")
        return asked

    def _either(self) -> Callable[[Any], bool]:
        asked = [self._both()]
        while self._next_is("||"):
            asked.append(self._both())
        return lambda value: any(each(value) for each in asked)

    def _both(self) -> Callable[[Any], bool]:
        asked = [self._one()]
        while self._next_is("&&"):
            asked.append(self._one())
        return lambda value: all(each(value) for each in asked)

    def _one(self) -> Callable[[Any], bool]:
        if self._next_is("("):
            asked = self._either()
            if not self._next_is(")"):
                raise Unknown("a closing parenthesis is missing")
            return asked
        selector = self._taken()
        if not selector.startswith("$"):
            raise Unknown(f"'{selector}' is no selector: it does not begin with '$.'")
        compared = _comparison(self._taken(), self._taken())
        return lambda value: compared(_selected(value, selector))

    def _next_is(self, token: str) -> bool:
        if self._tokens[:1] != [token]:
            return False
        del self._tokens[0]
        return True

    def _taken(self) -> str:
        if not self._tokens:
            raise Unknown("it ends too early")
        return self._tokens.pop(0)


def _selected(value: Any, selector: str) -> Any:
    for key, index in _STEP.findall(selector):
        if key and isinstance(value, dict):
            value = value.get(key, _ABSENT)
        elif index and isinstance(value, list) and int(index) < len(value):
            value = value[int(index)]
        else:
            return _ABSENT
    return value


def _comparison(operator: str, wanted: str) -> Callable[[Any], bool]:
    if operator == "IS":
        return _is(wanted)
    if operator == "NOT" and wanted == "EXISTS":
        return lambda value: value is _ABSENT
    if operator not in ("=", "!=", "<", "<=", ">", ">="):
        raise Unknown(f"'{operator} {wanted}' is no comparison")
    if _NUMBER.fullmatch(wanted):
        return _number(operator, float(wanted))
    if operator not in ("=", "!="):
        raise Unknown(f"'{operator}' compares numbers, and '{wanted}' is none")
    if not re.match(r'["\w*./-]', wanted):
        raise Unknown(f"'{wanted}' is no value")
    return _text(operator, _unquoted(wanted))


def _is(wanted: str) -> Callable[[Any], bool]:
    known = {"NULL": None, "TRUE": True, "FALSE": False}
    if wanted not in known:
        raise Unknown(f"'IS {wanted}' is no comparison")
    return lambda value: value is known[wanted]


def _number(operator: str, wanted: float) -> Callable[[Any], bool]:
    compare: dict[str, Callable[[float], bool]] = {
        "=": lambda value: value == wanted,
        "!=": lambda value: value != wanted,
        "<": lambda value: value < wanted,
        "<=": lambda value: value <= wanted,
        ">": lambda value: value > wanted,
        ">=": lambda value: value >= wanted,
    }
    compared = compare[operator]

    def asked(value: Any) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and compared(value)

    return asked


def _text(operator: str, wanted: str) -> Callable[[Any], bool]:
    """An asterisk stands for any text."""
    parts = [re.escape(part) for part in wanted.split("*")]
    whole = re.compile(".*".join(parts), re.DOTALL)

    def asked(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        equal = whole.fullmatch(value) is not None
        return equal == (operator == "=")

    return asked
