"""docs/bench.svg: users' failed calls of bad releases, and the healthy ones rolled back; readable
in dark and light."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import log10

from bench.cells import CANARY, MAIN, QUICK, SLIGHT, Cell
from bench.checks import PAIRS
from bench.figures import Figure, figures
from bench.policies import TITLES
from bench.tables import COLUMNS
from bench.trials import Outcomes

BAD = (Cell(0, 1), Cell(0, 1, plan=QUICK), MAIN, Cell(0, 0.05, plan=CANARY), SLIGHT, Cell(0.1, 0.2))
HEALTHY = (
    Cell(0, 0),
    Cell(0, 0, plan=QUICK),
    Cell(0.001, 0.001),
    Cell(0.01, 0.01),
    Cell(0.1, 0.1),
    Cell(0.05, 0),
)

#: Colours that show on white and on black, and a mark each, so that colour alone tells nothing.
LOOKS = {
    "any": ("#2f81f7", "circle"),
    "baseline": ("#a371f7", "triangle"),
    "sample": ("#8b949e", "cross"),
    "codedeploy": ("#e0782f", "square"),
    "flagger": ("#2da44e", "diamond"),
    "oracle": ("#bf3989", "bar"),
}

STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.small { font-size: 11px; fill: #59636e }
.page { fill: #ffffff }
.grid { stroke: #8b949e; stroke-opacity: 0.35 }
@media (prefers-color-scheme: dark) { .page { fill: #0d1117 } text { fill: #e6edf3 } .small { fill: #9198a1 } }"""

WIDTH = 880
PANEL = 380
LEFT = 30
TOP = 84
LINE = 10
GAP = 24
RIGHT = LEFT + PANEL + 70
BLOCK = LINE * len(COLUMNS) + GAP
BOTTOM = TOP + BLOCK * len(BAD)

NOTE = "10 calls/s unless said; minutes published 60 s late; lines are 95 % intervals; hollow: ours without the log"

#: From a value to a place on the axis, from 0 to 1.
Scale = Callable[[float], float]


def draw(found: Mapping[Cell, Outcomes]) -> str:
    names = (*COLUMNS, *PAIRS.values())
    failed = {(cell, name): figures(found[cell][name]).failed for cell in BAD for name in names}
    back = {(cell, name): figures(found[cell][name]).back for cell in HEALTHY for name in names}
    most = max(figure.value for figure in failed.values())
    digits = len(str(int(most)))
    decades = [10**power for power in range(digits + 1)]

    def logarithmic(calls: float) -> float:
        return log10(max(calls, 1)) / digits

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {BOTTOM + 48}" role="img" aria-labelledby="t">',
        '<title id="t">Users\' failed calls of bad releases, and healthy releases rolled back, by policy</title>',
        f"<style>\n{STYLE}\n</style>",
        '<rect class="page" width="100%" height="100%" rx="6"/>',
        *_legend(),
        _text(LEFT, 58, "Bad releases: users' failed calls, a release (log scale)"),
        *_panel(LEFT, BAD, failed, logarithmic, {at: f"{at:,}" for at in decades}),
        _text(RIGHT, 58, "Healthy releases: rolled back"),
        *_panel(RIGHT, HEALTHY, back, float, {at / 4: f"{25 * at} %" for at in range(5)}),
        _text(LEFT, BOTTOM + 40, NOTE, "small"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _legend() -> Iterator[str]:
    x = LEFT + 6.0
    for name in COLUMNS:
        title = TITLES[name].replace("`", "")
        yield _mark(name, x, 20)
        yield _text(x + 10, 24, title)
        x += 44 + 6.8 * len(title)


def _panel(
    left: float,
    cells: Iterable[Cell],
    told: Mapping[tuple[Cell, str], Figure],
    scale: Scale,
    axis: Mapping[float, str],
) -> Iterator[str]:
    for value, label in axis.items():
        x = left + PANEL * scale(value)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 18}" y2="{BOTTOM}"/>'
        yield _text(x, BOTTOM + 16, label, "small", "middle")
    for block, cell in enumerate(cells):
        top = TOP + block * BLOCK
        yield _text(left, top - 4, _label(cell))
        for row, name in enumerate(COLUMNS):
            figure = told[cell, name]
            value = left + PANEL * scale(figure.value)
            low = left + PANEL * scale(figure.low)
            high = left + PANEL * scale(figure.high)
            y = top + 6 + row * LINE
            colour = LOOKS[name][0]
            yield f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
            if name in PAIRS:
                without = left + PANEL * scale(told[cell, PAIRS[name]].value)
                yield _mark(name, without, y, hollow=True)
            yield _mark(name, value, y)


def _label(cell: Cell) -> str:
    rate = "" if cell.rate == 10 else f", {cell.rate:g} calls/s"
    return f"{cell.errors}{rate}, {cell.plan.name}"


def _mark(name: str, x: float, y: float, hollow: bool = False) -> str:
    colour, kind = LOOKS[name]
    fill = f'fill="{colour}"'
    if hollow:
        fill = f'fill="none" stroke="{colour}" stroke-width="1.5"'
    if kind == "square":
        return f'<rect x="{x - 3.5:.1f}" y="{y - 3.5}" width="7" height="7" {fill}/>'
    if kind == "triangle":
        return f'<path d="M{x - 4.5:.1f} {y + 4}h9l-4.5 -8.5z" {fill}/>'
    if kind == "cross":
        return f'<path d="M{x - 4:.1f} {y - 4}l8 8m0 -8l-8 8" fill="none" stroke="{colour}" stroke-width="2.5"/>'
    if kind == "diamond":
        return f'<path d="M{x - 5:.1f} {y}l5 -5 5 5 -5 5z" {fill}/>'
    if kind == "bar":
        return f'<path d="M{x:.1f} {y - 5}v10" stroke="{colour}" stroke-width="3"/>'
    return f'<circle cx="{x:.1f}" cy="{y}" r="4" {fill}/>'


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y}" text-anchor="{anchor}">{words}</text>'
