"""The built artifact in Lambda's runtime, installed with install.sh and started with `aws lambda
invoke`."""

import contextlib
import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from deployer.aws import id_of
from deployer.tell import NO_ENDINGS
from local.cloud import ALIAS, FAILING, FUNCTION, HEALTHY, ORIGINAL, ROOT, SLOW, WORDS, Cloud
from local.demo import acts as demo
from local.demo.users import Users

ARTIFACT = ROOT / ".aws-sam" / "build" / "SimpleDeployFunction"


#: Lines of the log that end nothing.
AT_WORK = (*NO_ENDINGS, "LOOKED", "NOT_SEEN", "NOT_TOLD", "LEASED")


#: Imports all of the artifact's own modules from it, and nothing of it from anywhere else.
EVERY_MODULE = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import aws_lambda_powertools, deployer
names = [each.name for each in pkgutil.walk_packages(deployer.__path__, "deployer.")]
found = [deployer, *(importlib.import_module(name) for name in names)]
assert all(module.__file__.startswith(sys.argv[1]) for module in found)
print(*(module.__name__ for module in found), aws_lambda_powertools.__file__)
"""


def test_the_artifact_is_small_pure_python_and_needs_nothing_but_boto3(cloud: Cloud) -> None:
    files = [path for path in ARTIFACT.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 6_000_000
    assert {path.suffix for path in files} & {".so", ".pyd", ".dylib", ".pyc"} == set()
    found = subprocess.run(
        [sys.executable, "-I", "-c", EVERY_MODULE, str(ARTIFACT)],
        capture_output=True,
        text=True,
        check=True,
    )
    *modules, powertools = found.stdout.split()
    assert powertools.startswith(str(ARTIFACT))
    written = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "deployer").rglob("*.py")]
    assert sorted(modules) == sorted(
        ".".join(path.parts).removesuffix(".__init__") for path in written
    )


def test_the_demo_ends_on_the_healthy_version_and_rolls_the_failing_one_back(
    cloud: Cloud, users: Users, tmp_path: Path
) -> None:
    assert demo.good_version(cloud, users, tmp_path / "out.json")
    _stands_on(cloud, ALIAS, HEALTHY)
    assert users.errors[HEALTHY] == 0
    assert demo.bad_version(cloud, users, tmp_path / "out.json")
    _stands_on(cloud, ALIAS, HEALTHY)


def test_the_commands_of_the_readme_do_what_it_says(
    cloud: Cloud, users: Users, tmp_path: Path
) -> None:
    asynchronous, back, synchronous, _ = _readme_invocations(tmp_path)
    _put_back(cloud)
    done = cloud.run(synchronous)
    assert done.returncode == 0, done.stderr
    answer = json.loads((tmp_path / "out.json").read_text())
    assert answer["rollout"]["status"] == "SUCCEEDED"
    assert answer["rollout"]["checks"]["judged"] is True
    assert answer["FunctionVersion"] == HEALTHY

    _put_back(cloud)
    done = cloud.run(asynchronous)
    assert json.loads(done.stdout)["StatusCode"] == 202
    alias = _until(lambda: _alias(cloud), lambda alias: "RoutingConfig" in alias)
    assert alias["RoutingConfig"] == {"AdditionalVersionWeights": {HEALTHY: 0.1}}
    assert re.fullmatch(
        rf"{WORDS} \[rollout [0-9a-f]{{12}} to {HEALTHY} at 0\.1 \(1/10\) until \S+Z\]",
        alias["Description"],
    )

    (command,) = _readme_commands("filter-log-events")  # a line can be read only after a while
    _until(lambda: cloud.run(command).stdout, lambda told: '"message":"SHIFTED"' in told)

    # A second one is refused and told how far the first is; then an operator takes the alias back.
    done = cloud.run(synchronous)
    error = json.loads((tmp_path / "out.json").read_text())
    assert error["errorType"] == "AliasBusy"
    assert "weight 0.1, step 1 of 10" in error["errorMessage"]
    stop, promote = _readme_commands("update-alias")
    assert cloud.run(stop).returncode == 0
    last = _until(lambda: cloud.deployer_log()[-1], lambda line: line["message"] == "AliasChanged")
    assert "left to them" in last["reason"]
    _stands_on(cloud, ALIAS, ORIGINAL)

    # Another one is promoted, and what has succeeded is taken back.
    assert cloud.run(asynchronous).returncode == 0
    _until(lambda: _alias(cloud), lambda alias: "RoutingConfig" in alias)
    assert cloud.run(promote).returncode == 0
    _until(lambda: cloud.deployer_log()[-1], lambda line: line["message"] == "SUCCEEDED")
    _stands_on(cloud, ALIAS, HEALTHY)
    done = cloud.run(back)
    assert done.returncode == 0 and '"status": "SUCCEEDED"' in done.stdout, done.stderr
    _stands_on(cloud, ALIAS, ORIGINAL)


def test_a_target_that_is_killed_at_its_time_out_counts_as_an_error(
    cloud: Cloud, killed: "Future[Any]"
) -> None:
    answer = killed.result()
    error = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert error["errorType"] == "HealthCheckFailed"
    assert re.search(
        r"In its log: \d+ × timed out; such as request [0-9a-f-]{36}, stream 20",
        error["errorMessage"],
    )
    assert re.match(
        rf"Version {SLOW} had (\d+) errors? in \1 invocations? \(100\.00%\)", error["errorMessage"]
    )
    assert error["errorMessage"].endswith(f"Alias 'slow' of '{FUNCTION}' is on version {ORIGINAL}.")
    _stands_on(cloud, "slow", ORIGINAL)


def test_the_state_machine_rolls_the_failing_version_back(
    cloud: Cloud, executions: dict[str, str]
) -> None:
    execution = _ended(cloud, executions["bad"])
    assert (execution["status"], execution["error"]) == ("FAILED", "HealthCheckFailed"), execution[
        "cause"
    ]
    said = r"It was rolled back\. In its log: \d+ × RuntimeError; such as request \S{36}, stream 20"
    assert re.search(said, execution["cause"])
    assert "The checkout is broken" not in execution["cause"]
    assert execution["cause"].endswith(f"Alias 'bad' of '{FUNCTION}' is on version {ORIGINAL}.")
    _stands_on(cloud, "bad", ORIGINAL)


def test_the_state_machine_ends_on_the_healthy_version(
    cloud: Cloud, executions: dict[str, str]
) -> None:
    execution = _ended(cloud, executions["good"])
    assert execution["status"] == "SUCCEEDED", execution
    rollout = json.loads(execution["output"])["rollout"]
    assert (rollout["status"], rollout["checks"]["judged"]) == ("SUCCEEDED", True)
    (warning,) = rollout["warnings"]
    assert warning.startswith("This rollout reaches 100 % after 81 s; the first figures come after")
    assert rollout["id"] == id_of(executions["good"])
    _stands_on(cloud, "good", HEALTHY)


def test_the_sample_s_own_example_is_handed_over(
    cloud: Cloud, users: Users, tmp_path: Path
) -> None:
    """10 × 120 s, as published and as in the README; that it completes is told in virtual time
    (test_hand_over)."""
    _put_back(cloud)
    done = cloud.run(_readme_invocations(tmp_path)[3])
    assert done.returncode == 0, done.stderr
    rollout = json.loads((tmp_path / "out.json").read_text())["rollout"]
    assert rollout["status"] == "HANDED_OVER"
    alias = _until(lambda: _alias(cloud), lambda alias: "RoutingConfig" in alias)
    assert f"[rollout {rollout['id']} to {HEALTHY} at 0.1 (1/10) until" in alias["Description"]
    _taken_back(cloud, rollout["execution-arn"])


def test_the_commands_of_the_state_machine_s_page_do_what_it_says(
    cloud: Cloud, users: Users
) -> None:
    _put_back(cloud)
    page = (ROOT / "docs" / "state-machine.md").read_text()
    start, describe = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    done = cloud.run(f"{start}\n{describe}\necho $EXECUTION")
    assert done.returncode == 0, done.stderr
    assert '"RUNNING"' in done.stdout
    _until(lambda: _alias(cloud), lambda alias: "RoutingConfig" in alias)
    _taken_back(cloud, done.stdout.split()[-1])


def test_the_commands_of_the_recipes_do_what_they_say(
    cloud: Cloud, users: Users, tmp_path: Path
) -> None:
    page = (
        (ROOT / "docs" / "recipes.md").read_text().replace("out.json", str(tmp_path / "out.json"))
    )
    stop, promote, plan, start = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    _put_back(cloud)

    def planned() -> Any:
        assert cloud.run(plan).returncode == 0
        return json.loads((tmp_path / "out.json").read_text())["rollout"]

    # The users' calls of the last hour are counted, once their minute is published.
    told = _until(planned, lambda rollout: rollout["plan"]["steps"][0]["calls"] > 0)
    assert (told["status"], told["plan"]["driver"]) == ("PLANNED", "SimpleDeployFunction")
    for command, ends, version in (
        (stop, "AliasChanged", ORIGINAL),
        (promote, "SUCCEEDED", HEALTHY),
    ):
        _put_back(cloud)
        assert json.loads(cloud.run(start).stdout)["StatusCode"] == 202
        _until(lambda: _alias(cloud), lambda alias: "RoutingConfig" in alias)
        assert cloud.run(command).returncode == 0
        before = len(cloud.deployer_log())
        lines = _until(
            cloud.deployer_log,
            lambda log, n=before: any(line["message"] not in AT_WORK for line in log[n:]),
        )
        assert [line["message"] for line in lines[before:] if line["message"] not in AT_WORK] == [
            ends
        ]
        _stands_on(cloud, ALIAS, version)


# -- what the stories need ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def users(cloud: Cloud) -> Iterator[Users]:
    with Users(cloud, demo.RATE) as users:
        yield users


@pytest.fixture(scope="module", autouse=True)
def killed(cloud: Cloud) -> Iterator["Future[Any]"]:
    """A rollout of the slow version, under way while the other tests run."""
    lambda_ = cloud.client("lambda")
    lambda_.create_alias(
        FunctionName=FUNCTION, Name="slow", FunctionVersion=ORIGINAL, Description=WORDS
    )
    payload = {
        "function-name": FUNCTION,
        "alias-name": "slow",
        "new-version": SLOW,
        "weights": [0.5, 1],
        "interval": 60,
    }
    with Users(cloud, 4, alias="slow"), ThreadPoolExecutor() as executor:
        yield executor.submit(
            lambda_.invoke, FunctionName="SimpleDeployFunction", Payload=json.dumps(payload)
        )


@pytest.fixture(scope="module", autouse=True)
def warned_stories(request: pytest.FixtureRequest) -> None:
    """Where the stories of `warned` are told afterwards, they are under way while these tests
    run."""
    items: list[Any] = request.session.items
    if any("warned" in item.fixturenames for item in items):
        request.getfixturevalue("warned")


EXECUTIONS = {"good": HEALTHY, "bad": FAILING}


@pytest.fixture(scope="module", autouse=True)
def executions(cloud: Cloud) -> Iterator[dict[str, str]]:
    """Executions of the state machine, under way while the other tests run: alias to execution
    ARN."""
    describe = (
        "aws cloudformation describe-stack-resources --stack-name aws-lambda-deploy-stack "
        "--logical-resource-id DeployStateMachine --query 'StackResources[0].PhysicalResourceId' --output text"
    )
    machine = cloud.run(describe).stdout.strip()
    started = {}
    with contextlib.ExitStack() as stack:
        for alias, version in EXECUTIONS.items():
            cloud.client("lambda").create_alias(
                FunctionName=FUNCTION, Name=alias, FunctionVersion=ORIGINAL, Description=WORDS
            )
            stack.enter_context(Users(cloud, 3, alias=alias))
            payload = {
                "function-name": FUNCTION,
                "alias-name": alias,
                "new-version": version,
                "steps": 10,
                "interval": 9,
            }
            command = (
                f"aws stepfunctions start-execution --state-machine-arn {machine} --name {alias}"
            )
            done = cloud.run(f"{command} --input {shlex.quote(json.dumps(payload))}")
            started[alias] = json.loads(done.stdout)["executionArn"]
        yield started


def _ended(cloud: Cloud, arn: str) -> dict[str, Any]:
    describe = cloud.client("stepfunctions").describe_execution
    return dict(
        _until(lambda: describe(executionArn=arn), lambda told: told["status"] != "RUNNING")
    )


def _taken_back(cloud: Cloud, execution: str) -> None:
    """An operator takes the alias back; the execution ends within a look."""
    stop, _ = _readme_commands("update-alias")
    assert cloud.run(stop).returncode == 0
    ended = _ended(cloud, execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "AliasChanged")
    _stands_on(cloud, ALIAS, ORIGINAL)


def _readme_blocks() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return [block for block in blocks if "aws " in block]


def _readme_commands(word: str) -> list[str]:
    return [block for block in _readme_blocks() if word in block]


def _readme_invocations(tmp_path: Path) -> list[str]:
    blocks = _readme_commands("lambda invoke")
    assert len(blocks) == 4, (
        "the asynchronous form first, then the way back, the synchronous one, and the one that is handed over"
    )
    assert "--invocation-type Event" in blocks[0]
    assert "--cli-read-timeout 0" in blocks[2] and "AWS_MAX_ATTEMPTS=1" in blocks[2]
    return [block.replace("out.json", str(tmp_path / "out.json")) for block in blocks]


def _alias(cloud: Cloud, name: str = ALIAS) -> dict[str, Any]:
    return dict(cloud.client("lambda").get_alias(FunctionName=FUNCTION, Name=name))


def _put_back(cloud: Cloud) -> None:
    cloud.client("lambda").update_alias(
        FunctionName=FUNCTION,
        Name=ALIAS,
        FunctionVersion=ORIGINAL,
        RoutingConfig={"AdditionalVersionWeights": {}},
    )


def _stands_on(cloud: Cloud, name: str, version: str) -> None:
    alias = _alias(cloud, name)
    assert (alias["FunctionVersion"], alias.get("RoutingConfig"), alias["Description"]) == (
        version,
        None,
        WORDS,
    )


def _until(look: Any, good: Any) -> Any:
    for _ in range(300):
        if good(seen := look()):
            return seen
        time.sleep(0.2)
    raise AssertionError(f"it did not happen within a minute: {seen}")


def _has_ended(messages: list[str]) -> bool:
    return any(message not in AT_WORK for message in messages)
