"""The picture in docs/state-machine.md shows the state machine as it is: every state, every
transition."""

import copy
import json
import re
import runpy
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local.cloud import ROOT

picture: Any = SimpleNamespace(**runpy.run_path(str(ROOT / "tools" / "picture.py")))
DEFINITION: dict[str, Any] = json.loads((ROOT / "statemachine" / "deploy.asl.json").read_text())
PAGE = (ROOT / "docs" / "state-machine.md").read_text()


def test_the_page_shows_the_state_machine_of_today() -> None:
    assert picture.renewed(PAGE, DEFINITION) == PAGE, "run 'python tools/picture.py'"


def test_every_state_is_drawn_and_nothing_else() -> None:
    drawn = {
        end for source, target, _ in arrows(picture.draw(DEFINITION)) for end in (source, target)
    }
    assert drawn == {*DEFINITION["States"], "[*]"}


def test_every_transition_is_drawn_and_nothing_else() -> None:
    there = Counter(
        (name, target) for name, state in DEFINITION["States"].items() for target in targets(state)
    )
    drawn = Counter((source, target) for source, target, _ in arrows(picture.draw(DEFINITION)))
    assert drawn == there + Counter([("[*]", DEFINITION["StartAt"])])


@pytest.mark.parametrize(
    "arrow",
    [
        ("[*]", "CalculateWeights", ""),
        ("VerifyHealthCheck", "Wait", "status = PENDING"),
        ("VerifyHealthCheck", "Rollback", "otherwise"),
        ("IsFullyWeighted", "Finalize", "current-weight = 1"),
        ("UpdateWeight", "Rollback", "any error"),
        ("Finalize", "[*]", "succeeded"),
        ("Fail", "[*]", "failed"),
    ],
    ids=" ".join,
)
def test_an_arrow_says_when(arrow: tuple[str, str, str]) -> None:
    assert arrow in arrows(picture.draw(DEFINITION))


def test_a_state_more_is_noticed() -> None:
    drawn = arrows(picture.draw(longer()))
    assert {("IsFullyWeighted", "Bake", "current-weight = 1"), ("Bake", "Finalize", "")} <= set(
        drawn
    )
    assert picture.renewed(PAGE, longer()) != PAGE


def test_a_stale_page_ends_the_check_with_the_remedy_and_is_renewed(tmp_path: Path) -> None:
    page = tmp_path / "state-machine.md"
    page.write_text(picture.renewed(PAGE, longer()))
    with pytest.raises(SystemExit, match=r"run 'python tools/picture\.py'") as stale:
        picture.main(["--check"], page)
    assert isinstance(stale.value.code, str)  # which Python prints, and exits with 1
    picture.main([], page)
    assert page.read_text() == PAGE
    picture.main(["--check"], page)


def test_a_page_without_a_place_for_the_picture_is_no_page_up_to_date() -> None:
    with pytest.raises(ValueError, match="one place for the diagram"):
        picture.renewed("# The state machine\n", DEFINITION)


@pytest.mark.parametrize(
    "state",
    [
        {"Type": "Parallel", "Branches": [], "Next": "Finalize"},
        {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsString": True, "Next": "Finalize"}]},
        {"Type": "Choice", "Choices": [{"And": [], "Next": "Finalize"}]},
    ],
    ids=["Parallel", "IsString", "And"],
)
def test_what_cannot_be_drawn_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="does not know how to"):
        picture.draw({"StartAt": "Odd", "States": {"Odd": state}})


# -- what the stories need ------------------------------------------------------------------------


def arrows(drawing: str) -> list[tuple[str, str, str]]:
    """From, to, and the label; every line but the first is an arrow."""
    first, *lines = drawing.splitlines()
    assert first == "stateDiagram-v2"
    found = [re.fullmatch(r" {4}(\S+) --> (\S+?)(?:: ([^:;#]+))?", line) for line in lines]
    assert all(found)
    return [(match[1], match[2], match[3] or "") for match in found if match]


def targets(value: Any) -> Iterator[str]:
    """Whatever a state may go to, wherever it is said."""
    if isinstance(value, list):
        for item in value:
            yield from targets(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in ("Next", "Default"):
                yield item
            elif key == "End" or (key, item) in (("Type", "Fail"), ("Type", "Succeed")):
                yield "[*]"
            else:
                yield from targets(item)


def longer() -> dict[str, Any]:
    """The definition with one state more, before `Finalize`."""
    definition = copy.deepcopy(DEFINITION)
    definition["States"]["Bake"] = {"Type": "Wait", "Seconds": 60, "Next": "Finalize"}
    definition["States"]["IsFullyWeighted"]["Choices"][0]["Next"] = "Bake"
    return definition
