"""The first minutes on the local AWS, in the real runtime: what `make local` prints, as it is typed."""

import re
from typing import Any

import pytest

from lambda_rollout.endings import Status
from local import up
from local.cloud import FUNCTION, HEALTHY, ORIGINAL, WORDS, Cloud
from tools.terminal import recorded

#: Each rollout has an alias of its own.
PLANNED = "planned"
ASKED = "asked-for"


def test_the_dry_run_that_is_printed_shows_its_plan(cloud: Cloud, alias: str) -> None:
    (printed,) = [line for line in up.told(cloud).split("\n") if "DRY_RUN=1" in line]
    done = cloud.run(f"{printed.strip()} ALIAS={alias}")
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert told[0] == f"dry run of {FUNCTION}:{alias}  version {ORIGINAL} → {HEALTHY}"
    weights = [line.split("%")[0].split() for line in told if "about" in line and "%" in line]
    assert weights == [["1", "25"], ["2", "50"], ["3", "75"], ["4", "100"]]
    assert any(line.endswith("SimpleDeployFunction") for line in told)
    assert told[-1].strip() == "Nothing was moved."
    assert _alias(cloud, alias)["FunctionVersion"] == ORIGINAL
    assert _alias(cloud, alias)["Description"] == WORDS


def test_a_terminal_shows_it_as_a_table(cloud: Cloud, alias: str) -> None:
    frames, status = recorded(f"{_rollout(alias)} --dry-run", cloud.environment)
    shown = frames[-1].text
    assert status == Status.DEPLOYED, shown
    assert f"╭─ dry run of {FUNCTION}:{alias}  version {ORIGINAL} → {HEALTHY} ─" in shown
    assert re.search(r"fails-on +any error of version 2", shown)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--dry-run --version 77", "InvalidRollout: Version 77 of 'checkout' could not be read"),
        ("--dry-run --alias absent", "InvalidRollout: Alias 'absent' of 'checkout' could not be"),
        ("--stack absent", "There is no stack 'absent' in us-east-1"),
    ],
)
def test_what_cannot_go_well_is_refused_before_anything_moves(
    cloud: Cloud, alias: str, options: str, told: str
) -> None:
    done = cloud.run(f"{_rollout(alias)} {options}")
    assert (done.returncode, done.stdout) == (Status.REFUSED, "")
    assert done.stderr.startswith(told) and done.stderr.count("\n") == 1
    assert _alias(cloud, alias)["FunctionVersion"] == ORIGINAL


def test_the_log_tells_whose_credentials_have_started_it(cloud: Cloud) -> None:
    cloud.client("lambda").create_alias(FunctionName=FUNCTION, Name=ASKED, FunctionVersion=ORIGINAL)
    who = cloud.client("sts").get_caller_identity()["Arn"]
    quick = "--type all-at-once --interval 0 --health false"
    target = f"--function {FUNCTION} --alias {ASKED} --version {HEALTHY}"
    done = cloud.run(f".venv/bin/python -m lambda_rollout rollout {target} {quick}")
    assert done.returncode == Status.DEPLOYED, done.stdout + done.stderr
    lines = [line for line in cloud.deployer_log(alias=ASKED) if "where" in line]
    assert [line["message"] for line in lines] == ["STARTED", "SHIFTED", "SUCCEEDED"]
    assert {line["started-by"] for line in lines} == {who}


# -- what the stories need ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def alias(cloud: Cloud) -> str:
    """Which nothing moves."""
    cloud.client("lambda").create_alias(
        FunctionName=FUNCTION, Name=PLANNED, FunctionVersion=ORIGINAL, Description=WORDS
    )
    return PLANNED


def _rollout(alias: str) -> str:
    target = f"--function {FUNCTION} --alias {alias} --version {HEALTHY}"
    return f".venv/bin/python -m lambda_rollout rollout {target} --steps 4 --interval 30"


def _alias(cloud: Cloud, name: str) -> dict[str, Any]:
    return dict(cloud.client("lambda").get_alias(FunctionName=FUNCTION, Name=name))
