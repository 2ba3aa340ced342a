"""What is deployed: a function and an alias of it, by name."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from deployer.decisions.errors import InvalidRollout
from deployer.decisions.payload import Keys, text

# API reference of UpdateAlias, "FunctionName" and "Name"; a Region is as in botocore's
# partitions.json.
_PARTITION = r"(?:arn:(?P<partition>aws[a-z-]*):lambda:)?"
_REGION = r"(?:(?P<region>(?:[a-z]{2}|eusc)(?:-[a-zA-Z0-9_]+)+-[0-9]+):)?"
_OWNER = r"(?:(?P<account>[0-9]{12}):)?"
_NAME = r"(?:function:)?(?P<name>[a-zA-Z0-9_-]{1,64})(?::(?P<qualifier>[^:]*))?"
_ALIAS = r"(?![0-9]+\Z)[a-zA-Z0-9_-]{1,128}"

#: The payload's keys that name it.
KEYS: Keys = {
    "function-name": (
        "a function's name or ARN, without a version or an alias",
        text(_PARTITION + _REGION + _OWNER + _NAME),
        '"my-function"',
    ),
    "alias-name": (
        "an alias's name: letters, digits, - and _, not only digits",
        text(_ALIAS),
        '"live"',
    ),
}


class Target(NamedTuple):
    """The names alone, without account and Region: a deployer works in its own."""

    function: str
    alias: str

    @classmethod
    def read(cls, given: Mapping[str, Any], here: str) -> "Target":
        """From what KEYS read; an ARN must be of the account and Region of the ARN `here`.

        Raises `InvalidRollout`.
        """
        name: re.Match[str] = given["function-name"]
        if name["qualifier"] is not None:
            raise InvalidRollout(
                f"'function-name' must be {KEYS['function-name'][0]}: "
                f"leave out ':{name['qualifier'][:60]}'; "
                "an alias goes into 'alias-name', a version into 'new-version'."
            )
        _, partition, _, region, account, *_ = here.split(":")
        for part, mine in (("partition", partition), ("region", region), ("account", account)):
            if name[part] not in (None, mine):
                raise InvalidRollout(
                    f"'function-name' is of the {part} {name[part]}, "
                    f"but this deployer works in {mine}: "
                    "invoke a deployer that is installed there."
                )
        return cls(name["name"], given["alias-name"][0])

    def __str__(self) -> str:
        return f"Alias '{self.alias}' of '{self.function}'"

    def unsplit(self, version: str = "") -> str:
        """The command that puts the alias on that version alone, or on its own one, which takes it
        back."""
        command = f"aws lambda update-alias --function-name {self.function} --name {self.alias}"
        if version:
            command += f" --function-version {version}"
        return f"{command} --routing-config AdditionalVersionWeights={{}}"

    @property
    def resource(self) -> str:
        """The alias as CloudWatch names it."""
        return f"{self.function}:{self.alias}"
