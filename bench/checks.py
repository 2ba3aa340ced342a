"""What the bench answers in words: measured, and held against goals; nothing fails when a goal is
missed."""

from collections.abc import Iterable, Iterator, Mapping

from bench.cells import HEALTHY, MAIN, NOISES, OUTAGES, QUICK, SLIGHT, USELESS, Cell
from bench.figures import Figure, figures, later, ratio, share
from bench.policies import TITLES
from bench.trials import Outcome, Outcomes

ALL_FAIL = Cell(0, 1)
BOTH_FAIL = Cell(0.01, 0.05)
ALL_FAIL_AT_ONCE = Cell(0, 1, plan=QUICK)

#: Whose failed calls are held against whose, where, and how many times as many they may be.
RATIOS = (
    (MAIN, "any", "codedeploy", 0.3),
    (MAIN, "any", "oracle", 1.0),
    (MAIN, "any", "any-without-log", None),
    (ALL_FAIL, "any", "codedeploy", 0.12),
    (MAIN, "baseline", "baseline-without-log", 0.6),
    (BOTH_FAIL, "baseline", "baseline-without-log", 1.0),
    (SLIGHT, "baseline", "baseline-without-log", 1.0),
    (MAIN, "any-without-log", "oracle", 1.2),
    (MAIN, "any-without-log", "codedeploy", 1.0),
    (MAIN, "any-without-log", "codedeploy-at-once", None),
    (MAIN, "baseline-without-log", "oracle", 1.6),
)

#: Each of ours, and the same without the log.
PAIRS = {"any": "any-without-log", "baseline": "baseline-without-log"}

#: How far from 1 a ratio may be that is to be 1.
ABOUT = 0.05

#: Failed calls of a release that fails every call, where it has full weight after 40 s.
MOST_AT_ONCE = 60.0

#: Seconds by which a false alarm may make a healthy release later.
MOST_LATER = 300.0

#: The share of healthy releases that `baseline` may roll back.
MOST_BACK = 0.01


def goals(found: Mapping[Cell, Outcomes]) -> Iterator[str]:
    """A sentence for each goal."""
    backs = _backs(found[MAIN], "any", "baseline", "sample")
    goal = _goal("by the sample none", not backs["sample"].value)
    yield f"{MAIN.name}: rolled back by {_told(backs)}{goal}."
    for cell, name, other, most in RATIOS:
        yield _compared(found, cell, name, other, most)
    yield _at_once(found[ALL_FAIL_AT_ONCE])
    for cell in USELESS:
        yield _as_without(found, cell)
    for cell in NOISES:
        yield _noise(found, cell)
    for cell in OUTAGES:
        yield _outage(found, cell)
    equal = [cell for cell in HEALTHY if cell.original == cell.new == 0.01]
    yield _healthy(found, equal, f"1 → 1 %, all {len(equal)} cells")
    yield _healthy(found, HEALTHY, f"healthy, all {len(HEALTHY)} cells")
    backs = _backs(found[SLIGHT], "baseline", "baseline-without-log")
    goal = _goal("at least 95 %", backs["baseline"].value >= 0.95)
    yield f"{SLIGHT.name}: {_told(backs)} found before the end{goal}."


def healthy(found: Mapping[Cell, Outcomes]) -> Iterator[str]:
    """A sentence for each healthy cell."""
    for cell in HEALTHY:
        backs = _backs(found[cell], "baseline", "any", "codedeploy")
        yield f"healthy, {cell.name}: rolled back by {_told(backs)}."


def percent(figure: Figure) -> str:
    """A share in percent, with its interval."""
    return f"{_rounded(figure.value)} % ({_rounded(figure.low)}–{_rounded(figure.high)})"


def _rounded(value: float) -> str:
    """In percent, with one decimal; with two where it would be next to nothing."""
    decimals = 2 if 0 < value < 0.001 else 1
    return f"{100 * value:.{decimals}f}".removesuffix(".0").removesuffix(".00")


def _compared(
    found: Mapping[Cell, Outcomes], cell: Cell, name: str, other: str, most: float | None
) -> str:
    times = ratio(found[cell][name], found[cell][other])
    goal = _goal(f"at most {most:g}", times.value <= most) if most else ""
    return f"{cell.name}: users' failed calls with {TITLES[name]} are {_times(times)} those with {TITLES[other]}{goal}."


def _times(figure: Figure) -> str:
    return f"{figure.value:.2f} times ({figure.low:.2f}–{figure.high:.2f})"


def _at_once(outcomes: Outcomes) -> str:
    told = figures(outcomes["any"])
    failed = f"{told.failed.value:.1f} failed calls ({told.failed.low:.1f}–{told.failed.high:.1f})"
    met = told.failed.value < MOST_AT_ONCE and not told.through.value
    goal = _goal(f"under {MOST_AT_ONCE:g}, and none promoted", met)
    return f"{ALL_FAIL_AT_ONCE.name}: {TITLES['any']} has {failed}, promoted {percent(told.through)}{goal}."


def _as_without(found: Mapping[Cell, Outcomes], cell: Cell) -> str:
    """Of a log of no use: it changes nothing."""
    told = []
    met = True
    for name, without in PAIRS.items():
        these = found[cell][name]
        those = found[cell][without]
        times = ratio(these, those)
        same = sum(_back(one) == _back(other) for one, other in zip(these, those, strict=True))
        met = met and same == len(these) and abs(times.value - 1) <= ABOUT
        told.append(
            f"with {TITLES[name]} {_times(times)} those without the log, "
            f"and the verdict is the same in {same} of {len(these)} trials"
        )
    goal = _goal(f"1 ± {ABOUT:g}, and in all", met)
    return f"{cell.name}: users' failed calls are {'; '.join(told)}{goal}."


def _back(outcome: Outcome) -> bool:
    return outcome.back is not None


def _noise(found: Mapping[Cell, Outcomes], cell: Cell) -> str:
    told = []
    met = True
    for name, without in PAIRS.items():
        through = figures(found[cell][name]).through
        words = f"{TITLES[name]} promotes {percent(through)}"
        seconds = later(found[cell][name], found[cell][without])
        if seconds:
            words += f", later by {_span(seconds.mean)} s, at the worst {round(seconds.worst)} s"
            met = met and seconds.worst <= MOST_LATER
        met = met and through.value == 1
        told.append(words)
    goal = _goal(f"all, at most {MOST_LATER:g} s later", met)
    return f"{cell.name}: {'; '.join(told)}{goal}."


def _span(figure: Figure) -> str:
    return f"{round(figure.value)} ({round(figure.low)}–{round(figure.high)})"


def _outage(found: Mapping[Cell, Outcomes], cell: Cell) -> str:
    outcomes = found[cell]
    backs = _backs(outcomes, *PAIRS.values(), "baseline")
    words = f"rolled back by {_told({'baseline': backs['baseline']})}"
    seconds = later(outcomes["baseline"], outcomes["baseline-without-log"])
    if seconds:
        words += (
            f", promoted later by {_span(seconds.mean)} s, at the worst {round(seconds.worst)} s"
        )
    without = percent(backs["baseline-without-log"])
    return (
        f"{cell.name}: {words}; without the log {without} rolled back{_few([backs['baseline']])}."
    )


def _healthy(found: Mapping[Cell, Outcomes], cells: Iterable[Cell], which: str) -> str:
    trials = [outcome for cell in cells for outcome in found[cell]["baseline"]]
    together = share(sum(map(_back, trials)), len(trials))
    goal = _few([figures(found[cell]["baseline"]).back for cell in cells])
    return f"{which} together: {_told({'baseline': together})} rolled back{goal}."


def _few(backs: list[Figure]) -> str:
    """The goal of healthy releases: what chance alone explains is no miss."""
    met = max(back.low for back in backs) <= MOST_BACK
    if len(backs) == 1:
        return _goal(f"at most {100 * MOST_BACK:g} %, by the interval's lower end", met)
    return _goal(f"in no cell is the lower end above {100 * MOST_BACK:g} %", met)


def _backs(outcomes: Outcomes, *names: str) -> dict[str, Figure]:
    """The shares rolled back, by policy."""
    return {name: figures(outcomes[name]).back for name in names}


def _told(shares: Mapping[str, Figure]) -> str:
    return "; ".join(f"{TITLES[name]} {percent(figure)}" for name, figure in shares.items())


def _goal(goal: str, met: bool) -> str:
    return f" [goal: {goal}: {'met' if met else 'MISSED'}]"
