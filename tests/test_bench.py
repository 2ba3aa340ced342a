"""The bench: fair to every policy, the same from the same seed, and what docs/ shows is of the
shape that it writes."""

import csv
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import figures, plot, policies, tables, trials
from bench.__main__ import DOCS, main
from bench.cells import BAD, CELLS, HEALTHY, MAIN, MINUTES, QUICK, Cell
from bench.trial import NEW, ORIGINAL, TrialWorld, draw
from bench.trials import Outcome
from deployer.decisions.errors import HealthCheckFailed
from world import sample
from world.world import World

SOME = (Cell(0, 1, plan=QUICK), Cell(0.01, 0.05))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    level = trials.LOG.level
    trials.quiet()
    yield
    trials.LOG.setLevel(level)


def world(cell: Cell, trial: int = 0) -> TrialWorld:
    return TrialWorld(cell, draw(cell, 1, trial))


def run(
    cells: tuple[Cell, ...] = SOME, seed: int = 1, workers: int = 1
) -> dict[Cell, trials.Outcomes]:
    return trials.run(cells, 3, seed, workers, lambda _: None)


# The same from the same seed.


def test_the_same_seed_gives_the_same_outcomes_whatever_the_number_of_processes() -> None:
    assert run() == run(workers=2)


def test_another_seed_gives_others() -> None:
    assert run() != run(seed=2)


def test_a_cell_draws_the_same_whatever_other_cells_there_are() -> None:
    assert run()[SOME[1]] == run(SOME[1:])[SOME[1]]


# Fair: the calls are there before any policy is.


def test_every_call_goes_to_one_of_the_versions_whatever_the_weight() -> None:
    users = draw(MAIN, 1, 0)
    for row in range(len(users.weights)):
        assert (users.calls[NEW][row] + users.calls[ORIGINAL][row] == users.calls[NEW][-1]).all()
    assert not users.calls[NEW][0].any()
    assert not users.calls[ORIGINAL][-1].any()


def test_a_call_that_fails_on_the_new_version_fails_there_at_any_higher_weight() -> None:
    errors = draw(Cell(0.1, 0.2), 1, 0).errors
    assert (errors[NEW][1:] >= errors[NEW][:-1]).all()
    assert (errors[ORIGINAL][1:] <= errors[ORIGINAL][:-1]).all()


def test_calls_and_errors_come_at_the_cells_rates() -> None:
    users = draw(Cell(0.01, 0.05, rate=1000), 1, 0)
    for row, weight in enumerate(users.weights):
        for version, share, rate in ((NEW, weight, 0.05), (ORIGINAL, 1 - weight, 0.01)):
            calls = int(users.calls[version][row][-1])
            assert calls == pytest.approx(1000 * share * MINUTES.horizon, rel=0.03)
            assert int(users.errors[version][row][-1]) == pytest.approx(rate * calls, rel=0.15)


@pytest.mark.parametrize("name", policies.POLICIES)
@pytest.mark.parametrize(
    "cell", [Cell(0.1, 0.2, rate=1, plan=QUICK), Cell(0, 0.05)], ids=lambda cell: cell.name
)
def test_every_policy_meets_the_same_calls_and_leaves_the_alias_on_one_version(
    name: str, cell: Cell
) -> None:
    here = world(cell)
    policies.POLICIES[name](here, cell.plan)
    assert here.alias.version in (ORIGINAL, NEW) and not here.alias.routing
    here.advance(cell.plan.horizon - here.time)
    assert sum(calls for calls, _ in here.counts.values()) == here.users.calls[NEW][-1][-1]
    assert here.failed_calls[NEW] == sum(
        errors for (version, _), (_, errors) in here.counts.items() if version == NEW
    )


# The models are what they say.


def test_the_deployer_does_in_a_trial_what_it_does_in_the_stories() -> None:
    here = world(SOME[0])
    there = World(errors={"8": 1.0}, starts=here.starts)
    policies.POLICIES["any"](here, QUICK)
    with pytest.raises(HealthCheckFailed):
        there.deploy(steps=5, interval=10)
    assert here.moves == there.moves


@pytest.mark.parametrize("cell", [MAIN, Cell(0, 0.05, delay=0)], ids=lambda cell: cell.name)
def test_the_sample_looks_at_the_end_of_each_step_and_at_nothing_older_than_a_minute(
    cell: Cell,
) -> None:
    """It moves by its own weights, which are the plan's; it finds what is published at once."""
    assert sample.linear(10) == MINUTES.weights
    here = world(cell)
    policies.sample(here, cell.plan)
    shifts = [(60.0 * step, ORIGINAL, {NEW: weight}) for step, weight in enumerate(MINUTES.weights)]
    *begun, last = here.moves
    assert begun == shifts[: len(begun)]
    if cell.delay:
        assert last == (600, NEW, {})
    else:
        assert last == (60 * len(begun), ORIGINAL, {})


def test_flaggers_rule_rolls_back_at_the_check_after_the_fifth_that_failed() -> None:
    here = world(Cell(0, 0, rate=1e-9))
    policies.flagger(here, MINUTES)
    assert here.moves == [(0, ORIGINAL, {NEW: 0.1}), (360, ORIGINAL, {})]


def test_flaggers_rule_halts_while_nothing_is_published() -> None:
    here = world(Cell(0, 0, delay=120))
    policies.flagger(here, MINUTES)
    times = [time for time, _, _ in here.moves]
    assert times[:3] == [0, 180, 240] and here.alias.version == NEW


def test_codedeploy_ends_with_the_last_shift() -> None:
    here = world(Cell(0, 0))
    policies.POLICIES["codedeploy"](here, MINUTES)
    assert here.moves[-1] == (540, NEW, {})


@pytest.mark.parametrize("trial", range(5))
def test_nobody_is_quicker_than_the_first_published_error(trial: int) -> None:
    found = trials.trial(MAIN, 1, trial)
    first = found["oracle"].back
    assert first is not None
    assert all(other.back is None or other.back >= first for other in found.values())
    here = world(MAIN, trial)
    policies.oracle(here, MINUTES)
    published = [
        minute
        for (version, minute), (_, errors) in here.counts.items()
        if version == NEW and errors
    ]
    assert (here.starts.timestamp() + here.time - MAIN.delay - 60) == pytest.approx(
        min(published).timestamp()
    )


# Figures.


def test_wilsons_interval() -> None:
    assert figures.share(5, 10) == pytest.approx((0.5, 0.2366, 0.7634), abs=1e-4)
    assert figures.share(0, 300) == pytest.approx((0, 0, 0.01264), abs=1e-4)
    assert figures.share(300, 300) == pytest.approx((1, 0.98736, 1), abs=1e-4)


def test_a_mean_and_a_ratio() -> None:
    assert figures.mean([1, 2, 3]) == pytest.approx(
        (2, 2 - 1.96 / 3**0.5, 2 + 1.96 / 3**0.5), abs=1e-3
    )
    once = [Outcome(None, failed) for failed in (1, 2, 3, 4)]
    twice = [Outcome(None, 2 * failed) for failed in (1, 2, 3, 4)]
    assert figures.ratio(twice, once) == pytest.approx((2, 2, 2))


# What it writes.


def test_it_writes_every_cell_into_the_page_the_csv_and_the_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bench.md").write_text(f"Before.\n{tables.BEGIN}\n{tables.END}\nAfter.\n")
    main(["--trials", "1", "--workers", "1", "--docs", str(tmp_path)])
    page, told = (tmp_path / "bench.md").read_text(), capsys.readouterr().out
    assert page.startswith("Before.\n") and page.endswith("\nAfter.\n")
    assert shape(page) == shape((DOCS / "bench.md").read_text())
    assert len(shape(page)) == len(CELLS) + 4
    assert told.count(MAIN.name) > 1 and "of computing" in told
    rows, shown = (worlds((folder / "bench.csv").read_text()) for folder in (tmp_path, DOCS))
    assert rows == shown and len(rows) == 1 + len(CELLS) * len(policies.POLICIES)
    drawn, picture = (marks(folder / "bench.svg") for folder in (tmp_path, DOCS))
    assert drawn == picture and len(drawn) > len(tables.COLUMNS) * (
        len(plot.BAD) + len(plot.HEALTHY)
    )


def worlds(figures_of: str) -> list[list[str]]:
    """The CSV's rows without their figures."""
    return [row[:6] for row in csv.reader(figures_of.splitlines())]


def marks(picture: Path) -> list[str]:
    return [element.tag for element in ElementTree.parse(picture).iter()]


def shape(page: str) -> list[list[str]]:
    """The tables' headings, and the worlds that their rows are of."""
    rows = [
        [entry.strip() for entry in line.strip("|").split("|")]
        for line in page.split(tables.BEGIN)[1].splitlines()
    ]
    return [
        row if row[0] == "errors" else [*row[:4], str(len(row))] for row in rows if len(row) > 1
    ]


def test_healthy_and_bad_cells_are_told_apart_and_drawn() -> None:
    assert all(cell.healthy for cell in HEALTHY) and not any(cell.healthy for cell in BAD)
    assert set(plot.HEALTHY) <= set(HEALTHY) and set(plot.BAD) <= set(BAD)
    assert len({cell.name for cell in CELLS}) == len(CELLS)
    assert set(tables.COLUMNS) <= set(plot.LOOKS)
