"""PURE. What was typed becomes the payload, and is checked as the deployer will check it: a typo is
never sent."""

import json
from collections.abc import Mapping
from typing import Any

from deployer.decisions.errors import InvalidRollout
from deployer.decisions.payload import read, shown
from deployer.decisions.rollout import KEYS, Rollout
from deployer.decisions.target import KEYS as TARGET_KEYS
from deployer.decisions.target import Target
from deployer.decisions.weights import BY_STEPS, FIXED
from lambda_rollout import called

#: By option: the payload's key. Those in _TEXTS are taken as they are, those in _WRITTEN are JSON.
OPTIONS = {
    "function": "function-name",
    "alias": "alias-name",
    "version": "new-version",
    "steps": "steps",
    "interval": "interval",
    "type": "type",
    "weights": "weights",
    "health": "health-check",
    "dry_run": "dry-run",
    "started_by": "started-by",
}
_TEXTS = ("function", "alias", "version", "type", "started_by")

#: How each is written to make, and as an option.
_WRITTEN = {
    "steps": ("STEPS=10", "--steps 10"),
    "interval": ("INTERVAL=60", "--interval 60"),
    "weights": ("WEIGHTS=0.05,0.25,1", "--weights 0.05,0.25,1"),
    "health": ("""HEALTH='{"errors": "any"}'""", """--health '{"errors": "any"}'"""),
    "dry_run": ("DRY_RUN=1", "--dry-run"),
}

#: What a dry run is switched on and off with.
_FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}

#: An example of each option that may be missing.
_EXAMPLES = {
    "function": "checkout",
    "alias": "live",
    "version": "8",
    "steps": "10",
    "interval": "60",
}


def contents(file: str) -> Any:
    """What a payload's file holds. Raises `InvalidRollout` where that is no JSON."""
    try:
        return json.loads(file)
    except (ValueError, RecursionError) as error:
        told = f"The payload is not JSON ({error}): copy one of events/ and change it."
        raise InvalidRollout(told) from error


def missing(typed: Mapping[str, str | None], given: Any) -> list[str]:
    """The options without which there is no rollout, and which neither they nor the file give."""
    if not isinstance(given, Mapping):
        return []
    kind = typed.get("type") or given.get("type", "linear")
    weights = typed.get("weights") or "weights" in given
    needed = ["function", "alias", "version"]
    if not weights and kind in list(BY_STEPS):
        needed.append("steps")
    # A CodeDeploy name brings its own interval.
    if weights or kind in [*BY_STEPS, *FIXED]:
        needed.append("interval")
    return [name for name in needed if not typed.get(name) and OPTIONS[name] not in given]


def which(absent: list[str]) -> str:
    """All that is missing, in one sentence, to be added to what was typed."""
    names = f"{', '.join(absent[:-1])} and {absent[-1]}".removeprefix(" and ")
    to_make = " ".join(f"{name.upper()}={_EXAMPLES[name]}" for name in absent)
    options = " ".join(f"--{name} {_EXAMPLES[name]}" for name in absent)
    if called.installed():
        return f"Which {names}? Add {options}."
    return f"Which {names}? Add {to_make}, or {options}."


def payload(typed: Mapping[str, str | None], given: Any) -> Any:
    """The payload from the options and from what a file holds; the options come first.

    Raises `InvalidRollout` for an option that is not JSON.
    """
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
    """What the payload has of it. Raises `InvalidRollout`, with the key and the remedy, for what is
    not JSON."""
    if name in _TEXTS:
        return text
    if name == "dry_run" and text.lower() in _FLAGS:
        return _FLAGS[text.lower()]
    try:
        return as_json(OPTIONS[name], text)
    except (ValueError, RecursionError) as error:
        rule = KEYS[OPTIONS[name]][0]
        no_json = ", which is not JSON" if name == "health" else ""
        told = f"'{OPTIONS[name]}' must be {rule}, but it is {shown(text)}{no_json}"
        example = called.typed(*_WRITTEN[name])
        if "baseline" in text:  # what was meant, and not its opposite
            example = example.replace("any", "baseline")
        raise InvalidRollout(f"{told}: write it as in {example}.") from error


def as_json(key: str, text: str) -> Any:
    """The value of one of the payload's keys, as it is typed. Raises `ValueError`,
    `RecursionError`."""
    if key == "weights" and not text.lstrip().startswith("["):
        text = f"[{text}]"
    return json.loads(text)
