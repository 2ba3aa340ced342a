"""What the bench writes into docs/bench.md, between the markers, and docs/bench.csv with every
figure."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from bench.cells import BAD, HEALTHY, HEAVY, LOGS, NOISES, OUTAGES, Cell
from bench.checks import PAIRS, goals, percent
from bench.figures import Figure, Figures, figures
from bench.policies import POLICIES, TITLES
from bench.trials import Outcomes

BEGIN = "<!-- written by python -m bench -->"
END = "<!-- end -->"
_BETWEEN = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)

#: The policies that have a column.
COLUMNS = [name for name in POLICIES if name not in ("codedeploy-at-once", *PAIRS.values())]

#: Those of the tables about the log.
LOG_COLUMNS = ["any", "any-without-log", "baseline", "baseline-without-log", "codedeploy", "oracle"]

_HEADER = ["errors", "calls/s", "late by", "rollout"]


def renewed(page: str, found: Mapping[Cell, Outcomes], seed: int) -> str:
    """The page with what was found."""
    new, count = _BETWEEN.subn(lambda _: f"{BEGIN}\n{section(found, seed)}\n{END}", page)
    if count != 1:
        raise ValueError(f"The page needs one place for the figures, between {BEGIN} and {END}.")
    return new


def section(found: Mapping[Cell, Outcomes], seed: int) -> str:
    trials = len(found[HEALTHY[0]]["any"])
    fewer = len(found[HEAVY[0]]["any"])
    return "\n".join(
        [
            f"{trials} trials a cell, seed {seed}; {fewer} where so many calls of both versions fail that "
            "a trial takes long (their intervals are wider). In brackets, and after ±: 95 % intervals.",
            "\n### Healthy releases: the share rolled back\n",
            *table(HEALTHY, found, lambda told: percent(told.back)),
            "\n### Bad releases: users' failed calls, and when the alias was back\n",
            *table(BAD, found, _bad),
            "\n### The log: bad releases, by what can be read of them\n",
            *log_table(LOGS, found, _bad),
            "\n### The log: healthy releases that look bad in it, the share rolled back\n",
            *log_table((*NOISES, *OUTAGES), found, _finalized),
            "\n### The goals\n",
            *(f"- {goal}" for goal in goals(found)),
        ]
    )


def table(
    cells: Iterable[Cell], found: Mapping[Cell, Outcomes], tell: Callable[[Figures], str]
) -> Iterator[str]:
    header = [*_HEADER, *(TITLES[name] for name in COLUMNS)]
    yield _row(header)
    yield _row("---" for _ in header)
    for cell in cells:
        yield _row([*_world(cell), *(tell(figures(found[cell][name])) for name in COLUMNS)])


def log_table(
    cells: Iterable[Cell], found: Mapping[Cell, Outcomes], tell: Callable[[Figures], str]
) -> Iterator[str]:
    """The same with what the log is like, and with ours without it."""
    header = [*_HEADER, "log", *(TITLES[name] for name in LOG_COLUMNS)]
    yield _row(header)
    yield _row("---" for _ in header)
    for cell in cells:
        log = cell.log.name
        if cell.outage:
            log += f", outage at weight {cell.outage:g}"
        told = (tell(figures(found[cell][name])) for name in LOG_COLUMNS)
        yield _row([*_world(cell), log, *told])


def _world(cell: Cell) -> list[str]:
    return [cell.errors, f"{cell.rate:,g}", f"{cell.delay:g} s", cell.plan.name]


def _row(entries: Iterable[str]) -> str:
    return f"| {' | '.join(entries)} |"


def _bad(told: Figures) -> str:
    """Failed calls; below them when the alias was back, or how many got through."""
    entry = f"{amount(told.failed)}<br>"
    if told.through.value:
        entry += f"**through: {percent(told.through)}**"
    elif told.seconds:
        entry += f"{amount(told.seconds)} s"
    return entry


def _finalized(told: Figures) -> str:
    """The share rolled back; below it when the others were promoted."""
    entry = percent(told.back)
    if told.finalized:
        entry += f"<br>promoted after {amount(told.finalized)} s"
    return entry


def amount(figure: Figure) -> str:
    """A mean and half its interval, as precise as the interval is narrow."""
    half = (figure.high - figure.low) / 2
    if half >= 2 or half < 0.005:
        decimals = 0
    elif half >= 0.1:
        decimals = 1
    else:
        decimals = 2
    return f"{figure.value:,.{decimals}f} ± {half:,.{decimals}f}"


def everything(found: Mapping[Cell, Outcomes]) -> str:
    """Every figure of every policy in every cell, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heading = ["original", "new", "rate", "delay", "rollout", "log", "outage", "policy", "trials"]
    for estimate in ("rolled-back", "failed-calls", "seconds", "finalized"):
        heading += [estimate, f"{estimate}-low", f"{estimate}-high"]
    writer.writerow(heading)
    for cell, outcomes in found.items():
        world = [cell.original, cell.new, cell.rate, cell.delay, cell.plan.name]
        world += [cell.log.name, cell.outage or ""]
        for name, of_policy in outcomes.items():
            told = figures(of_policy)
            estimates = (told.back, told.failed, told.seconds, told.finalized)
            exact = [entry for estimate in estimates for entry in _exact(estimate)]
            writer.writerow([*world, name, told.trials, *exact])
    return text.getvalue()


def _exact(figure: Figure | None) -> list[str]:
    """The estimate and its interval's ends; empty where there is none."""
    if figure is None:
        return ["", "", ""]
    return [f"{each:.6g}" for each in figure]
