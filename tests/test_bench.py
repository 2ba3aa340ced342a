"""The bench: fair to every policy, the same from the same seed, and what docs/ shows is of the
shape that it writes."""

import csv
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from bench import figures, plot, policies, tables, trials
from bench.__main__ import DOCS, main
from bench.cells import (
    BAD,
    CELLS,
    HALF,
    HEALTHY,
    LOGS,
    MAIN,
    MINUTES,
    NOISES,
    NOISY,
    OUTAGES,
    QUICK,
    SILENT,
    SLOW,
    USELESS,
    Cell,
    Log,
)
from bench.checks import PAIRS
from bench.trial import NEW, NOON, ORIGINAL, TrialWorld, draw
from bench.trials import Outcome
from deployer.decisions.errors import HealthCheckFailed
from world import sample
from world.aws import MINUTE
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


def at(weight: float, cell: Cell, seconds: float) -> TrialWorld:
    """A world whose alias has stood at that weight for so long."""
    here = world(cell)
    here.shift(weight)
    here.advance(seconds)
    return here


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


def test_the_first_minute_has_the_original_version_s_calls_of_before() -> None:
    cell = Cell(0.1, 0.2, rate=100)
    offset = (world(cell).starts - NOON).total_seconds()
    calls, errors = world(cell).counts[ORIGINAL, NOON]
    assert calls == pytest.approx(100 * offset, rel=0.1)
    assert errors == pytest.approx(10 * offset, rel=0.3)


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
    here.advance(cell.plan.seconds - here.time)
    counted = sum(calls for calls, _ in here.counts.values())
    assert counted == here.users.before[0] + here.users.calls[NEW][-1][-1]
    failed = sum(errors for (version, _), (_, errors) in here.counts.items() if version == NEW)
    if here.alias.version == ORIGINAL or cell.plan is MINUTES:
        assert here.failed_calls[NEW] == failed
    else:
        assert 0 < here.failed_calls[NEW] < failed, "until the horizon"


# The log: drawn with the calls.


@pytest.mark.parametrize("log", [SLOW, HALF], ids=lambda log: log.name)
def test_every_policy_would_read_the_same_of_the_same_calls(log: Log) -> None:
    cell = Cell(0.1, 0.2, log=log)
    here = at(0.3, cell, 300)
    higher = at(0.5, cell, 300)
    of_new = {failed for failed in here.failed if failed.version == NEW}
    assert of_new < set(higher.failed)
    of_original = {failed for failed in higher.failed if failed.version == ORIGINAL}
    assert of_original < set(here.failed)


def test_failing_calls_are_in_the_log_in_order_and_as_late_as_the_cell_says() -> None:
    here = at(0.5, Cell(0.1, 0.2, log=SLOW), 600)
    times = [failed.time for failed in here.failed]
    assert times == sorted(times) and times[0] >= 0 and times[-1] < 600
    delays = [failed.visible - failed.time for failed in here.failed]
    assert 20 <= min(delays) < 21 and 39 < max(delays) <= 40
    assert len({failed.number for failed in here.failed}) == len(here.failed)


def test_the_log_has_a_call_in_the_minute_in_which_metrics_count_it() -> None:
    here = at(0.5, Cell(0.1, 0.2), 600)
    written: dict[tuple[str, int], int] = {}
    for failed in here.failed:
        minute = int(((here.starts - NOON).total_seconds() + failed.time) // 60)
        written[failed.version, minute] = written.get((failed.version, minute), 0) + 1
    counted = {
        (version, round((minute - NOON).total_seconds()) // 60): errors
        for (version, minute), (_, errors) in here.counts.items()
        if errors
    }
    counted[ORIGINAL, 0] -= here.users.before[1]  # nobody asks for lines of before
    assert written == counted


def test_the_recognised_share_of_failing_calls_is_in_the_log() -> None:
    for log, share in ((HALF, 0.5), (SILENT, 0.0)):
        here = at(0.5, Cell(0, 0.5, rate=100, log=log), 600)
        assert len(here.failed) == pytest.approx(share * here.failed_calls[NEW], rel=0.05)


def test_noise_is_one_line_of_the_new_version_a_minute_while_it_has_users() -> None:
    here = at(0.1, Cell(0, 0, log=NOISY), 600)
    assert [int(failed.time // 60) for failed in here.failed] == list(range(10))
    assert {failed.version for failed in here.failed} == {NEW}
    assert len({int(failed.time % 60) for failed in here.failed}) > 5, "at a random second"
    here.roll_back()
    here.advance(200)
    assert len(here.failed) == 10 and not here.failed_calls[NEW]


@pytest.mark.parametrize("weight", [0.1, 0.5])
@pytest.mark.parametrize("trial", range(5))
def test_an_outage_is_of_both_versions_soon_after_its_shift(weight: float, trial: int) -> None:
    shift = 60 * MINUTES.weights.index(weight)
    users = draw(Cell(0.01, 0.01, rate=1000, outage=weight), 1, trial)
    outages = []
    for version, row in ((NEW, -1), (ORIGINAL, 0)):  # where it has all calls
        called = np.diff(users.calls[version][row])
        failed = np.diff(users.errors[version][row])
        outages.append([second for second in range(900) if failed[second] > 0.1 * called[second]])
    assert outages[0] == outages[1]
    assert shift <= outages[0][0] <= shift + 30
    assert outages[0] == list(range(outages[0][0], outages[0][-1] + 1))
    assert 20 <= len(outages[0]) <= 180


def test_the_original_version_s_metrics_come_later_in_an_outage() -> None:
    here = at(0.1, OUTAGES[0], 60)
    assert set(here.users.lags) == {("Errors", ORIGINAL), ("Invocations", ORIGINAL)}
    assert all(0 < lag < 30 for lag in here.users.lags.values())
    here.time = (NOON + 2 * MINUTE - here.starts).total_seconds() + here.delay
    assert here.published(NOON + MINUTE, "Errors", NEW)
    assert not here.published(NOON + MINUTE, "Errors", ORIGINAL)
    here.time += max(here.users.lags.values())
    assert here.published(NOON + MINUTE, "Errors", ORIGINAL)


@pytest.mark.parametrize("cell", USELESS, ids=lambda cell: cell.log.name)
def test_a_log_of_no_use_changes_nothing(cell: Cell) -> None:
    found = trials.trial(cell, 1, 0)
    for name, without in PAIRS.items():
        assert found[name].failed == found[without].failed
        assert found[name].back == pytest.approx(found[without].back, abs=5)


def test_the_deployer_is_given_the_log_and_reads_none_where_it_is_told_so() -> None:
    read = {}
    for name in ("any", "any-without-log"):
        here = world(MAIN)
        policies.POLICIES[name](here, MAIN.plan)
        read[name] = "FilterLogEvents" in here.calls
    assert read == {"any": True, "any-without-log": False}


# The models are what they say.


def test_the_deployer_does_in_a_trial_what_it_does_in_the_stories() -> None:
    here = world(SOME[0])
    there = World(errors={"8": 1.0}, starts=here.starts)
    policies.POLICIES["any-without-log"](here, QUICK)
    with pytest.raises(HealthCheckFailed):
        there.deploy(steps=5, interval=10, health_check={"logs": False})
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
def test_nobody_without_the_log_is_quicker_than_the_first_published_error(trial: int) -> None:
    found = trials.trial(MAIN, 1, trial)
    first = found["oracle"].back
    assert first is not None
    backs = [other.back for name, other in found.items() if name not in PAIRS]
    assert all(back is None or back >= first for back in backs)
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


def test_how_much_later_trials_were_promoted() -> None:
    those = [Outcome(None, 0, 600.0), Outcome(None, 0, 600.0), Outcome(90.0, 0)]
    these = [Outcome(None, 0, 610.0), Outcome(None, 0, 630.0), Outcome(None, 0, 999.0)]
    later = figures.later(these, those)
    assert later is not None
    assert (later.mean.value, later.worst) == (20, 30)
    assert figures.later(these[2:], those[2:]) is None


# What it writes.


def test_it_writes_every_cell_into_the_page_the_csv_and_the_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bench.md").write_text(f"Before.\n{tables.BEGIN}\n{tables.END}\nAfter.\n")
    main(["--trials", "1", "--workers", "1", "--docs", str(tmp_path)])
    page, told = (tmp_path / "bench.md").read_text(), capsys.readouterr().out
    assert page.startswith("Before.\n") and page.endswith("\nAfter.\n")
    assert shape(page) == shape((DOCS / "bench.md").read_text())
    tables_rows = (HEALTHY, BAD, LOGS, (*NOISES, *OUTAGES))
    assert len(shape(page)) == sum(2 + len(cells) for cells in tables_rows)
    assert told.count(MAIN.name) > 1 and "of computing" in told
    rows, shown = (worlds((folder / "bench.csv").read_text()) for folder in (tmp_path, DOCS))
    assert rows == shown and len(rows) == 1 + len(CELLS) * len(policies.POLICIES)
    drawn, picture = (marks(folder / "bench.svg") for folder in (tmp_path, DOCS))
    assert drawn == picture and len(drawn) > len(tables.COLUMNS) * (
        len(plot.BAD) + len(plot.HEALTHY)
    )


def worlds(figures_of: str) -> list[list[str]]:
    """The CSV's rows without their figures."""
    return [row[:8] for row in csv.reader(figures_of.splitlines())]


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
    assert all(cell.healthy for cell in (*HEALTHY, *NOISES, *OUTAGES))
    assert not any(cell.healthy for cell in (*BAD, *LOGS))
    assert set(plot.HEALTHY) <= set(HEALTHY) and set(plot.BAD) <= set(BAD)
    assert len({cell.name for cell in CELLS}) == len(CELLS)
    assert set(tables.COLUMNS) <= set(plot.LOOKS)
