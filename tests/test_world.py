"""The house of the virtual AWS: the tests and the bench share it, and nothing of each other."""

import ast
import re
from pathlib import Path

import pytest

import world
from local.cloud import ROOT

FILES = sorted(Path(str(world.__file__)).parent.glob("*.py"))


def imported(path: Path) -> set[str]:
    """The packages."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    return found


def test_it_knows_neither_the_tests_nor_the_bench() -> None:
    assert len(FILES) > 10
    for path in FILES:
        assert not imported(path) & {"tests", "bench"}, path


def test_the_bench_knows_no_test_and_the_tests_know_the_bench_only_to_test_it() -> None:
    for path in (ROOT / "bench").glob("*.py"):
        assert "tests" not in imported(path), path
    knowing = {path.name for path in (ROOT / "tests").rglob("*.py") if "bench" in imported(path)}
    assert knowing == {"test_bench.py"}


def test_only_the_contract_runs_motos_interpreter_of_the_state_machine() -> None:
    """Stories go through world/machine.py."""
    running = {
        path.name
        for path in (ROOT / "tests").rglob("*.py")
        if re.search(r"^from tests\.asl import", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert running == {"test_asl.py", "test_matrix.py"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_map_names_every_file(path: Path) -> None:
    assert path.stem == "__init__" or f"\n{path.name} " in str(world.__doc__)
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
