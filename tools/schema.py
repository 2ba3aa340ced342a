"""Writes what the checks say of themselves into events/payload.schema.json: each check's file has
its keys' schema.

`python -m tools.schema` renews the file; with `--check` it ends with 1 and the remedy when the file
is stale.
"""

import json
import sys
from pathlib import Path
from typing import Any

from deployer.decisions.checks import CHECKS
from deployer.decisions.checks.errors import Errors

FILE = Path(__file__).parent.parent / "events" / "payload.schema.json"

#: The keys of `health-check` that no check brings.
OTHERS = ("settle", "every", "logs")


def renewed(schema: dict[str, Any]) -> dict[str, Any]:
    """The payload's schema with the checks as they are."""
    check = schema["$defs"]["health-check"]
    keys = {key: each for kind in CHECKS for key, each in json.loads(kind.SCHEMA).items()}
    keys |= {name: check["properties"][name] for name in OTHERS}
    others = [{"required": [next(iter(kind.KEYS))]} for kind in CHECKS if kind is not Errors]
    renewed = {**check, "properties": keys, "then": {"anyOf": others}}
    return {**schema, "$defs": {**schema["$defs"], "health-check": renewed}}


def main(arguments: list[str], path: Path = FILE) -> None:
    old = path.read_text(encoding="utf-8")
    new = json.dumps(renewed(json.loads(old)), indent=2, ensure_ascii=False) + "\n"
    if not arguments:
        path.write_text(new, encoding="utf-8")
    elif arguments != ["--check"]:
        sys.exit("Usage: python -m tools.schema [--check]")
    elif new != old:
        sys.exit(f"{path.name} does not show the checks as they are: run 'python -m tools.schema'.")


if __name__ == "__main__":
    main(sys.argv[1:])
