"""The dashboard and the saved queries ask for what the deployer really tells."""

import contextlib
import json
import re
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from deployer.decisions.errors import DeployError
from deployer.tell import NO_ENDINGS, SOURCE
from local.cloud import ROOT
from world.world import World

RESOURCES = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
LAMBDA = ("AWS/Lambda", frozenset({"FunctionName", "Resource", "ExecutedVersion"}))


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
    assert set(re.findall(r'"(\w+)"', queries["EndingsQuery"])) == {*NO_ENDINGS} - {"ROLLED_BACK"}
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


def widgets() -> list[dict[str, Any]]:
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    found: list[dict[str, Any]] = json.loads(re.sub(r"\$\{[^}]*\}", "x", body))["widgets"]
    return found


def searched() -> set[tuple[str, str, frozenset[str]]]:
    asked = [
        metric[0]["expression"]
        for widget in widgets()
        for metric in widget["properties"]["metrics"]
    ]
    found = [
        re.match(r"SEARCH\('\{([^}]*)\} MetricName=\"(\w+)\"'", expression) for expression in asked
    ]
    return {
        (m[1].split(",")[0].strip('"'), m[2], frozenset(m[1].split(",")[1:])) for m in found if m
    }
