"""Shows a dry run's plan: a table in a terminal, by rich; aligned text elsewhere. Its words are
those of `planned`."""

from typing import TextIO

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lambda_rollout import planned
from lambda_rollout.planned import WARNING, Planned


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
