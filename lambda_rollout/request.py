"""PURE. What was typed becomes the payload, and is checked as the deployer will check it: a typo is
never sent."""

import json
from collections.abc import Mapping
from typing import Any

from deployer.decisions.errors import InvalidRollout
from deployer.decisions.payload import read
from deployer.decisions.rollout import KEYS, Rollout
from deployer.decisions.target import KEYS as TARGET_KEYS
from deployer.decisions.target import Target

#: By option: the payload's key. Those in _TEXTS are taken as they are, the others as JSON.
OPTIONS = {
    "function": "function-name",
    "alias": "alias-name",
    "version": "new-version",
    "steps": "steps",
    "interval": "interval",
    "type": "type",
    "weights": "weights",
    "health": "health-check",
}
_TEXTS = ("function", "alias", "version", "type")


def payload(typed: Mapping[str, str | None], file: str | None = None) -> Any:
    """The payload from the options and from a file's text, where there is one; the options come
    first.

    Raises `InvalidRollout` where the file holds no JSON.
    """
    try:
        given = {} if file is None else json.loads(file)
    except (ValueError, RecursionError) as error:
        told = f"The payload is not JSON ({error}): copy one of events/ and change it."
        raise InvalidRollout(told) from error
    if not isinstance(given, Mapping):
        return given  # `check` says what is wrong with it
    options = {}
    for name, key in OPTIONS.items():
        text = typed.get(name)
        if text is not None:
            options[key] = _value(name, text)
    return {**given, **options}


def check(event: Any, region: str) -> Rollout:
    """Raises `InvalidRollout`, which names the key and the remedy."""
    rollout = Rollout.from_event(event, here(event, region))
    rollout.must_fit_a_year()
    return rollout


def target(function: str | None, alias: str | None, region: str) -> Target:
    """Raises `InvalidRollout`, which names the key and the remedy."""
    event = {"function-name": function, "alias-name": alias}
    return Target.read(read(event, TARGET_KEYS, *TARGET_KEYS), here(event, region))


def here(event: Any, region: str) -> str:
    """An ARN such as the deployer's: of this Region; the account that a function's ARN names is
    taken on trust."""
    name = event.get("function-name") if isinstance(event, Mapping) else None
    found = KEYS["function-name"][1](name)
    partition = (found and found["partition"]) or "aws"
    account = (found and found["account"]) or "0" * 12
    return f"arn:{partition}:lambda:{region}:{account}:function:SimpleDeployFunction"


def _value(name: str, text: str) -> Any:
    """JSON where it is JSON; otherwise the text itself, which the check refuses with the key and
    the remedy."""
    if name in _TEXTS:
        return text
    if name == "weights" and not text.lstrip().startswith("["):
        text = f"[{text}]"
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
