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
_COLOURS = {Status.DEPLOYED: "green", Status.NOTHING_RUNS: "yellow", Status.UNKNOWN: "yellow"}
_SIGNS = {Status.DEPLOYED: "✔", Status.NOTHING_RUNS: "·", Status.UNKNOWN: "?"}

_VERDICT_COLOURS = {
    "failed": "bold red",
    "suspected": "yellow",
    "not decided yet": "yellow",
    "could not be made": "yellow",
}


class Terminal(Console):
    """Its reader may go away: rich would end the process with 1, which means rolled back."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class Screen:
    """A context: the cursor comes back when it ends."""

    def __init__(self, console: Console) -> None:
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
        self._live.update(panel(state, now), refresh=True)


def panel(state: State, now: float) -> Panel:
    title = f"{state.function}:{state.alias}  {words.versions(state)}".rstrip()
    suspended = words.suspended(state, now)
    colour = _colour(state, bool(suspended))
    parts: list[RenderableType] = []
    if state.rollout or state.plan:
        parts = [_progress(state, now, colour), *_suspension(state, suspended), Text()]
        parts += [_calls(state), Text(), _look(state)]
    elif not state.end:
        parts = [Text(words.phase(state, now))]
    parts += [Text(line, style="yellow") for line in words.silence(state)]
    if parts:
        parts.append(Text())
    parts += _ending(state, colour)
    rollout = f" rollout {state.rollout} " if state.rollout else None
    return Panel(
        Group(*parts),
        title=Text(title, style="bold"),
        title_align="left",
        subtitle=rollout,
        subtitle_align="right",
        border_style=colour,
        width=_WIDTH,
        padding=(1, 2),
    )


def _colour(state: State, suspended: bool) -> str:
    if state.end:
        return _COLOURS.get(state.end.status, "red")
    return "yellow" if suspended else "cyan"


def _suspension(state: State, suspended: list[str]) -> list[RenderableType]:
    """The one that lasts, or why the last one ended."""
    if suspended:
        return [Text(line, style="yellow") for line in suspended]
    resumed = words.resumed(state)
    return [Text(resumed)] if resumed else []


def _progress(state: State, now: float, colour: str) -> RenderableType:
    line = Table.grid(padding=(0, 2), expand=True)
    line.add_column(ratio=1)
    line.add_column(justify="right", min_width=5)
    weight = state.weight
    if state.suspensions.lasting:
        weight = 0.0
    if state.end and state.end.status is Status.DEPLOYED:
        weight = 1.0
    if state.end and state.end.status is Status.ROLLED_BACK:
        weight = 0.0
    bar = ProgressBar(1.0, weight, complete_style=colour, finished_style=colour)
    line.add_row(bar, Text(words.share(weight), style="bold"))
    told = f"{words.phase(state, now)}   {words.left(state, now)}".strip()
    style = "bold black on yellow" if told.startswith("SUSPENDED") else ""
    return Group(line, Text(told, style=style)) if told else line


def _calls(state: State) -> RenderableType:
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="dim")
    since = f"since {words.clock(state.since // 60 * 60)} UTC" if state.new else ""
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


def _look(state: State) -> RenderableType:
    told = words.verdict(state)
    if told is None:
        return Text("no look yet", style="dim")
    when, what, why = told
    colour = _VERDICT_COLOURS.get(what, "green")
    return Text.assemble((f"look {words.clock(when)}  ", "dim"), (what, colour), f"  {why}")


def _ending(state: State, colour: str) -> list[RenderableType]:
    if not state.end:
        return [Text("Ctrl-C stops watching, not the rollout.", style="dim")]
    end = state.end
    sign = _SIGNS.get(end.status, "✘")
    lines: list[RenderableType] = [Text(f"{sign} {words.ending(state)}", style=f"bold {colour}")]
    because = words.because(state)
    if because:
        lines.append(Text(because))
    lines += [Text(line) for line in (end.where, words.suspended_before(state)) if line]
    lines += [Text(f"Warning: {warning}", style="yellow") for warning in end.warnings]
    return lines
