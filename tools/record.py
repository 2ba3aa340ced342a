"""Records `make rollout` and `make watch` in terminals of a known size, on this machine's AWS, as
pictures.

`make record` renews rollout.svg (a good and a bad version, animated), watch-good.svg and
watch-bad.svg (how they ended). They show what the commands wrote to their terminals; only time is
shortened. Makes up no screen itself.
"""

import re
import threading
from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.style import Style
from rich.text import Text

from local.cloud import ALIAS, FAILING, FUNCTION, HEALTHY, Cloud, running
from local.demo.users import Users
from tools.terminal import COLUMNS, Frame, recorded

DOCS = Path(__file__).parent.parent / "docs"

#: How much faster the picture is than the run was.
SPEED = 8.0
#: The most frames of a run.
FRAMES = 20
#: For how many seconds a run's last frame stands.
HOLD = 5.0
#: The local AWS: how many seconds after its end a minute is published.
DELAY = 5.0
#: Users' calls a second.
RATE = 8.0

RUNS = {
    "good": f"VERSION={HEALTHY} STEPS=5 INTERVAL=20",
    "bad": f"VERSION={FAILING} STEPS=10 INTERVAL=20",
}

#: A terminal's colours by number, to names in STYLE.
_COLOURS = {1: "red", 2: "green", 3: "yellow", 6: "cyan", 237: "track"}

#: Of a letter, and around all of them.
WIDTH = 8.4
HEIGHT = 18
MARGIN = 14

STYLE = """\
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1f2328 }
text, tspan { white-space: pre }
.page { fill: #ffffff; stroke: #8b949e; stroke-opacity: 0.5 }
.b { font-weight: 700 } .d, .track { opacity: 0.55 }
.red { fill: #cf222e } .green { fill: #1a7f37 } .yellow { fill: #9a6700 } .cyan { fill: #0969da }
.track { fill: #8b949e }
@media (prefers-color-scheme: dark) {
  .page { fill: #0d1117 } text { fill: #e6edf3 }
  .red { fill: #ff7b72 } .green { fill: #3fb950 } .yellow { fill: #d29922 } .cyan { fill: #58a6ff }
}
@media (prefers-reduced-motion: reduce) { .reel { animation: none !important } }"""


def thinned(frames: Sequence[Frame]) -> list[Frame]:
    """The frames that differ, at most FRAMES of them, evenly; the first and the last are among
    them."""
    different = [frame for frame, following in pairwise(frames) if frame[1] != following[1]]
    different += frames[-1:]
    if len(different) <= FRAMES:
        return different
    last = len(different) - 1
    return [different[round(number * last / (FRAMES - 1))] for number in range(FRAMES)]


def svg(runs: Sequence[Sequence[Frame]], title: str) -> str:
    """The runs one after the other, for ever; a single frame stands still."""
    frames = [frame for run in runs for frame in run]
    high = max(len(lines) for _, lines in frames) * HEIGHT + 2 * MARGIN
    wide = round(COLUMNS * WIDTH) + 2 * MARGIN
    lines = dict.fromkeys(line for _, screen in frames for line in screen if line.strip())
    rows = {line: f"r{number}" for number, line in enumerate(lines)}
    reel = []
    for number, (_, screen) in enumerate(frames):
        for row, line in enumerate(screen):
            if line in rows:
                y = number * high + MARGIN + (row + 1) * HEIGHT - 5
                reel.append(f'<use href="#{rows[line]}" y="{y}"/>')
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" role="img" aria-labelledby="t">',
            f'<title id="t">{escape(title)}</title>',
            f"<style>\n{STYLE}",
            *_moves(runs, high),
            "</style>",
            f'<rect class="page" x="0.5" y="0.5" width="{wide - 1}" height="{high - 1}" rx="8"/>',
            "<defs>",
            *(f'<g id="{name}">{drawn(line)}</g>' for line, name in rows.items()),
            "</defs>",
            f'<svg width="{wide}" height="{high}">',
            f'<g class="reel" transform="translate(0 {-high * (len(frames) - 1)})">',
            *reel,
            "</g></svg>",
            "</svg>",
            "",
        ]
    )


def _moves(runs: Sequence[Sequence[Frame]], high: int) -> Iterator[str]:
    """The reel's motion, frame by frame; without it, it stands on the last one."""
    starts = []
    now = 0.0
    for run in runs:
        for (at, _), (then, _) in pairwise(run):
            starts.append(now)
            now += (then - at) / SPEED
        starts.append(now)
        now += HOLD
    if len(starts) == 1:
        return
    keys = []
    for number, start in enumerate(starts):
        keys.append(f"{100 * start / now:.2f}% {{ transform: translateY({-high * number}px) }}")
    yield f".reel {{ animation: reel {now:.1f}s step-end infinite }}"
    yield f"@keyframes reel {{ {' '.join(keys)} }}"


def drawn(line: str) -> str:
    """A line's pieces, each in its column: a picture need not know how wide a space is."""
    pieces = []
    column = 0
    console = Console(width=COLUMNS, color_system="256", force_terminal=True)
    for text, style, _ in Text.from_ansi(line).render(console):
        kind = _kind(style or Style())
        for word in re.finditer(r"\S+(?: \S+)*", text):
            x = MARGIN + (column + word.start()) * WIDTH
            length = len(word[0]) * WIDTH
            shown = escape(word[0], quote=False)
            pieces.append(f'<text{kind} x="{x:.1f}" textLength="{length:.1f}">{shown}</text>')
        column += len(text)
    return "".join(pieces)


def _kind(style: Style) -> str:
    kinds = []
    if style.bold:
        kinds.append("b")
    if style.dim:
        kinds.append("d")
    number = style.color.number if style.color else None
    if number is not None and number < 16:
        number %= 8  # a bright colour is that colour
    if number in _COLOURS:
        kinds.append(_COLOURS[number])
    return f' class="{" ".join(kinds)}"' if kinds else ""


def run(cloud: Cloud, which: str) -> tuple[list[Frame], list[Frame]]:
    """`make rollout`, and `make watch` beside it: the frames of both."""
    target = f"FUNCTION={FUNCTION} ALIAS={ALIAS}"
    watched = list[Frame]()

    def watch() -> None:
        watched.extend(recorded(f"make watch {target} WAIT=30", cloud.environment)[0])

    beside = threading.Thread(target=watch)
    beside.start()
    started, _ = recorded(f"make rollout {target} {RUNS[which]}", cloud.environment)
    beside.join()
    return started, watched


def main() -> None:
    with running(DELAY) as cloud:
        cloud.install()
        cloud.publish_checkout()
        reels = []
        with Users(cloud, RATE):
            for which in RUNS:
                print(f"Recording the {which} version …", flush=True)
                started, watched = run(cloud, which)
                reels.append(thinned(started))
                still = svg([watched[-1:]], f"make watch: the {which} version, at its end")
                (DOCS / f"watch-{which}.svg").write_text(still, encoding="utf-8")
    story = "a good version goes live, a bad one is rolled back"
    title = f"make rollout, {SPEED:g} times as fast: {story}"
    (DOCS / "rollout.svg").write_text(svg(reels, title), encoding="utf-8")
    print("Written: docs/rollout.svg, docs/watch-good.svg, docs/watch-bad.svg")


if __name__ == "__main__":
    main()
