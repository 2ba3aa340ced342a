"""What the README and docs/ say: their tables agree with the code, their links lead somewhere,
their blocks are sound.

Blocks marked `sh` are run by the end-to-end tests against the local AWS. Those marked `bash`,
`yaml` and `json` are read here: they are for another machine (a pipeline, another vendor's CI), or
they are no commands. What a pipeline would do with them is played in test_pipelines.
"""

import csv
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from deployer import tell
from deployer.decisions import errors
from deployer.decisions.health import KEYS as HEALTH_KEYS
from deployer.decisions.rollout import KEYS, Rollout
from local.cloud import ROOT
from world.aws import HERE

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BY_NAME = {path.name: path.read_text() for path in PAGES}

#: Pages whose `sh` blocks are run: by test_end_to_end, and cli.md's by test_cli_end_to_end.
RUN = {"README.md", "state-machine.md", "recipes.md", "cli.md"}

BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def blocks(kind: str) -> list[Any]:
    return [
        pytest.param(text, id=f"{page}-{number}")
        for page, source in BY_NAME.items()
        for number, (name, text) in enumerate(BLOCK.findall(source))
        if name == kind
    ]


def test_every_block_is_of_a_known_kind_and_what_is_to_be_typed_is_run() -> None:
    for page, source in BY_NAME.items():
        kinds = {name for name, _ in BLOCK.findall(source)}
        assert kinds <= {"", "sh", "bash", "yaml", "json", "mermaid", "hcl", "python"}, page
        assert "sh" not in kinds or page in RUN, page


@pytest.mark.parametrize("text", blocks("bash"))
def test_a_script_for_another_machine_is_sound(text: str) -> None:
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0


@pytest.mark.parametrize("text", blocks("yaml"))
def test_a_yaml_file_is_sound(text: str) -> None:
    assert isinstance(yaml_parse(text), dict)


@pytest.mark.parametrize("text", blocks("json"))
def test_a_payload_in_the_docs_is_valid(text: str) -> None:
    assert Rollout.from_event(json.loads(text), HERE).health_check


def test_the_readme_s_table_of_keys_is_the_payload_s() -> None:
    assert first_column("README.md", "key | default | meaning")[0] == "function-name"
    rows = (
        BY_NAME["README.md"]
        .split("| key | default | meaning |", 1)[1]
        .split("\n\n", 1)[0]
        .splitlines()[2:]
    )
    assert [row.split("`")[1] for row in rows] == sorted(
        [row.split("`")[1] for row in rows], key=[*_ORDER].index
    )
    assert {row.split("`")[1] for row in rows} == set(KEYS)


#: As the README has them: what is needed first.
_ORDER = (
    *("function-name", "alias-name", "new-version", "steps", "interval"),
    *("type", "weights", "health-check", "hand-over", "dry-run"),
    *("finalize", "deadline", "started-by"),
)


def test_the_readme_s_table_of_errors_is_the_tree() -> None:
    kinds = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert set(first_column("README.md", "error | what happened | the alias")) == kinds - {
        "DeployError"
    }


def test_the_table_of_health_checks_has_every_key() -> None:
    named = first_column("health-checks.md", "key | rolled back when | default")
    assert {name.split('"')[1] if '"' in name else name for name in named} == set(HEALTH_KEYS)


def test_the_page_on_events_has_the_source_and_every_field() -> None:
    schema = json.loads((ROOT / "events" / "event.schema.json").read_text())
    page = BY_NAME["events.md"]
    assert f"`{tell.SOURCE}`" in page and f"`{tell.DETAIL_TYPE}`" in page
    assert all(f"`{field}`" in page for field in schema["properties"])


def test_the_page_on_events_has_every_saved_query() -> None:
    resources = yaml_parse((ROOT / "template.yaml").read_text())["Resources"].values()
    queries = [each for each in resources if each["Type"] == "AWS::Logs::QueryDefinition"]
    names = [each["Properties"]["Name"]["Fn::Sub"].partition("/")[2] for each in queries]
    assert first_column("events.md", "query | what it tells") == names


def test_the_table_of_states_is_the_definition_s() -> None:
    definition = json.loads((ROOT / "statemachine" / "deploy.asl.json").read_text())
    named = first_column("state-machine.md", "state | what it does")
    assert sorted(named) == sorted(definition["States"])


def test_the_topic_s_policy_in_the_docs_lets_endings_and_alarms_in() -> None:
    commands = [text for kind, text in BLOCK.findall(BY_NAME["events.md"]) if kind == "bash"]
    (command,) = [text for text in commands if text.startswith("aws sns set-topic-attributes")]
    arguments = shlex.split(command)
    topic = arguments[arguments.index("--topic-arn") + 1]
    policy = json.loads(arguments[arguments.index("--attribute-value") + 1])
    publishers = {}
    for statement in policy["Statement"]:
        assert (statement["Effect"], statement["Resource"]) == ("Allow", topic)
        assert "sns:Publish" in statement["Action"]
        publishers[statement["Principal"].get("Service")] = statement.get("Condition")
    account = topic.split(":")[4]
    assert publishers.pop(None) is None, "the account itself"
    assert publishers == {
        "events.amazonaws.com": None,  # its calls meet no condition
        "cloudwatch.amazonaws.com": {"StringEquals": {"aws:SourceAccount": account}},
    }


def test_the_readme_s_comparison_is_the_bench_s() -> None:
    with (ROOT / "docs" / "bench.csv").open() as file:
        measured = list(csv.DictReader(file))
    table = (
        BY_NAME["README.md"].split("| in the bench's worlds", 1)[1].split("\n\n", 1)[0].splitlines()
    )
    for line, cell in ((table[2], ("0", "0.05", "10 × 60 s")), (table[3], ("0", "1", "5 × 10 s"))):
        for told, policy in zip(line.split("|")[2:5], ("any", "sample", "codedeploy"), strict=True):
            wanted = {"policy": policy, "rate": "10.0", "delay": "60.0", "log": "5 to 15 s"}
            wanted |= dict(zip(("original", "new", "rollout"), cell, strict=True))
            (row,) = [row for row in measured if wanted.items() <= row.items()]
            failed = float(row["failed-calls"])
            assert (
                f"{failed:,.1f} failed calls" in told or f"{round(failed):,} failed calls" in told
            )
            if row["rolled-back"] == "1":
                assert f"rolled back after {float(row['seconds']):.0f} s" in told
            else:
                assert row["rolled-back"] == "0" and "**promoted**" in told
    equal = _of_equal_versions(measured, "0.01")
    assert (equal["any"], equal["baseline"], equal["sample"], equal["codedeploy"]) == (
        "1",
        "0",
        "0",
        "1",
    )
    seldom = float(_of_equal_versions(measured, "0.001")["any"])
    assert f"rolls back {100 * seldom:.0f} of 100 healthy releases" in BY_NAME["README.md"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.name), link


# -- what the stories need ------------------------------------------------------------------------


def first_column(page: str, header: str) -> list[str]:
    """The names in code in the first column of the table that begins so."""
    rows = BY_NAME[page].split(f"\n| {header} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def _of_equal_versions(measured: list[dict[str, str]], rate: str) -> dict[str, str]:
    """The share of releases that each policy has rolled back, though both versions fail alike."""
    cell = {"original": rate, "new": rate, "rate": "10.0", "delay": "60.0", "outage": ""}
    cell |= {"rollout": "10 × 60 s", "log": "5 to 15 s"}
    return {row["policy"]: row["rolled-back"] for row in measured if cell.items() <= row.items()}


def anchors(page: str) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", BLOCK.sub("", BY_NAME[page]), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
