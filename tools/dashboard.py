"""Draws the stack's dashboard: from template.yaml and two rollouts in virtual time to
docs/dashboard.svg. It is a drawing, and says so: only CloudWatch can show one.

`python -m tools.dashboard` renews the picture; with `--check` it ends with 1 and the remedy when the
picture is stale.
"""

import contextlib
import io
import json
import logging
import re
import sys
import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from samtranslator.yaml_helper import yaml_parse

from deployer.decisions.errors import DeployError
from deployer.tell import NO_ENDINGS
from world.world import World

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "dashboard.svg"
TEMPLATE = ROOT / "template.yaml"

#: What is chosen in the picture.
CHOSEN = {"FUNCTION_NAME": "checkout", "ALIAS_NAME": "live"}

#: Of the dashboard's grid, in pixels.
COLUMN = 40
ROW = 24
BAR = 46
FOOT = 26

COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c")
NOTE = "Drawn from template.yaml and from two rollouts in virtual time; no photograph."

_REFERENCE = re.compile(r"\$\{([\w:]+)\}")
_METRIC = re.compile(r'MetricName="(\w+)"')

Points = list[tuple[float, float]]
#: By name: what is drawn, from seconds to values.
Series = dict[str, Points]


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
    lines.append(_text(10, height - 9, NOTE, 'fill="#666"'))
    return "\n".join([*lines, "</svg>", ""])


def _widget(widget: dict[str, Any]) -> Iterator[str]:
    left = widget["x"] * COLUMN + 4
    top = widget["y"] * ROW + BAR + 4
    width = widget["width"] * COLUMN - 8
    height = widget["height"] * ROW - 8
    properties = widget["properties"]
    yield _box(left, top, width, height)
    if "title" in properties:
        yield _text(left + 10, top + 20, properties["title"], 'font-weight="bold"')
    inner = (left + 44, top + 32, width - 60, height - 62)
    match widget["type"], properties.get("view"):
        case "metric", "timeSeries":
            yield from _lines(_series(properties), *inner)
        case "metric", "bar":
            yield from _bars(_series(properties), *inner)
        case "log", "table":
            yield from _rows(_table(properties["query"]), left + 10, top + 40)
        case "text", None:
            yield from _rows(_markdown(properties["markdown"]), left + 10, top + 22)
        case kind:
            raise ValueError(f"tools/dashboard.py does not know how to draw a widget of {kind}.")


def _lines(series: Series, left: float, top: float, width: float, height: float) -> Iterator[str]:
    most = max(value for points in series.values() for _, value in points)
    yield _text(left - 34, top + 8, f"{most:g}", 'fill="#666"')
    yield _text(left - 34, top + height, "0", 'fill="#666"')
    yield f'<path d="M{left} {top}v{height}h{width}" fill="none" stroke="#999"/>'
    for place, (name, points) in enumerate(series.items()):
        colour = COLOURS[place % len(COLOURS)]
        at = [
            (left + width * second / played().time, top + height * (1 - value / most))
            for second, value in points
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{colour}"/>' for x, y in at)
        yield _text(left + 110 * place, top + height + 18, name, f'fill="{colour}"')


def _bars(series: Series, left: float, top: float, width: float, height: float) -> Iterator[str]:
    totals = {name: sum(value for _, value in points) for name, points in series.items()}
    most = max(totals.values())
    for place, (name, total) in enumerate(totals.items()):
        tall = height * total / most
        x = left + 130 * place
        colour = COLOURS[place % len(COLOURS)]
        size = f'width="40" height="{tall:.1f}" fill="{colour}"'
        yield f'<rect x="{x}" y="{top + height - tall:.1f}" {size}/>'
        yield _text(x, top + height + 18, f"{name}: {total:g}", f'fill="{colour}"')


def _rows(rows: list[str], left: float, top: float) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield _text(left, top + 17 * number, row, 'fill="#333"')


def _markdown(text: str) -> list[str]:
    lines = text.replace("**", "").splitlines()
    return [line for line in lines if line != "```"]


# -- what there is to show -------------------------------------------------------------------------


class Told(list[dict[str, Any]]):
    """Events, with the second at which each was sent."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def append(self, event: dict[str, Any]) -> None:
        super().append({**event, "second": self._world.time})


@cache
def played() -> World:
    """A bad version, of which its log tells first, and a good one."""
    world = World(errors={"8": 0.2})
    world.log_delay = 5.0
    world.told = Told(world)
    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stdout(io.StringIO()):
        for version in ("8", "9"):
            with contextlib.suppress(DeployError):
                world.deploy(new_version=version, steps=10, interval=60, started_by="release 7")
            world.advance(120)
    logging.disable(logging.NOTSET)
    return world


def _series(properties: dict[str, Any]) -> Series:
    """What the widget's metric had in those rollouts."""
    (metric,) = properties["metrics"]
    found = _METRIC.search(metric[0]["expression"])
    assert found
    return METRICS[found[1]](played())


def _weight(world: World) -> Series:
    shares = {"SUSPENDED": 0.0, "ROLLED_BACK": 0.0, "SUCCEEDED": 1.0}
    points = [
        (event["second"], 100 * shares.get(event["status"], event["weight"]))
        for event in world.told
        if event["status"] in {*shares, "SHIFTED", "RESUMED"}
    ]
    return {"checkout live": points}


def _counted(place: int) -> Callable[[World], Series]:
    """By version and minute, of Lambda's own counts: invocations are the first, errors the
    second."""

    def series(world: World) -> Series:
        found: Series = defaultdict(list)
        for version, minute in sorted(world.counts):
            second = (minute - world.starts).total_seconds()
            found[f"version {version}"].append(
                (max(0.0, second), world.counts[version, minute][place])
            )
        return found

    return series


def _ended(world: World) -> Series:
    endings = Counter(event["status"] for event in _endings(world))
    return {name: [(0.0, float(count))] for name, count in endings.items()}


def _suspended(world: World) -> Series:
    return {
        "checkout live": [
            (event["second"], 1.0) for event in world.told if event["status"] == "SUSPENDED"
        ]
    }


def _seconds(world: World) -> Series:
    return {
        "checkout live": [
            (event["second"], event["seconds"]) for event in world.told if "seconds" in event
        ]
    }


METRICS: dict[str, Callable[[World], Series]] = {
    "Weight": _weight,
    "Invocations": _counted(0),
    "Errors": _counted(1),
    "Ended": _ended,
    "Suspended": _suspended,
    "TimeToRollback": _seconds,
}


def _endings(world: World) -> list[dict[str, Any]]:
    return [event for event in world.told if event["status"] not in NO_ENDINGS]


def _table(query: str) -> list[str]:
    """The fields that are asked for, and the endings, the last one first."""
    named = re.search(r"fields @timestamp, (.*)", query)
    assert named
    fields = [field.strip("` ") for field in named[1].split(",")]
    rows = [" · ".join(fields)]
    for event in reversed(_endings(played())):
        line = " · ".join(str({**event, "message": event["status"]}[field]) for field in fields)
        first, *others = textwrap.wrap(line, 150)
        rows += [first, *(f"    {other}" for other in others)]
    return rows


# -- a picture's parts -----------------------------------------------------------------------------


def _box(left: float, top: float, width: float, height: float) -> str:
    place = f'x="{left}" y="{top}" width="{width}" height="{height}"'
    return f'<rect {place} rx="4" fill="#fff" stroke="#c8ccd2"/>'


def _text(left: float, top: float, text: str, style: str = 'fill="#111"') -> str:
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
