"""PURE. What a rule's target gets where it has an InputTransformer.

AWS takes a template that is JSON, or quoted strings, one a line. A variable within quotation marks
is put in as it is, without escapes; one outside of them as JSON; one whose path leads nowhere as
nothing. What does not come out as the template's own kind reaches nobody.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

_VARIABLE = re.compile(r"<([A-Za-z0-9_.-]+)>")
_PATH = re.compile(r"\$(\.[A-Za-z0-9_/-]+(\[[0-9]+\])?)*")
_STEP = re.compile(r"\.([A-Za-z0-9_/-]+)|\[([0-9]+)\]")
#: A string of JSON, or what stands between strings.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|[^"]+')

_NOWHERE = object()


class Invalid(Exception):
    """The template, or what came out of it, would be lost on AWS."""


def transformed(
    transformer: Mapping[str, Any], event: Mapping[str, Any], rule: str, name: str
) -> str:
    """The target's input; `rule` and `name` are the rule's ARN and name. Raises `Invalid`."""
    known: dict[str, Any] = {
        "aws.events.rule-arn": rule,
        "aws.events.rule-name": name,
        "aws.events.event.ingestion-time": event["time"],
        "aws.events.event.json": event,
        "aws.events.event": {key: event[key] for key in event if key != "detail"},
    }
    for variable, path in transformer.get("InputPathsMap", {}).items():
        known[variable] = _at(path, event)
    template = transformer["InputTemplate"]
    made = "".join(_filled(part, known) for part in _STRING.findall(template))
    # Strings are one a line; JSON is one value, on however many lines.
    values = [made]
    if template.lstrip().startswith('"'):
        values = made.strip().splitlines()
    try:
        for value in values:
            json.loads(value)
    except ValueError as error:
        raise Invalid(f"what the InputTemplate makes is not valid ({error}): {made}") from error
    return made.strip()


def _filled(part: str, known: Mapping[str, Any]) -> str:
    quoted = part.startswith('"')

    def value(found: re.Match[str]) -> str:
        if found[1] not in known:
            return found[0]
        given = known[found[1]]
        if given is _NOWHERE:
            return ""
        if quoted and isinstance(given, str):
            return given
        return json.dumps(given, ensure_ascii=False)

    return _VARIABLE.sub(value, part)


def _at(path: str, event: Any) -> Any:
    if not _PATH.fullmatch(path):
        raise Invalid(f"'{path}' is no path with dots, such as $.detail.status")
    for key, index in _STEP.findall(path):
        if key and isinstance(event, dict) and key in event:
            event = event[key]
        elif index and isinstance(event, list) and int(index) < len(event):
            event = event[int(index)]
        else:
            return _NOWHERE
    return event
