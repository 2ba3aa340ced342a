"""The local AWS: where moto is changed, and that each change says why."""

import ast
import itertools
import re
from pathlib import Path

import pytest

import local
from local import patches, resources

HOUSE = Path(str(local.__file__)).parent
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in HOUSE.glob("*.py")}
PATCHES = {f"{each.owner.__name__}.{each.name}": each for each in patches.declared()}

#: The calls and parameters that moto lacks wholly: everything else has one of moto's to replace.
ADDED = {
    "CloudWatchResponse.put_composite_alarm",
    "CodeDeployResponse.put_lifecycle_event_hook_execution_status",
    "CodeDeployResponse.stop_deployment",
    "SQSResponse.list_message_move_tasks",
    "SQSResponse.start_message_move_task",
}


@pytest.mark.parametrize("name", PATCHES)
def test_a_patch_says_what_aws_does_what_moto_does_and_when_it_can_go(name: str) -> None:
    _check_reasons(PATCHES[name].why)


def test_so_do_the_kinds_of_resources_that_moto_does_not_know() -> None:
    _check_reasons(str(resources.__doc__))


def test_a_patch_takes_the_place_of_something() -> None:
    """What upstream has renamed would be patched in vain; what it has added need not be."""
    missing = {name for name, each in PATCHES.items() if not hasattr(each.owner, each.name)}
    assert missing == ADDED


def test_nothing_is_patched_twice() -> None:
    assert len(PATCHES) == len(patches.declared())


def test_the_rooms_that_declare_patches_are_listed() -> None:
    declare = {
        room
        for room, source in SOURCES.items()
        if re.search(r"^(@replaces|replace_value)\(", source, re.MULTILINE)
    }
    assert declare == set(patches.ROOMS)


@pytest.mark.parametrize("room", SOURCES)
def test_nobody_changes_moto_in_another_way(room: str) -> None:
    tree = ast.parse(SOURCES[room])
    of_moto = _imported_from_moto(tree)
    for target in _assigned(tree):
        owner = target.split(".")[0]
        assert owner not in of_moto, f"{target} is set in {room}.py"
    if room != "patches":
        assert "setattr(" not in SOURCES[room]


def test_the_map_names_every_room() -> None:
    told = str(local.__doc__)
    for room in SOURCES.keys() - {"__init__"}:
        assert re.search(rf"^{room}\.py ", told, re.MULTILINE), room
    for room in re.findall(r"^(\w+)\.py ", told, re.MULTILINE):
        assert room in SOURCES, room


def _check_reasons(why: str) -> None:
    found = re.search(r"AWS: (.+?)\n\s*moto: (.+?)\n\s*Upstream: (.+)", why, re.DOTALL)
    assert found, why
    for reason in found.groups():
        assert reason.strip().endswith("."), why


def _imported_from_moto(tree: ast.Module) -> set[str]:
    names: list[ast.alias] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("moto."):
            names += node.names
        elif isinstance(node, ast.Import):
            names += [alias for alias in node.names if alias.name.startswith("moto.")]
    return {alias.asname or alias.name for alias in names}


def _assigned(tree: ast.Module) -> list[str]:
    """The attributes that are assigned to, such as "LambdaResponse.invoke"."""
    targets: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            targets += node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets.append(node.target)
    parts = itertools.chain.from_iterable(ast.walk(target) for target in targets)
    return [ast.unparse(part) for part in parts if isinstance(part, ast.Attribute)]
