"""The dashboard and the saved queries ask for what the deployer really tells, and the picture in the
docs shows the dashboard of today."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from deployer.decisions.errors import DeployError
from deployer.tell import NO_ENDINGS, SOURCE
from local.cloud import ROOT
from tests.beginnings import EVENT
from tools import dashboard
from world.world import World

BODY = dashboard.body()
RESOURCES = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
LAMBDA = ("AWS/Lambda", frozenset({"FunctionName", "Resource", "ExecutedVersion"}))

#: Lines that know where the alias is, and are no ending: or one that another tells.
NOT_TOLD = {*NO_ENDINGS, "NOT_OURS_TO_TELL"}


def test_the_dashboard_shows_all_that_is_emitted_and_lambda_s_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ours = {metric for metric in searched() if metric[0] == SOURCE}
    assert ours == metrics(emitted(capsys)) and len(ours) == 4
    theirs = {(namespace, dimensions) for namespace, _, dimensions in searched() - ours}
    assert theirs == {LAMBDA}


def test_the_numbers_are_those_of_the_rollouts(capsys: pytest.CaptureFixture[str]) -> None:
    lines = emitted(capsys)
    assert [line["Weight"][0] for line in lines if "Weight" in line] == [
        *(50, 100, 100),
        *(50, 100, 0),
        *(50, 0, 50, 100, 100),
    ]
    assert [line["Suspended"] for line in lines if "Suspended" in line] == [[1]]
    assert [line["outcome"] for line in lines if "Ended" in line] == [
        "SUCCEEDED",
        "HealthCheckFailed",
        "SUCCEEDED",
    ]
    (seconds,) = [line["TimeToRollback"][0] for line in lines if "TimeToRollback" in line]
    assert 110 <= seconds <= 130


def test_the_choice_is_among_the_functions_and_aliases_that_have_rollouts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [line for line in emitted(capsys) if "Weight" in line]
    for variable in BODY["variables"]:
        asked = SEARCH.fullmatch(variable["search"])
        assert asked and asked["name"] == "Weight"
        assert all(set(asked["dimensions"].split(",")) <= line.keys() for line in lines)
        assert variable["populateFrom"] in asked["dimensions"].split(",")
    offered = {
        variable["pattern"]: {line[variable["populateFrom"]] for line in lines}
        for variable in BODY["variables"]
    }
    assert offered == {"FUNCTION_NAME": {"checkout"}, "ALIAS_NAME": {"live"}}


def test_what_is_chosen_is_what_every_widget_shows(capsys: pytest.CaptureFixture[str]) -> None:
    patterns = {variable["pattern"] for variable in BODY["variables"]}
    for widget in BODY["widgets"]:
        assert patterns <= set(re.findall("|".join(patterns), json.dumps(widget))), widget
    chosen = dashboard.chosen(BODY, dashboard.CHOSEN)["widgets"]
    assert not re.search("|".join(patterns), json.dumps(chosen))
    told = {**emitted(capsys)[0], "FunctionName": "checkout", "Resource": "checkout:live"}
    for _, _, _, where in asked_of(chosen):
        narrowed = dict(re.findall(r'(\w+)="([^"]*)"', where))
        assert len(narrowed) == 2
        assert {key: told[key] for key in narrowed} == narrowed


def test_the_log_widget_shows_how_a_rollout_ended_and_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (widget,) = [widget for widget in BODY["widgets"] if widget["type"] == "log"]
    *sources, query = widget["properties"]["query"].split(" | ")
    groups = RESOURCES["EndingsQuery"]["Properties"]["LogGroupNames"]
    assert sources == [f"SOURCE '{group['Ref']}'" for group in groups if "Ref" in group]
    with caplog.at_level("INFO"), contextlib.suppress(DeployError):
        World(errors={"8": 1.0}).invoke({**EVENT, "started-by": "release pipeline 7"})
    (ended,) = [record for record in caplog.records if record.message == "HealthCheckFailed"]
    fields = query.splitlines()[0].removeprefix("fields @timestamp, ").replace("`", "").split(", ")
    assert fields == ["message", "new-version", "reason", "where", "started-by"]
    # Each line has who it is about by the logger itself.
    assert set(fields) <= vars(ended).keys()
    assert set(re.findall(r'"([A-Z_]+)"', query)) - dashboard.CHOSEN.keys() == NOT_TOLD


def test_a_name_with_a_hyphen_stands_in_backticks() -> None:
    """CloudWatch takes it for a subtraction otherwise."""
    (widget,) = [widget for widget in BODY["widgets"] if widget["type"] == "log"]
    bare = re.sub(r"`[^`]*`|'[^']*'|\"[^\"]*\"", "", widget["properties"]["query"])
    assert "-" not in bare


def test_the_picture_shows_the_dashboard_of_today(tmp_path: Path) -> None:
    drawn = dashboard.PICTURE.read_text()
    assert drawn == dashboard.draw(BODY), "run 'python -m tools.dashboard'"
    titles = [widget["properties"].get("title", "") for widget in BODY["widgets"]]
    assert all(
        title.replace("FUNCTION_NAME:ALIAS_NAME", "checkout:live") in drawn for title in titles
    )
    assert dashboard.NOTE in drawn, "it says that it is none of CloudWatch's own"
    stale = tmp_path / "dashboard.svg"
    stale.write_text(drawn.replace("Errors", "Mistakes"))
    with pytest.raises(SystemExit, match=r"run 'python -m tools\.dashboard'"):
        dashboard.main(["--check"], stale)
    dashboard.main([], stale)
    dashboard.main(["--check"], stale)


def test_the_picture_has_the_figures_of_two_rollouts() -> None:
    drawn = dashboard.PICTURE.read_text()
    assert "SUCCEEDED · 9 · Version 9 had 0 errors in " in drawn
    assert "HealthCheckFailed · 8 · Version 8 had " in drawn
    for figures in ("SUCCEEDED: 1", "HealthCheckFailed: 1", "version 7", "version 8", "version 9"):
        assert f">{figures}</text>" in drawn, figures


def test_a_widget_that_cannot_be_drawn_is_refused() -> None:
    odd = {**BODY["widgets"][0], "type": "explorer"}
    with pytest.raises(ValueError, match="does not know how to draw"):
        dashboard.draw({**BODY, "widgets": [odd]})


def test_the_saved_queries_name_fields_and_messages_that_the_log_has(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("INFO"), contextlib.suppress(DeployError):
        World(errors={"8": 0.3}).deploy(steps=4, interval=60, health_check={"errors": "baseline"})
    logged = {key for record in caplog.records for key in vars(record)}
    queries = {
        name: RESOURCES[name]["Properties"]["QueryString"]
        for name in ("EndingsQuery", "SuspensionsQuery", "RolloutQuery")
    }
    for query in queries.values():
        fields = re.findall(r"[\w.]+", query.splitlines()[0].removeprefix("fields @timestamp"))
        assert {field.split(".")[0] for field in fields} <= logged | {
            "message",
            "rollout",
            "function",
            "alias",
        }
    assert set(re.findall(r'"(\w+)"', queries["EndingsQuery"])) == NOT_TOLD
    assert set(re.findall(r'"(\w+)"', queries["SuspensionsQuery"])) == {"SUSPENDED", "RESUMED"}


def test_no_widget_of_the_dashboard_covers_another() -> None:
    covered = [
        (x, y)
        for widget in widgets()
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(covered) == len(set(covered))
    assert max(x for x, _ in covered) < 24, "so wide is a dashboard"


# -- what the stories need ------------------------------------------------------------------------


def emitted(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines of CloudWatch's embedded format that a good and a bad rollout write, and a good one
    whose log tells of a failed call."""
    noisy = World()
    noisy.log_delay = 5.0
    noisy.at(20, lambda: noisy.write_failure("8"))
    capsys.readouterr()
    for world in (World(), World(errors={"8": 1.0}), noisy):
        with contextlib.suppress(DeployError):
            world.deploy(steps=2, interval=60)
    return [
        json.loads(line)
        for line in capsys.readouterr().out.splitlines()
        if line.startswith('{"_aws"')
    ]


def metrics(lines: list[dict[str, Any]]) -> set[tuple[str, str, frozenset[str]]]:
    return {
        (told["Namespace"], metric["Name"], frozenset(told["Dimensions"][0]))
        for line in lines
        for told in line["_aws"]["CloudWatchMetrics"]
        for metric in told["Metrics"]
    }


SEARCH = re.compile(
    r"""\{"?(?P<namespace>[^,"]+)"?,(?P<dimensions>[^}]+)\} MetricName="(?P<name>\w+)"(?P<where>[^']*)"""
)


def widgets() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = BODY["widgets"]
    return found


def asked_of(widgets: list[dict[str, Any]]) -> Iterator[tuple[str, str, frozenset[str], str]]:
    """Namespace, name and dimensions of what is searched for, and what of it."""
    for widget in widgets:
        for metric in widget["properties"].get("metrics", []):
            found = SEARCH.search(metric[0]["expression"])
            assert found
            dimensions = frozenset(found["dimensions"].split(","))
            yield found["namespace"], found["name"], dimensions, found["where"]


def searched() -> set[tuple[str, str, frozenset[str]]]:
    return {asked[:3] for asked in asked_of(widgets())}
