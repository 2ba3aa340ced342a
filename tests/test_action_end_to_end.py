"""The Action, installed as GitHub does, around the real command, against the local AWS: good and bad
versions, one that is not there, one that is not waited for; and the role of docs/pipelines.md, as
IAM takes it."""

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from subprocess import CompletedProcess
from typing import NamedTuple

import pytest

from lambda_rollout.endings import Status
from local.cloud import FAILING, FUNCTION, HEALTHY, ORIGINAL, WORDS, Cloud
from local.demo.users import Users
from tests.runner import Job, Summary, assigned, commands
from tests.test_pipelines import block

GOOD = "action-good"
BAD = "action-bad"
LEFT = "action-left"
GONE = "action-gone"
WHO = "GitHub shop/checkout run 123 by ada"


class Used(NamedTuple):
    """The Action, once it was used."""

    job: Job
    done: "CompletedProcess[str]"

    @property
    def outputs(self) -> dict[str, str]:
        return assigned(self.job.output)

    @property
    def summary(self) -> Summary:
        return Summary(self.job.summary)

    @property
    def errors(self) -> list[str]:
        return [each.message for each in commands(self.done.stdout) if each.name == "error"]


def test_a_good_version_is_rolled_out_and_told(cloud: Cloud, used: dict[str, Future[Used]]) -> None:
    good = used[GOOD].result()
    assert good.done.returncode == Status.DEPLOYED, good.done.stdout + good.done.stderr
    assert good.errors == []
    rollout = good.outputs["rollout"]
    assert re.fullmatch("[0-9a-f]{12}", rollout)
    assert good.outputs == {
        "status": "SUCCEEDED",
        "rollout": rollout,
        "original-version": ORIGINAL,
    }
    facts = good.summary.facts
    assert facts["versions"] == f"{ORIGINAL} → {HEALTHY}"
    assert (facts["steps"], facts["started by"], facts["rollout"]) == ("2 of 2", WHO, rollout)
    assert facts["the alias"] == f"Alias '{GOOD}' of '{FUNCTION}' is on version {HEALTHY}."
    header, first, second = good.summary.tables[1]
    assert header[3:] == [f"calls of {ORIGINAL} so far", f"calls of {HEALTHY} so far"]
    assert [first[:2], second[:2]] == [["1", "50 %"], ["2", "100 %"]]
    assert re.fullmatch(r"0 errors in \d+ invocations?", second[4])
    assert f"lambda-rollout undo --function {FUNCTION} --alias {GOOD}" in good.summary.text
    assert _version(cloud, GOOD) == HEALTHY


def test_a_bad_version_is_rolled_back_and_is_an_annotation(
    cloud: Cloud, used: dict[str, Future[Used]]
) -> None:
    bad = used[BAD].result()
    assert bad.done.returncode == Status.ROLLED_BACK, bad.done.stdout + bad.done.stderr
    assert bad.outputs["status"] == "HealthCheckFailed"
    (error,) = bad.errors
    assert re.search(
        rf"Version {FAILING} had .* It was rolled back\. In its log: .*RuntimeError.* "
        rf"Alias '{BAD}' of '{FUNCTION}' is on version {ORIGINAL}\.$",
        error,
    )
    assert "\n" not in error
    assert bad.summary.facts["why"] in error
    assert bad.summary.title == f"❌ {FUNCTION}:{BAD}: HealthCheckFailed"
    assert "Next: " in bad.summary.text
    assert _version(cloud, BAD) == ORIGINAL


def test_what_is_refused_moves_nothing_and_says_why(used: dict[str, Future[Used]]) -> None:
    gone = used[GONE].result()
    assert gone.done.returncode == Status.REFUSED, gone.done.stdout + gone.done.stderr
    assert gone.outputs["status"] == "InvalidRollout"
    assert "99" in gone.errors[0]
    misspelt = used["misspelt"].result()
    assert misspelt.done.returncode == Status.REFUSED
    assert misspelt.outputs == {"status": "InvalidRollout", "rollout": "", "original-version": ""}
    assert "'steps' must be" in misspelt.errors[0] and "ten" in misspelt.errors[0]
    absent = used["absent"].result()
    assert absent.done.returncode == Status.REFUSED
    assert "no alias 'absent'" in absent.errors[0]


def test_what_is_not_waited_for_goes_on_by_itself(
    cloud: Cloud, used: dict[str, Future[Used]]
) -> None:
    left = used[LEFT].result()
    assert left.done.returncode == 0, left.done.stdout + left.done.stderr
    assert (left.outputs["status"], left.errors) == ("ACCEPTED", [])
    assert f"lambda-rollout watch --function {FUNCTION} --alias {LEFT}" in left.summary.html
    give_up = time.monotonic() + 120
    while _version(cloud, LEFT) != HEALTHY:
        assert time.monotonic() < give_up
        time.sleep(0.5)


def test_iam_takes_the_role_of_the_page(cloud: Cloud) -> None:
    done = cloud.run(f"set -e\n{block('The role', 'bash')}")
    assert done.returncode == 0, done.stderr
    iam = cloud.client("iam")
    policy = iam.get_role_policy(RoleName="release-checkout", PolicyName="roll-out")
    assert len(policy["PolicyDocument"]["Statement"]) == 5


# -- what the stories need ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def used(
    cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Used]]]:
    """All of them under way at once, each in a job of its own."""
    for alias in (GOOD, BAD, LEFT, GONE):
        cloud.client("lambda").create_alias(
            FunctionName=FUNCTION, Name=alias, FunctionVersion=ORIGINAL, Description=WORDS
        )
    at_once = {"type": "all-at-once", "interval": "1", "health-check": "false"}
    # Longer than the time between two looks of a watch, so that no step is missed.
    quick = {"steps": "2", "interval": "15"}
    uses = {
        GOOD: {"new-version": HEALTHY, **quick, "health-check": json.dumps({"errors": "any"})},
        BAD: {"new-version": FAILING, **quick},
        LEFT: {"new-version": HEALTHY, **at_once, "wait": "false"},
        GONE: {"new-version": "99", **quick},
        "misspelt": {"new-version": HEALTHY, "steps": "ten", "interval": "5"},
        "absent": {"new-version": HEALTHY, **quick},
    }

    first = Job(tmp_path_factory.mktemp("first"))
    done = first.step("Install lambda-rollout", {})
    assert done.returncode == 0, done.stdout + done.stderr

    def use(name: str) -> Used:
        folder: Path = tmp_path_factory.mktemp(name)
        job = Job(folder, cloud.environment, first.temp)
        inputs = {"function-name": FUNCTION, "alias-name": name, **uses[name]}
        return Used(job, job.step("Roll out", inputs))

    with ExitStack() as stack:
        for alias in (GOOD, BAD):
            stack.enter_context(Users(cloud, 3, alias=alias))
        pool = stack.enter_context(ThreadPoolExecutor())
        yield {name: pool.submit(use, name) for name in uses}


def _version(cloud: Cloud, alias: str) -> str:
    found = cloud.client("lambda").get_alias(FunctionName=FUNCTION, Name=alias)
    return str(found["FunctionVersion"])
