"""Shows a dry run's plan and the rollouts of before: by rich in a terminal, as text elsewhere. Their
words are those of `planned` and `history`."""

from collections.abc import Sequence
from typing import TextIO

from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lambda_rollout import history, planned
from lambda_rollout.endings import Status, status_of
from lambda_rollout.past import RUNNING, Past
from lambda_rollout.planned import WARNING, Planned


def list_of(
    rollouts: Sequence[Past], console: Console | None, out: TextIO, more: Sequence[str]
) -> None:
    """Two lines for each rollout; and what else is to be known, a line each."""
    for each in rollouts:
        if console is None:
            print(f"{history.headline(each)}\n    {history.why(each)}", file=out)
            continue
        good = status_of(each.name) is Status.DEPLOYED
        style = "green" if good else "yellow" if each.name == RUNNING else "red"
        console.print(Text(history.headline(each), style=style))
        console.print(Padding(Text(history.why(each)), (0, 0, 0, 4)))
    for line in more:
        print(line, file=out)
    out.flush()


def show(plan: Planned, console: Console | None, out: TextIO) -> None:
    """On the console, where there is a terminal."""
    if console is None:
        print(planned.text(plan), file=out, flush=True)
    else:
        console.print(panel(plan))


def panel(plan: Planned) -> Panel:
    steps = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="dim")
    for heading in plan.headings:
        steps.add_column(heading, justify="right")
    for step in plan.steps:
        steps.add_row(*step)
    facts = Table.grid(padding=(0, 3, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    for name, what in plan.facts:
        style = "yellow" if name == WARNING else ""
        facts.add_row(Text(name), Text(what, style=style))
    return Panel(
        Group(steps, Text(), facts),
        title=Text(plan.title, style="bold"),
        title_align="left",
        border_style="cyan",
        expand=False,
        padding=(1, 2),
    )
