"""What the bench answers in words: measured, and held against goals; nothing fails when a goal is
missed."""

from collections.abc import Iterator, Mapping

from bench.cells import HEALTHY, MAIN, SLIGHT, Cell
from bench.figures import Figure, figures, ratio, share
from bench.policies import TITLES
from bench.trials import Outcomes

#: Whose failed calls are held against whose, and how many times as many they may be.
RATIOS = (
    ("any", "oracle", 1.2),
    ("any", "codedeploy", 1.0),
    ("any", "codedeploy-at-once", None),
    ("baseline", "oracle", 1.6),
)


def goals(found: Mapping[Cell, Outcomes]) -> Iterator[str]:
    """A sentence for each goal."""
    backs = _backs(found[MAIN], "any", "baseline", "sample")
    goal = _goal("by the sample none", not backs["sample"].value)
    yield f"{MAIN.name}: rolled back by {_told(backs)}{goal}."
    for name, other, most in RATIOS:
        yield _compared(found, name, other, most)
    trials = [outcome for cell in HEALTHY for outcome in found[cell]["baseline"]]
    together = share(sum(outcome.back is not None for outcome in trials), len(trials))
    told = _told({"baseline": together})
    lowest = max(figures(found[cell]["baseline"]).back.low for cell in HEALTHY)
    goal = _goal("in no cell is the lower end above 1 %", lowest <= 0.01)
    yield f"healthy, all {len(HEALTHY)} cells together: {told} rolled back{goal}."
    backs = _backs(found[SLIGHT], "baseline")
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


def _compared(found: Mapping[Cell, Outcomes], name: str, other: str, most: float | None) -> str:
    times = ratio(found[MAIN][name], found[MAIN][other])
    than = f"are {times.value:.2f} times those with {TITLES[other]}"
    goal = _goal(f"at most {most:g}", times.value <= most) if most else ""
    return f"{MAIN.name}: users' failed calls with {TITLES[name]} {than} ({times.low:.2f}–{times.high:.2f}){goal}."


def _backs(outcomes: Outcomes, *names: str) -> dict[str, Figure]:
    """The shares rolled back, by policy."""
    return {name: figures(outcomes[name]).back for name in names}


def _told(shares: Mapping[str, Figure]) -> str:
    return "; ".join(f"{TITLES[name]} {percent(figure)}" for name, figure in shares.items())


def _goal(goal: str, met: bool) -> str:
    return f" [goal: {goal}: {'met' if met else 'MISSED'}]"
