"""The house of what runs in Lambda, `deployer/`: its size, and who may do what."""

import ast
import io
import re
import tokenize
from collections import Counter
from pathlib import Path

import pytest

import deployer
from deployer import decisions
from deployer.decisions import checks, rollout

HOUSE = Path(str(deployer.__file__)).parent

#: By name, such as "deployer.simple" and "deployer.decisions.health".
MODULES = {
    ".".join(path.relative_to(HOUSE.parent).with_suffix("").parts): path.read_text(encoding="utf-8")
    for path in sorted(HOUSE.rglob("*.py"))
}
TREES = {name: ast.parse(source) for name, source in MODULES.items()}

#: The payload's keys, as they are promised to users: a key more or less changes the contract.
PAYLOAD_TABLE = {
    *("function-name", "alias-name", "new-version", "steps", "interval"),
    *("type", "health-check", "weights", "hand-over", "dry-run"),
    *("finalize", "deadline", "started-by"),
}

#: In all; and on average.
MOST_TOKENS = 35_700
MOST_A_LINE = 8.3

MOST_CONDITIONALS = 55

WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def tokens_by_line(source: str) -> Counter[int]:
    """How many tokens begin on each line, without comments and docstrings."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, WITH_DOCSTRING) and ast.get_docstring(node) is not None:
            first = node.body[0]
            docstrings.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = (token.start[0] for token in tokens if token.type not in NO_CODE)
    return Counter(line for line in lines if line not in docstrings)


def imports(tree: ast.Module) -> set[str]:
    """Every module that is imported, and `from` imports with the name, such as `deployer.aws`;
    types aside."""
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(
                {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
            )
    return found


def calls(name: str) -> set[str]:
    """The modules that call something of that name."""
    return {
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == name
    }


def test_what_runs_in_lambda_stays_small_and_is_not_packed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Size is counted in tokens: lines can be packed."""
    counted = [tokens_by_line(source) for source in MODULES.values()]
    tokens = sum(each.total() for each in counted)
    lines = sum(len(each) for each in counted)
    with capsys.disabled():
        print(
            f"\n  {tokens:,} tokens, {tokens / lines:.1f} a line, without comments and docstrings",
            end="",
        )
    assert tokens <= MOST_TOKENS
    assert tokens / lines <= MOST_A_LINE


@pytest.mark.parametrize("name", MODULES)
def test_a_file_says_what_it_is_for(name: str) -> None:
    assert ast.get_docstring(TREES[name])


@pytest.mark.parametrize("name", MODULES)
def test_a_line_has_at_most_a_hundred_columns(name: str) -> None:
    wide = [line for line in MODULES[name].splitlines() if len(line) > 100]
    assert not wide, f"{name}: {wide}"


@pytest.mark.parametrize("name", MODULES)
def test_a_function_fits_on_a_screen(name: str) -> None:
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 45, f"{name}.{node.name} has {length} lines"


def test_only_the_clock_knows_the_time() -> None:
    for name in MODULES.keys() - {"deployer.clock"}:
        assert not imports(TREES[name]) & {"time", "random"}, name
        assert not re.search(r"\b(datetime|date)\.(now|utcnow|today)\b", MODULES[name]), name


def test_only_aws_reads_the_environment() -> None:
    for name in MODULES.keys() - {"deployer.aws"}:
        assert "environ" not in MODULES[name] and "getenv" not in MODULES[name], name


def test_only_the_lease_moves_schedules() -> None:
    for name in ("create_schedule", "update_schedule", "delete_schedule", "get_schedule"):
        assert calls(name) == {"deployer.lease"}, name


def test_only_alias_asks_whose_the_alias_is_and_nothing_else_decides_it() -> None:
    asks = {name for name, source in MODULES.items() if re.search(r"\bownership\.judge\(", source)}
    assert asks == {"deployer.alias"}


def test_only_alias_writes_the_alias() -> None:
    assert calls("update_alias") == {"deployer.alias"}


def test_only_logs_reads_a_log() -> None:
    assert calls("filter_log_events") == {"deployer.logs"}


def test_only_metrics_reads_cloudwatch() -> None:
    assert calls("get_metric_data") == calls("describe_alarms") == {"deployer.metrics"}


def test_decisions_reach_neither_aws_nor_the_clock_nor_whoever_acts() -> None:
    for name, tree in TREES.items():
        if name.startswith("deployer.decisions."):
            roots = {module.split(".")[0] for module in imports(tree)}
            assert not roots & {"boto3", "botocore", "os", "logging", "aws_lambda_powertools"}, name
            ours = {module for module in imports(tree) if module.startswith("deployer")}
            assert all(module.startswith("deployer.decisions") for module in ours), name


def test_the_maps_name_every_module() -> None:
    for package in (deployer, decisions):
        folder = Path(str(package.__file__)).parent
        beside = [*folder.glob("*.py"), *(path.parent for path in folder.glob("*/__init__.py"))]
        for name in {path.stem for path in beside} - {"__init__"}:
            assert re.search(rf"\b{name}\b", str(package.__doc__)), f"{package.__name__}: {name}"


def test_every_check_is_a_file_and_every_file_is_in_the_list() -> None:
    listed = {kind.__module__.rpartition(".")[2] for kind in checks.CHECKS}
    there = {path.stem for path in Path(str(checks.__file__)).parent.glob("*.py")}
    assert listed == there - {"__init__", "check"}


def test_one_thing_is_assigned_at_a_time() -> None:
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                packed = isinstance(node.targets[0], ast.Tuple) and isinstance(
                    node.value, ast.Tuple
                )
                assert not packed and len(node.targets) == 1, f"{name}: {ast.unparse(node)}"


def test_conditional_expressions_are_few_and_never_one_in_another() -> None:
    found = [
        node for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.IfExp)
    ]
    for node in found:
        inner = [each for each in ast.walk(node) if isinstance(each, ast.IfExp)]
        assert inner == [node], ast.unparse(node)
    assert len(found) <= MOST_CONDITIONALS


def test_only_the_smoke_test_invokes_a_function() -> None:
    assert calls("invoke") == {"deployer.preflight"}


def test_the_payload_has_the_promised_keys() -> None:
    assert set(rollout.KEYS) == PAYLOAD_TABLE
