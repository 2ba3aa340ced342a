"""The house of `deployer/`: its size, and who may do what."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

import deployer
from deployer import rollout

HOUSE = Path(deployer.__file__).parent
MODULES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(HOUSE.glob("*.py"))}
TREES = {name: ast.parse(source) for name, source in MODULES.items()}

#: The payload's keys, as they are promised to users: a key more or less changes the contract.
PAYLOAD_TABLE = {
    *("function-name", "alias-name", "new-version", "steps", "interval"),
    *("type", "health-check", "weights", "hand-over", "dry-run"),
}

WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def lines_of_code(source: str) -> int:
    """Lines without blanks, comments and docstrings."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, WITH_DOCSTRING) and ast.get_docstring(node) is not None:
            first = node.body[0]
            docstrings.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(code - docstrings)


def imports(tree: ast.Module) -> set[str]:
    """Every module that is imported, and `from` imports with the name, such as `deployer.aws`; types aside."""
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
            found.update({str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)})
    return found


def calls(name: str) -> set[str]:
    """The modules that call something of that name."""
    return {
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == name
    }


def pure() -> set[str]:
    return {name for name, tree in TREES.items() if (ast.get_docstring(tree) or "").startswith("PURE")}


def test_the_deployer_stays_under_a_thousand_lines_of_code() -> None:
    count = sum(map(lines_of_code, MODULES.values()))
    print(f"deployer/: {count} lines of code, without blanks, comments and docstrings")
    assert count < 1000


@pytest.mark.parametrize("name", MODULES)
def test_a_file_has_at_most_200_lines_and_says_what_it_is_for(name: str) -> None:
    assert len(MODULES[name].splitlines()) <= 200
    assert ast.get_docstring(TREES[name])


@pytest.mark.parametrize("name", MODULES)
def test_a_function_fits_on_a_screen(name: str) -> None:
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 45, f"{name}.{node.name} has {length} lines"


def test_only_the_clock_knows_the_time() -> None:
    for name in MODULES.keys() - {"clock"}:
        assert not imports(TREES[name]) & {"time", "random"}, name
        assert not re.search(r"\b(datetime|date)\.(now|utcnow|today)\b", MODULES[name]), name


def test_only_alias_writes_the_alias() -> None:
    assert calls("update_alias") == {"alias"}


def test_only_metrics_reads_cloudwatch() -> None:
    assert calls("get_metric_data") == {"metrics"}


def test_pure_modules_reach_neither_aws_nor_the_clock_nor_an_impure_module() -> None:
    allowed = pure() | {"errors"}
    assert allowed >= {"rollout", "weights", "payload", "health", "stamp", "snapshot", "claim"}
    for name in pure():
        found = imports(TREES[name])
        assert not {module.split(".")[0] for module in found} & {"boto3", "botocore", "os", "logging"}, name
        ours = {module.split(".")[1] for module in found if module.startswith("deployer.")}
        assert ours <= allowed, name


def test_the_map_names_the_pure_modules() -> None:
    told = re.search(r"PURE \(values in, values out\) +(.*)", deployer.__doc__ or "")
    assert told and set(told[1].split(", ")) == pure()


def test_the_payload_has_the_promised_keys() -> None:
    assert set(rollout.KEYS) == PAYLOAD_TABLE
