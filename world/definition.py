"""What a definition of a state machine may say here: what `statemachine/deploy.asl.json` is made of.

Whatever else a definition says is refused before it runs, so that no change of it can be passed
over in silence. How it runs is in execution.py.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

#: Whether a value is known.
Check = Callable[[Any], bool]


def _is_path(value: Any) -> bool:
    """`$`, `$.Error`, `$['wait-seconds']`, `$.a.b`."""
    return isinstance(value, str) and re.fullmatch(r"\$(\.\w+|\['[^']+'\])*", value) is not None


def _is_a_place(value: Any) -> bool:
    """Of a result in the state: all of it, or a key of it."""
    return isinstance(value, str) and re.fullmatch(r"\$(\.\w+)?", value) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _are_errors(value: Any) -> bool:
    """Names of errors; of those that stand for many only `States.ALL` is known."""
    known = ("States.ALL", "States.Timeout")
    return all(error in known or not error.startswith("States.") for error in value)


def _are_parameters(value: Any) -> bool:
    for key, each in value.items():
        if not isinstance(each, str):
            return False
        if key.endswith(".$") and each != "$$.Execution.Id" and not _is_path(each):
            return False
    return True


def _is(wanted: str | bool) -> Check:
    return lambda value: type(value) is type(wanted) and value == wanted


def _anything(value: Any) -> bool:
    return True


#: What each field may be.
Known = dict[str, Check]

DEFINITION: Known = {"Comment": _anything, "StartAt": _anything, "States": _anything}
STATES: dict[str, Known] = {
    "Task": {
        "Resource": _is("${DeployWorkflowFunctionArn}"),
        "Parameters": _are_parameters,
        "TimeoutSeconds": _is_number,
        "Retry": _anything,
        "Catch": _anything,
        "Next": _anything,  # either this
        "End": _is(True),  # or that
    },
    "Wait": {"SecondsPath": _is_path, "Next": _anything},
    "Choice": {"Choices": _anything, "Default": _anything},
    "Succeed": {},
    "Fail": {"ErrorPath": _is_path, "CausePath": _is_path},
}
#: Of the items of a state's lists.
ITEMS: dict[str, Known] = {
    "Retry": {
        "ErrorEquals": _are_errors,
        "IntervalSeconds": _is_number,
        "MaxAttempts": _is_number,
        "BackoffRate": _is_number,
        "MaxDelaySeconds": _is_number,
        "JitterStrategy": _is("FULL"),
    },
    "Catch": {"ErrorEquals": _are_errors, "ResultPath": _is_a_place, "Next": _anything},
    "Choices": {
        "Variable": _is_path,
        "IsPresent": lambda value: isinstance(value, bool),
        "StringEquals": lambda value: isinstance(value, str),
        "NumericEquals": _is_number,
        "Next": _anything,
    },
}
MAY_BE_MISSING = {
    *("Comment", "Retry", "Catch", "MaxDelaySeconds"),
    *("IsPresent", "StringEquals", "NumericEquals"),
}
#: What names a state.
TO_STATES = ("StartAt", "Next", "Default")


class Definition(NamedTuple):
    """One that holds nothing but what is known."""

    starts_at: str
    states: dict[str, dict[str, Any]]


def read(definition: dict[str, Any]) -> Definition:
    """Raises ValueError, with the state and the field, for what is not known here."""
    _known("The definition", definition, DEFINITION, definition)
    for name, state in definition["States"].items():
        kind = state.get("Type")
        if kind not in STATES:
            raise ValueError(f"{name}: Type: {kind!r} is not known.")
        known = {"Type": _anything, **STATES[kind]}
        if kind == "Task":
            del known["Next" if "End" in state else "End"]
        _known(name, state, known, definition)
        for field in ITEMS.keys() & state.keys():
            for item in state[field]:
                _known(f"{name}: {field}", item, ITEMS[field], definition)
                if field == "Choices" and len(item) != 3:
                    raise ValueError(f"{name}: Choices: one comparison is known, not {item}.")
    return Definition(definition["StartAt"], definition["States"])


def _known(where: str, part: dict[str, Any], known: Known, definition: dict[str, Any]) -> None:
    must = known.keys() - MAY_BE_MISSING
    for field in part.keys() | must:
        if field not in part:
            raise ValueError(f"{where}: {field} is missing.")
        value = part[field]
        if field not in known or not known[field](value):
            raise ValueError(f"{where}: {field}: {value!r} is not known.")
        if field in TO_STATES and value not in definition["States"]:
            raise ValueError(f"{where}: {field}: there is no state {value!r}.")
