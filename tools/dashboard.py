"""Draws the stack's dashboard: from template.yaml to docs/dashboard.svg, where each widget stands
and what it asks for. It is a drawing, and says so: only CloudWatch can show one.

`python -m tools.dashboard` renews the picture; with `--check` it ends with 1 and the remedy when the
picture is stale.
"""

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "dashboard.svg"
TEMPLATE = ROOT / "template.yaml"

#: What is chosen in the picture.
CHOSEN = {"FUNCTION_NAME": "checkout", "ALIAS_NAME": "live"}

#: Of the dashboard's grid, in pixels.
COLUMN = 40
ROW = 22
BAR = 46
FOOT = 26

_REFERENCE = re.compile(r"\$\{([\w:]+)\}")


def body() -> dict[str, Any]:
    """The dashboard's body, with the names of what it refers to in place of the references."""
    template = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    text = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    found: dict[str, Any] = json.loads(_REFERENCE.sub(r"\1", text))
    return found


def chosen(dashboard: dict[str, Any], values: dict[str, str]) -> dict[str, Any]:
    """As CloudWatch shows it where these values are chosen, by pattern."""
    text = json.dumps(dashboard["widgets"])
    for variable in dashboard["variables"]:
        text = re.sub(variable["pattern"], values[variable["pattern"]], text)
    return {**dashboard, "widgets": json.loads(text)}


def draw(dashboard: dict[str, Any]) -> str:
    """The picture. Raises `ValueError` for a widget that it does not know how to draw."""
    shown = chosen(dashboard, CHOSEN)
    width = 24 * COLUMN
    height = max(each["y"] + each["height"] for each in shown["widgets"]) * ROW + BAR + FOOT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-size="12" '
        'font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#f4f5f7"/>',
    ]
    for place, variable in enumerate(shown["variables"]):
        label = f"{variable['label']}: {CHOSEN[variable['pattern']]} ▾"
        lines.append(_box(8 + 170 * place, 10, 160, 26))
        lines.append(_text(18 + 170 * place, 27, label))
    for widget in shown["widgets"]:
        lines += _widget(widget)
    foot = "Drawn from template.yaml, not photographed: where each widget stands and what it shows."
    lines.append(_text(10, height - 9, foot, 'fill="#666"'))
    return "\n".join([*lines, "</svg>", ""])


def _widget(widget: dict[str, Any]) -> list[str]:
    left = widget["x"] * COLUMN + 4
    top = widget["y"] * ROW + BAR + 4
    width = widget["width"] * COLUMN - 8
    height = widget["height"] * ROW - 8
    title, *told = _told(widget)
    lines = [
        _box(left, top, width, height),
        _text(left + 10, top + 20, title, 'font-weight="bold"'),
    ]
    for number, line in enumerate(told):
        lines.append(_text(left + 10, top + 40 + 17 * number, line, 'fill="#444"'))
    return lines


def _told(widget: dict[str, Any]) -> list[str]:
    """The widget's title, and what it shows, line by line."""
    properties = widget["properties"]
    wide = widget["width"] * 6
    match widget["type"]:
        case "metric":
            (metric,) = properties["metrics"]
            kind = {"timeSeries": "Lines over time:", "bar": "Bars:"}[properties["view"]]
            return [properties["title"], kind, *textwrap.wrap(metric[0]["expression"], wide)]
        case "log":
            query = properties["query"].split(" | ")[-1].splitlines()
            told = [line for each in query for line in textwrap.wrap(each, wide)]
            return [properties["title"], "A table, of the three log groups:", *told]
        case "text":
            lines = properties["markdown"].replace("**", "").splitlines()
            return [line for line in lines if line != "```"]
        case kind:
            raise ValueError(f"tools/dashboard.py does not know how to draw a widget of {kind}.")


def _box(left: int, top: int, width: int, height: int) -> str:
    place = f'x="{left}" y="{top}" width="{width}" height="{height}"'
    return f'<rect {place} rx="4" fill="#fff" stroke="#c8ccd2"/>'


def _text(left: int, top: int, text: str, style: str = 'fill="#111"') -> str:
    return f'<text x="{left}" y="{top}" {style}>{escape(text)}</text>'


def main(arguments: list[str], path: Path = PICTURE) -> None:
    new = draw(body())
    if not arguments:
        path.write_text(new, encoding="utf-8")
    elif arguments != ["--check"]:
        sys.exit("Usage: python -m tools.dashboard [--check]")
    elif not path.exists() or new != path.read_text(encoding="utf-8"):
        sys.exit(
            f"{path.name} does not show the dashboard as it is: run 'python -m tools.dashboard'."
        )


if __name__ == "__main__":
    main(sys.argv[1:])
