"""In a terminal: one panel that is drawn anew at every look, by rich. Its words are those of
`words`."""

import errno
import os
from contextlib import suppress
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deployer.decisions.evidence import Counts
from lambda_rollout import words
from lambda_rollout.endings import Status
from lambda_rollout.state import State

_WIDTH = 100
#: Columns that stay free beside it.
_BESIDE = 4
#: Columns of the border that its title cannot have.
_AROUND = 6
_COLOURS = {Status.DEPLOYED: "green", Status.NOTHING_RUNS: "yellow", Status.UNKNOWN: "yellow"}
_SIGNS = {Status.DEPLOYED: "✔", Status.NOTHING_RUNS: "·", Status.UNKNOWN: "?"}

_VERDICT_COLOURS = {
    "failed": "bold red",
    "suspected": "yellow",
    "not decided yet": "yellow",
    "could not be made": "yellow",
    words.NOT_JUDGED: "yellow",
}


class Terminal(Console):
    """Its reader may go away: rich would end the process with 1, which means rolled back."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class Screen:
    """A context: the cursor comes back when it ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> "Screen":
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # what could not be written has been noticed before
            self._live.stop()

    def show(self, state: State, now: float) -> None:
        self._live.update(self._fitting(state, now), refresh=True)

    def _fitting(self, state: State, now: float) -> Panel:
        """Closer, where the terminal is too low for it."""
        # The terminal writes ^C behind the last line: it must have room there.
        width = min(_WIDTH, self._console.width - _BESIDE)
        for close in (0, 1, 2):
            shown = panel(state, now, width, close)
            if len(self._console.render_lines(shown)) < self._console.height:
                break
        return shown


def panel(state: State, now: float, width: int = _WIDTH, close: int = 0) -> Panel:
    """`close` leaves the blank lines out: 1 the first and the last one, 2 all."""
    title = f"{state.function}:{state.alias}  {words.versions(state)}".rstrip()
    colour = _colour(state, now)
    parts: list[list[RenderableType]] = []
    if len(title) > width - _AROUND:  # a border would cut it off
        parts.append([Text(title, style="bold")])
        title = ""
    if state.rollout or state.plan:
        parts.append([_progress(state, now, colour), *_suspension(state, now)])
        unheard = words.unheard(state, now)
        parts.append([Text(unheard, style="yellow")] if unheard else [])
        parts.append(_silence(state, now))
        parts.append([_calls(state)])
        parts.append(_look(state, now))
    elif not state.end:
        waiting = (words.phase(state, now), words.last(state, now))
        parts.append([Text(line) for line in waiting if line])
    unreachable = [f"{line}." for line in words.unreachable(state, now).values()]
    untold = [*unreachable, *words.untold(state)]
    parts.append([Text(line, style="yellow") for line in untold])
    parts.append(_ending(state, colour))
    lines: list[RenderableType] = []
    for part in filter(None, parts):
        if lines and close < 2:
            lines.append(Text())
        lines += part
    rollout = f" rollout {state.rollout} " if state.rollout else None
    return Panel(
        Group(*lines),
        title=Text(title, style="bold") if title else None,
        title_align="left",
        subtitle=rollout,
        subtitle_align="right",
        border_style=colour,
        width=width,
        padding=(0 if close else 1, 2),
    )


def _colour(state: State, now: float) -> str:
    if state.end:
        known = _COLOURS.get(state.end.status, "red")
        return "yellow" if state.stopped_by_hand else known
    if state.silent(now) or state.orphaned(now):
        return "red"
    if words.suspended(state, now) or words.unreachable(state, now):
        return "yellow"
    return "cyan"


def _suspension(state: State, now: float) -> list[RenderableType]:
    """The one that lasts, or why the last one ended."""
    suspended = words.suspended(state, now)
    if suspended:
        return [Text(line, style="yellow") for line in suspended]
    resumed = words.resumed(state)
    return [Text(resumed)] if resumed else []


def _silence(state: State, now: float) -> list[RenderableType]:
    """What is known where the deployer is not heard, and what can be done."""
    silence = words.silence(state, now)
    if not silence:
        return []
    return [*(Text(line, style="red") for line in silence), *_command(state)]


def _command(state: State) -> list[RenderableType]:
    """In two lines, as a shell takes them: it is longer than the screen is wide."""
    command = words.stop(state).replace(" --routing", " \\\n    --routing")
    return [Text(words.take_back(state)), Text(command, style="bold")]


def _progress(state: State, now: float, colour: str) -> RenderableType:
    line = Table.grid(padding=(0, 2), expand=True)
    line.add_column(ratio=1)
    line.add_column(justify="right", min_width=5)
    bar = ProgressBar(1.0, state.share, complete_style=colour, finished_style=colour)
    line.add_row(bar, Text(words.share(state.share), style="bold"))
    who = words.started_by(state)
    told = ", ".join(filter(None, (words.phase(state, now), words.left(state, now))))
    lines: list[RenderableType] = [line]
    if told:
        lines.append(Text(told, style=_style(told, state, now)))
    if who:
        lines.append(Text(who, style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*lines)


def _style(told: str, state: State, now: float) -> str:
    if told.startswith("SUSPENDED"):
        return "bold black on yellow"
    if state.silent(now):
        return "bold white on red"
    return "bold red" if state.orphaned(now) else ""


def _calls(state: State) -> RenderableType:
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="dim")
    since = f"since {words.clock(state.since // 60 * 60)} UTC" if state.counts else ""
    for heading in (since, "invocations", "errors", "error rate"):
        table.add_column(heading, justify="left" if heading == since else "right", min_width=11)
    old, new = state.counts or (None, None)
    for version, kind, counts in ((state.original, "original", old), (state.new, "new", new)):
        name = f"version {version}, {kind}" if version else kind
        table.add_row(*_row(name, counts, judged=kind == "new"))
    return table


def _row(name: str, counts: Counts | None, judged: bool) -> list[Text]:
    if not counts or counts == Counts():
        nothing = Text("–", style="dim")  # none is published: that is not nought
        return [Text(name), nothing, nothing, nothing]
    bad = "bold red" if judged and counts.errors else ""
    return [
        Text(name),
        Text(f"{counts.invocations:,}"),
        Text(f"{counts.errors:,}", style=bad),
        Text(words.rate(counts) or "–", style=bad),
    ]


def _look(state: State, now: float) -> list[RenderableType]:
    told = words.verdict(state)
    if told is None:
        unknown = state.end or state.deaf
        return [] if unknown else [Text("no look yet", style="dim")]
    when, what, why = told
    colour = _VERDICT_COLOURS.get(what, "green")
    if words.NOTHING_KNOWN in what:
        colour = "yellow"
    last = "last look" if state.end or state.silent(now) else "look"
    return [Text.assemble((f"{last} {words.clock(when)}  ", "dim"), (what, colour), f"  {why}")]


def _ending(state: State, colour: str) -> list[RenderableType]:
    if not state.end:
        return [Text("Ctrl-C stops watching, not the rollout.", style="dim")]
    end = state.end
    sign = "■" if state.stopped_by_hand else _SIGNS.get(end.status, "✘")
    lines: list[RenderableType] = [Text(f"{sign} {words.ending(state)}", style=f"bold {colour}")]
    told = (words.because(state), words.last(state, end.at), words.where(state))
    lines += [Text(line) for line in told if line]
    if words.to_do(state):
        lines += _command(state)
    if words.suspended_before(state):
        lines.append(Text(words.suspended_before(state)))
    lines += [Text(f"Warning: {warning}", style="yellow") for warning in end.warnings]
    return lines
