"""What a deployment of CodeDeploy asks for, and the payload of the rollout that answers it.

How to roll out stands in a tag of the function, `rollout`, since it is the function's template
that people have at hand: `type=Linear10PercentEvery1Minute errors=baseline`. Tags allow no JSON, no
commas and no quotes.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deployer.decisions import target
from deployer.decisions.errors import InvalidRollout
from deployer.decisions.payload import nearest, read
from deployer.decisions.target import Target

#: The function's tag.
TAG = "rollout"

#: Those that say how the weight rises: a tag with one of them leaves out all of the default's.
_PROGRESSION = ("type", "steps", "interval", "weights")
_CHECKS = ("errors", "min-invocations", "settle", "hold", "every")

_EXAMPLE = "type=Linear10PercentEvery1Minute errors=baseline"


@dataclass(frozen=True)
class Deployment:
    """Versions are numbers, as text."""

    id: str
    target: Target
    current: str
    new: str

    @classmethod
    def read(cls, info: Mapping[str, Any], here: str) -> "Deployment":
        """From what `GetDeployment` tells; `here` is the ARN of the function that reads it.

        Raises `InvalidRollout`.
        """
        deployment_id = info["deploymentId"]
        try:
            revision = info["revision"]
            kept = revision.get("appSpecContent") or revision["string"]
            (resource,) = json.loads(kept["content"])["Resources"]
            ((_, about),) = resource.items()
            properties = about["Properties"]
            current = str(int(properties["CurrentVersion"]))
            new = str(int(properties["TargetVersion"]))
            names = {"function-name": properties["Name"], "alias-name": properties["Alias"]}
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise InvalidRollout(
                f"The AppSpec of {deployment_id} could not be read ({error!r}): "
                "it must be JSON, with one function, its alias, and its two versions."
            ) from error
        given = read(names, target.KEYS, *target.KEYS)
        return cls(deployment_id, Target.read(given, here), current, new)

    def goes_back(self, on: str) -> bool:
        """Whether it is towards a version no newer than the one that it is `on`: a stack's
        rollback."""
        return on.isdecimal() and int(self.new) <= int(on)

    def payload(self, words: str, default: str, deadline: datetime) -> dict[str, Any]:
        """Of the rollout: a rehearsal, as the tag's `words` say, and else the `default`. Raises
        `InvalidRollout`."""
        asked = _read(words)
        usual = _read(default)
        if asked.keys() & set(_PROGRESSION):
            usual = {key: usual[key] for key in usual if key not in _PROGRESSION}
        asked = usual | asked
        return {
            "function-name": self.target.function,
            "alias-name": self.target.alias,
            "new-version": self.new,
            **{key: asked[key] for key in _PROGRESSION if key in asked},
            "health-check": {key: asked[key] for key in _CHECKS if key in asked},
            "finalize": False,
            "deadline": deadline.isoformat(timespec="seconds"),
            "started-by": f"CodeDeploy {self.id}",
        }


def _read(words: str) -> dict[str, Any]:
    """From `key=value`, with spaces between them."""
    asked: dict[str, Any] = {}
    known = (*_PROGRESSION, *_CHECKS)
    for word in words.split():
        key, _, value = word.partition("=")
        if key not in known:
            remedy = nearest(key, known, f"it may have {', '.join(known)}.")
            raise InvalidRollout(f"'{key}' is no word of the tag '{TAG}': {remedy}")
        if not value or key in asked:
            raise InvalidRollout(
                f"'{word}' in the tag '{TAG}' must be a word with its value, "
                f"and once only: such as {_EXAMPLE}."
            )
        asked[key] = _value(key, value)
    return asked


def _value(key: str, value: str) -> Any:
    """A number where it is one; what it may be is checked with the payload."""
    if key == "weights":
        return [_number(each) for each in value.split("/")]
    if value == "false":
        return False
    return _number(value)


def _number(value: str) -> Any:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(value)
    return value
