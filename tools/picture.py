"""Draws the state machine: from statemachine/deploy.asl.json to the Mermaid diagram in
docs/state-machine.md.

`python tools/picture.py` renews the page; with `--check` it ends with 1 and the remedy when the
page is stale.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "state-machine.md"
DEFINITION = ROOT / "statemachine" / "deploy.asl.json"

BEGIN = "<!-- drawn by tools/picture.py -->"
END = "<!-- end -->"
_BETWEEN = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)

_KINDS = ("Task", "Wait", "Choice", "Pass", "Succeed", "Fail")
_SIGNS = {
    "Equals": "=",
    "LessThan": "<",
    "GreaterThan": ">",
    "LessThanEquals": "≤",
    "GreaterThanEquals": "≥",
}
_COMPARISON = re.compile(rf"(?:String|Numeric)({'|'.join(_SIGNS)})")


def draw(definition: dict[str, Any]) -> str:
    """The diagram of a state machine. Raises `ValueError` for what it does not know how to draw."""
    lines = ["stateDiagram-v2", f"    [*] --> {definition['StartAt']}"]
    for name, state in definition["States"].items():
        for source, target, when in transitions(name, state):
            told = f": {when}" if when else ""
            lines.append(f"    {source} --> {target}{told}")
    return "\n".join(lines)


def transitions(name: str, state: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Every way out of a state: from, to, and when; `[*]` is the execution's end."""
    if state["Type"] not in _KINDS:
        kind = f"a {state['Type']} state"
        raise ValueError(f"{name} is {kind}, which tools/picture.py does not know how to draw.")
    for choice in state.get("Choices", []):
        yield name, choice["Next"], condition(choice)
    if "Default" in state:
        yield name, state["Default"], "otherwise"
    if "Next" in state:
        yield name, state["Next"], ""
    for catcher in state.get("Catch", []):
        errors = " or ".join(catcher["ErrorEquals"])
        yield name, catcher["Next"], "any error" if errors == "States.ALL" else errors
    if state.get("End") or state["Type"] in ("Succeed", "Fail"):
        yield name, "[*]", "failed" if state["Type"] == "Fail" else "succeeded"


def condition(choice: dict[str, Any]) -> str:
    """A choice in words, such as `status = PENDING`."""
    comparisons = [key for key in choice if key not in ("Variable", "Next", "Comment")]
    operator, *others = comparisons
    value = choice[operator]
    variable = re.sub(r"^\$|\.|\['|'\]", " ", choice.get("Variable", "")).strip()
    if operator == "IsPresent" and value is True and not others:
        return f"there is {variable}"
    comparison = _COMPARISON.fullmatch(operator)
    if others or comparison is None:
        raise ValueError(f"tools/picture.py does not know how to put {operator} into words.")
    return f"{variable} {_SIGNS[comparison[1]]} {value}"


def renewed(page: str, definition: dict[str, Any]) -> str:
    """The page with the diagram of that definition."""
    drawn = f"{BEGIN}\n```mermaid\n{draw(definition)}\n```\n{END}"
    new, count = _BETWEEN.subn(lambda _: drawn, page)
    if count != 1:
        raise ValueError(f"The page needs one place for the diagram, between {BEGIN} and {END}.")
    return new


def main(arguments: list[str], path: Path = PAGE) -> None:
    page = path.read_text(encoding="utf-8")
    new = renewed(page, json.loads(DEFINITION.read_text(encoding="utf-8")))
    if not arguments:
        path.write_text(new, encoding="utf-8")
    elif arguments != ["--check"]:
        sys.exit("Usage: python tools/picture.py [--check]")
    elif new != page:
        stale = f"{path.name} does not show {DEFINITION.name} as it is"
        sys.exit(f"{stale}: run 'python tools/picture.py'.")


if __name__ == "__main__":
    main(sys.argv[1:])
