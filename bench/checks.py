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
    backs = {name: figures(found[MAIN][name]).back for name in ("any", "baseline", "sample")}
    told = _told(backs)
    yield f"{MAIN.name}: rolled back by {told}{_goal('by the sample none', not backs['sample'].value)}."
    for name, other, most in RATIOS:
        times = ratio(found[MAIN][name], found[MAIN][other])
        than = f"users' failed calls with {TITLES[name]} are {times.value:.2f} times those with {TITLES[other]}"
        goal = _goal(f"at most {most:g}", times.value <= most) if most else ""
        yield f"{MAIN.name}: {than} ({times.low:.2f}–{times.high:.2f}){goal}."
    trials = [outcome for cell in HEALTHY for outcome in found[cell]["baseline"]]
    back = share(sum(outcome.back is not None for outcome in trials), len(trials))
    together = (
        f"healthy, all {len(HEALTHY)} cells together: {_told({'baseline': back})} rolled back"
    )
    lowest = max(figures(found[cell]["baseline"]).back.low for cell in HEALTHY)
    yield f"{together}{_goal('in no cell is the lower end above 1 %', lowest <= 0.01)}."
    back = figures(found[SLIGHT]["baseline"]).back
    found_by = f"{SLIGHT.name}: {_told({'baseline': back})} found before the end"
    yield f"{found_by}{_goal('at least 95 %', back.value >= 0.95)}."


def healthy(found: Mapping[Cell, Outcomes]) -> Iterator[str]:
    """A sentence for each healthy cell."""
    for cell in HEALTHY:
        backs = {
            name: figures(found[cell][name]).back for name in ("baseline", "any", "codedeploy")
        }
        yield f"healthy, {cell.name}: rolled back by {_told(backs)}."


def percent(figure: Figure) -> str:
    """A share in percent, with its interval."""
    value, low, high = (
        f"{100 * each:.{2 if 0 < each < 0.001 else 1}f}".removesuffix(".0").removesuffix(".00")
        for each in figure
    )
    return f"{value} % ({low}–{high})"


def _told(shares: Mapping[str, Figure]) -> str:
    return "; ".join(f"{TITLES[name]} {percent(figure)}" for name, figure in shares.items())


def _goal(goal: str, met: bool) -> str:
    return f" [goal: {goal}: {'met' if met else 'MISSED'}]"
