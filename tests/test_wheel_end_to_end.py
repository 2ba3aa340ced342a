"""The command alone, without a clone: the wheel is built, installed into an environment of its own,
and every verb is typed there, against the local AWS, and against one that denies."""

import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lambda_rollout import __version__
from lambda_rollout.endings import MEANINGS
from local.cloud import FUNCTION, HEALTHY, ORIGINAL, ROOT, WORDS, Cloud
from tests.denying import DENIED, FREE, SPLIT, denying
from tests.test_cli import VERBS

#: Each story has an alias of its own, so that all of them run at once.
STARTED = "wheel-started"
ACCEPTED = "wheel-accepted"
STOPPED = "wheel-stopped"
EXECUTED = "wheel-executed"
PROMOTED = "wheel-promoted"
PLANNED = "wheel-planned"

#: A rollout that is over within seconds, and one that lasts until somebody ends it.
QUICK = "--weights 0.5,1 --interval 1 --health false"
LASTING = """--weights 0.5,1 --interval 300 --health {"every":2}"""


# What is installed.
def test_the_wheel_holds_two_packages_and_no_path_of_this_machine(installed: "Installed") -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        contents = {name: wheel.read(name) for name in wheel.namelist()}
    folders = {name.split("/")[0] for name in contents}
    assert folders == {"deployer", "lambda_rollout", installed.information}
    ours = {path.relative_to(ROOT).as_posix() for path in sources()}
    assert {name for name in contents if not name.startswith(installed.information)} == ours
    machine = [str(place).encode() for place in (ROOT, Path.home(), installed.place)]
    assert not [
        name for name, content in contents.items() if any(path in content for path in machine)
    ]


def test_nothing_but_these_and_what_they_need_is_in_site_packages(installed: "Installed") -> None:
    done = installed.python("-m", "pip", "list", "--format", "json", "--disable-pip-version-check")
    names = {each["name"].lower() for each in json.loads(done.stdout)}
    ours = {"aws-lambda-deploy", "boto3", "rich"}
    of_boto3 = {"botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"}
    of_rich = {"markdown-it-py", "mdurl", "pygments"}
    assert names - {"pip", "setuptools"} <= ours | of_boto3 | of_rich
    assert ours <= names
    done = installed.python("-c", "import tests")
    assert "No module named 'tests'" in done.stderr


def test_it_tells_its_version_and_helps_with_every_verb(installed: "Installed") -> None:
    assert installed.run("--version").stdout == f"lambda-rollout {__version__}\n"
    assert f"aws_lambda_deploy-{__version__}-" in installed.wheel.name
    for verb in ("", *VERBS):
        told = installed.run(f"{verb} --help".strip())
        assert told.returncode == 0 and told.stdout.startswith(
            f"usage: lambda-rollout {verb}".strip()
        )
        assert all(meaning in told.stdout for meaning in MEANINGS.values())
        assert re.search(rf"^  lambda-rollout {verb or 'undo'}", told.stdout, re.M)
        assert "make" not in told.stdout


# Every verb, against the local AWS.
def test_start_follows_a_rollout_and_undo_takes_it_back(told: "Told") -> None:
    started, undone, again = told("started")
    assert (started["status"], started["exit-status"]) == ("SUCCEEDED", 0)
    assert (started["original-version"], started["new-version"]) == (ORIGINAL, HEALTHY)
    assert started["started-by"] == "the wheel"
    back = f"lambda-rollout undo --function {FUNCTION} --alias {STARTED}"
    assert started["next"] == f"To go back to version {ORIGINAL}: {back}"
    assert (undone["status"], undone["exit-status"]) == ("SUCCEEDED", 0)
    assert (undone["original-version"], undone["new-version"]) == (HEALTHY, ORIGINAL)
    assert undone["where"] == f"Alias '{STARTED}' of '{FUNCTION}' is on version {ORIGINAL}."
    assert (again["status"], again["exit-status"]) == ("SUCCEEDED", 0)
    assert (again["original-version"], again["new-version"]) == (ORIGINAL, HEALTHY)


def test_what_was_only_accepted_is_watched_to_its_end(told: "Told") -> None:
    accepted, watched = told("accepted")
    assert (accepted["status"], accepted["exit-status"]) == ("ACCEPTED", 0)
    assert (watched["status"], watched["exit-status"]) == ("SUCCEEDED", 0)
    assert watched["where"].endswith(f"is on version {HEALTHY}.")


@pytest.mark.parametrize("story", ["stopped", "executed"])
def test_stop_takes_the_alias_back_and_the_deployer_says_so(
    told: "Told", cloud: Cloud, story: str
) -> None:
    alias = {"stopped": STOPPED, "executed": EXECUTED}[story]
    (stopped,) = told(story)
    assert (stopped["status"], stopped["exit-status"]) == ("STOPPED", 0)
    assert stopped["warnings"] == []
    assert stopped["where"] == f"Alias '{alias}' of '{FUNCTION}' is on version {ORIGINAL}."
    assert _alias(cloud, alias) == (ORIGINAL, WORDS, False)
    group = {"stopped": "LogGroupName", "executed": "WorkflowLogGroupName"}[story]
    assert cloud.deployer_log(alias, group)[-1]["message"] == "AliasChanged"


def test_promote_puts_everybody_on_the_new_version(told: "Told", cloud: Cloud) -> None:
    (promoted,) = told("promoted")
    assert (promoted["status"], promoted["exit-status"]) == ("PROMOTED", 0)
    assert promoted["warnings"][-1].startswith("Promoted by hand")
    assert _alias(cloud, PROMOTED) == (HEALTHY, WORDS, False)
    assert cloud.deployer_log(PROMOTED)[-1]["message"] == "SUCCEEDED"


def test_plan_moves_nothing(told: "Told", cloud: Cloud) -> None:
    (planned,) = told("planned")
    assert (planned["status"], planned["exit-status"]) == ("PLANNED", 0)
    assert [step["weight"] for step in planned["plan"]["steps"]] == [0.5, 1]
    assert _alias(cloud, PLANNED) == (ORIGINAL, WORDS, False)


def test_history_tells_of_all_of_them(told: "Told", installed: "Installed", cloud: Cloud) -> None:
    for story in ("started", "stopped", "executed", "promoted"):
        told(story)
    time.sleep(1)  # the last line is published
    done = installed.run("history --json --since 1h --last 1000", cloud)
    listed = json.loads(done.stdout)
    assert (done.returncode, listed["status"]) == (0, "LISTED")
    found = {
        alias: [each["status"] for each in listed["rollouts"] if each.get("alias-name") == alias]
        for alias in (STARTED, STOPPED, EXECUTED, PROMOTED)
    }
    assert found == {
        STARTED: ["SUCCEEDED"] * 3,
        STOPPED: ["AliasChanged"],
        EXECUTED: ["AliasChanged"],
        PROMOTED: ["SUCCEEDED"],
    }
    done = installed.run(f"history --function {FUNCTION} --alias {STARTED} --last 3", cloud)
    heads = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert len(heads) == 3 and heads[-1].endswith("  by the wheel")
    assert f"  {FUNCTION}:{STARTED}  version {HEALTHY} → {ORIGINAL}  SUCCEEDED after " in heads[1]


# Wrong input, and nothing to do it with.
WRONG = {
    "start": (f"--function {FUNCTION} --alias none --version x --steps 2 --interval 1", 2),
    "watch": (f"--function {FUNCTION} --alias none", 7),
    "plan": (f"--function {FUNCTION} --alias none --version 2 --steps ten --interval 1", 2),
    "stop": (f"--function {FUNCTION} --alias none", 2),
    "promote": (f"--function {FUNCTION}", 2),
    "undo": (f"--function {FUNCTION} --alias {PLANNED} --yes --stack absent", 2),
    "history": ("--since yesterday", 2),
}


@pytest.mark.parametrize("verb", VERBS)
def test_wrong_input_is_refused_in_words(installed: "Installed", cloud: Cloud, verb: str) -> None:
    options, status = WRONG[verb]
    done = installed.run(f"{verb} --json {options}", cloud)
    assert done.returncode == status, done.stderr
    answered = json.loads(done.stdout)
    assert answered["exit-status"] == status and answered["reason"]
    assert "Traceback" not in done.stderr and "make" not in done.stderr


DENY = {
    "start": (f"--alias {FREE} --version 8 --steps 2 --interval 30", 2, "lambda:InvokeFunction"),
    "watch": (f"--alias {DENIED}", 7, "lambda:GetAlias"),
    "plan": (f"--alias {FREE} --version 8 --steps 2 --interval 30", 2, "lambda:InvokeFunction"),
    "stop": (f"--alias {SPLIT}", 2, "lambda:UpdateAlias"),
    "promote": (f"--alias {SPLIT}", 2, "lambda:UpdateAlias"),
    "undo": (f"--alias {FREE} --yes", 2, "cloudformation:DescribeStacks"),
    "history": (f"--alias {FREE}", 7, "cloudformation:DescribeStacks"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_without_permission_it_says_which(installed: "Installed", verb: str) -> None:
    options, status, action = DENY[verb]
    with denying() as endpoint:
        done = installed.run(f"{verb} --json --function checkout {options}", endpoint=endpoint)
    assert done.returncode == status, done.stderr
    assert f"allow {action}" in json.loads(done.stdout)["reason"]
    assert done.stderr.count("\n") == 1 and f"allow {action}" in done.stderr


# -- what the stories need ------------------------------------------------------------------------


class Installed(NamedTuple):
    """The command in an environment of its own; `place` is where it was made."""

    place: Path
    wheel: Path

    @property
    def information(self) -> str:
        return f"aws_lambda_deploy-{__version__}.dist-info"

    def run(
        self, typed: str, cloud: Cloud | None = None, endpoint: str = "http://127.0.0.1:9"
    ) -> "subprocess.CompletedProcess[str]":
        """As somebody types it who has no clone."""
        place = {"AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "us-east-1"}
        keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
        environment = cloud.environment if cloud else {**place, **keys}
        environment = {**environment, "PATH": os.environ["PATH"], "COLUMNS": "200"}
        command = [str(self.place / "alone" / "bin" / "lambda-rollout"), *typed.split()]
        return self._run(command, environment)

    def python(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The environment's own."""
        python = str(self.place / "alone" / "bin" / "python")
        return self._run([python, *arguments], {"PATH": os.environ["PATH"]})

    def _run(
        self, command: list[str], environment: dict[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=self.place,
            env=environment,
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            timeout=200,
            check=False,
        )


#: The answers of a story's commands, once they have ended.
Told = Callable[[str], list[dict[str, Any]]]


def sources() -> Iterator[Path]:
    for package in ("deployer", "lambda_rollout"):
        yield from (ROOT / package).rglob("*.py")


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Built and installed with pip, as `pipx install` does."""
    place = tmp_path_factory.mktemp("no-clone")

    def run(*command: str) -> None:
        done = subprocess.run(command, cwd=place, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    pip = ("-m", "pip", "--quiet", "--disable-pip-version-check")
    run(sys.executable, *pip, "wheel", "--no-deps", "--wheel-dir", str(place), str(ROOT))
    (wheel,) = place.glob("*.whl")
    run(sys.executable, "-m", "venv", str(place / "alone"))
    run(str(place / "alone" / "bin" / "python"), *pip, "install", str(wheel))
    return Installed(place, wheel)


@pytest.fixture(scope="module")
def told(cloud: Cloud, installed: Installed) -> Iterator[Told]:
    """All stories, under way at once."""
    for alias in (STARTED, ACCEPTED, STOPPED, EXECUTED, PROMOTED, PLANNED):
        cloud.client("lambda").create_alias(
            FunctionName=FUNCTION, Name=alias, FunctionVersion=ORIGINAL, Description=WORDS
        )

    def typed(verb: str, alias: str, options: str = "") -> dict[str, Any]:
        done = installed.run(
            f"{verb} --json --function {FUNCTION} --alias {alias} {options}", cloud
        )
        assert done.stdout.count("\n") == 1, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        assert told["exit-status"] == done.returncode
        return told

    def started() -> Iterator[dict[str, Any]]:
        file = installed.place / "payload.json"
        file.write_text(json.dumps({"started-by": "the wheel"}))
        yield typed("start", STARTED, f"--version {HEALTHY} {QUICK} --payload {file}")
        time.sleep(1)  # the ending is published
        yield typed("undo", STARTED, "--yes")
        time.sleep(1)
        yield typed("undo", STARTED, "--yes")

    def accepted() -> Iterator[dict[str, Any]]:
        slower = QUICK.replace("interval 1", "interval 8")
        yield typed("start", ACCEPTED, f"--version {HEALTHY} {slower} --no-wait")
        yield typed("watch", ACCEPTED, "--wait 30")

    def ended(verb: str, alias: str) -> Iterator[dict[str, Any]]:
        typed("start", alias, f"--version {HEALTHY} {LASTING} --no-wait")
        _until_split(cloud, alias)
        yield typed(verb, alias)

    def executed() -> Iterator[dict[str, Any]]:
        payload = {"function-name": FUNCTION, "alias-name": EXECUTED, "new-version": HEALTHY}
        lasting = {"weights": [0.5, 1], "interval": 300, "health-check": {"every": 2}}
        cloud.client("stepfunctions").start_execution(
            stateMachineArn=cloud.output("StateMachineArn"),
            input=json.dumps({**payload, **lasting}),
        )
        _until_split(cloud, EXECUTED)
        yield typed("stop", EXECUTED)

    def planned() -> Iterator[dict[str, Any]]:
        yield typed("plan", PLANNED, f"--version {HEALTHY} {LASTING}")

    stories: dict[str, Iterator[dict[str, Any]]] = {
        "started": started(),
        "accepted": accepted(),
        "stopped": ended("stop", STOPPED),
        "executed": executed(),
        "promoted": ended("promote", PROMOTED),
        "planned": planned(),
    }
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor())
        futures: dict[str, Future[list[dict[str, Any]]]] = {
            name: pool.submit(list, story) for name, story in stories.items()
        }
        yield lambda name: futures[name].result()


def _until_split(cloud: Cloud, alias: str) -> None:
    for _ in range(600):
        if _alias(cloud, alias)[2]:
            return
        time.sleep(0.1)
    raise AssertionError(f"{alias} was never split.")


def _alias(cloud: Cloud, name: str) -> tuple[str, str, bool]:
    alias = cloud.client("lambda").get_alias(FunctionName=FUNCTION, Name=name)
    return alias["FunctionVersion"], alias["Description"], "RoutingConfig" in alias
