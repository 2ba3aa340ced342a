"""What a person types, in a terminal and in a pipeline: docs/cli.md's commands, and rollouts that
others started."""

import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest

from lambda_rollout.endings import Status
from local import processes
from local.cloud import ALIAS, FAILING, FUNCTION, HEALTHY, ORIGINAL, ROOT, WORDS, Cloud
from local.demo.users import Users
from tools.terminal import Frame, recorded

#: Each rollout has an alias of its own, so that all of them run at once.
BAD = "typed-bad"
INVOKED = "invoked"
EXECUTED = "executed"
KILLED = "killed"

Typed = subprocess.CompletedProcess[str]
Screens = tuple[list[Frame], int]


def test_the_page_s_rollout_ends_well_and_so_does_the_watch_beside_it(
    cloud: Cloud, typed: dict[str, "Future[Typed]"]
) -> None:
    rollout = typed["rollout"].result()
    watch = typed["watch"].result()
    assert (rollout.returncode, watch.returncode) == (0, 0), rollout.stderr + watch.stderr
    for told in (rollout.stdout, watch.stdout):
        weights = re.findall(r"weight (\d+) %  step (\d) of 4", told)
        assert weights == [("25", "1"), ("50", "2"), ("75", "3"), ("100", "4")]
        assert re.search(r"calls since .* version 2: 0 errors in \d+ invocations", told)
        succeeded, warning = told.strip().splitlines()[-2:]
        assert re.search(r"SUCCEEDED: .* Alias 'live' of 'checkout' is on version 2\.$", succeeded)
        assert "This rollout reaches 100 % after " in warning
    assert "\x1b" not in rollout.stdout and _alias(cloud, ALIAS) == (HEALTHY, False)
    again = cloud.run(_blocks()[2])
    assert (again.returncode, "ALREADY_DEPLOYED" in again.stdout) == (0, True), (
        again.stdout + again.stderr
    )


def test_the_bad_version_is_rolled_back_and_the_status_says_so(
    cloud: Cloud, typed: dict[str, "Future[Typed]"]
) -> None:
    done = typed["bad"].result()
    assert done.returncode == Status.ROLLED_BACK, done.stdout + done.stderr
    assert re.search(rf"look failed  Version {FAILING} had \d+ errors?", done.stdout)
    last = done.stdout.strip().splitlines()[-1]
    assert re.search(
        r"HealthCheckFailed: .* It was rolled back\. In its log: \d+ × RuntimeError; such as .*\. "
        rf"Alias '{BAD}' .* is on version {ORIGINAL}\.$",
        last,
    )
    assert _alias(cloud, BAD) == (ORIGINAL, False)


def test_what_was_started_by_plain_invoke_is_followed_to_its_end(
    cloud: Cloud, typed: dict[str, "Future[Typed]"]
) -> None:
    done = typed["invoked"].result()
    assert done.returncode == Status.DEPLOYED, done.stdout + done.stderr
    assert "No rollout runs on this alias: it is on version 1. Waiting for one" in done.stdout
    assert "weight 33 %  step 1 of 3" in done.stdout and "SUCCEEDED" in done.stdout
    assert _alias(cloud, INVOKED) == (HEALTHY, False)


def test_ctrl_c_in_a_terminal_stops_the_watch_and_not_the_rollout(
    typed: dict[str, "Future[Screens]"],
) -> None:
    frames, status = typed["stopped"].result()
    assert status == Status.STOPPED_WATCHING
    told = frames[-1].text
    assert "Stopped watching; the rollout goes on." in told and "Traceback" not in told
    assert told.count("╭") == told.count("╰") == 1, "one panel, though ^C was written behind it"
    assert (
        f"aws lambda update-alias --function-name {FUNCTION} --name {INVOKED} --routing-config"
        in told.replace("\n", "")
    )
    assert typed["invoked"].result().returncode == Status.DEPLOYED  # type: ignore[attr-defined]


def test_an_execution_is_followed_in_a_terminal(
    cloud: Cloud, typed: dict[str, "Future[Screens]"]
) -> None:
    frames, status = typed["executed"].result()
    assert status == Status.ROLLED_BACK, frames[-1].text
    assert any(re.search(r"step \d of 3", frame.text) for frame in frames)
    last = frames[-1].text
    assert last.count("╭") == last.count("╰") == 1, "one panel, drawn anew in its place"
    assert (
        "✘ HealthCheckFailed" in last
        and f"Alias '{EXECUTED}' of '{FUNCTION}' is on version {ORIGINAL}." in last
    )
    assert re.search(rf"version {FAILING}, new +\d+ +[1-9]\d* +\d+\.\d\d %", last)
    assert max(len(line) for line in last.splitlines()) <= 100
    assert _alias(cloud, EXECUTED) == (ORIGINAL, False)


def test_a_deployer_that_is_killed_is_told_and_the_command_takes_the_alias_back(
    typed: dict[str, "Future[Silence]"], capsys: pytest.CaptureFixture[str]
) -> None:
    told = typed["killed"].result()
    assert "Now version 2 gets 20 % of the calls, version 1 80 %." in told.line
    assert re.search(r"Its lease runs out at \d\d:\d\d:\d\d UTC", told.line)
    assert told.followed.returncode == 0, told.followed.stderr
    assert (told.before, told.after) == ((ORIGINAL, True), (ORIGINAL, False))
    with capsys.disabled():
        clocks = re.findall(r"\d\d:\d\d:\d\d", told.line)
        late = _seconds(clocks[0]) - _seconds(clocks[2])
        print(f"\n  the silence was told {late % 86400} s after the look that was due", end="")


# -- what the stories need ------------------------------------------------------------------------


def _blocks() -> list[str]:
    """The commands of the page: rollout, watch, and what a pipeline calls."""
    return [
        block.strip()
        for block in re.findall(
            r"```sh\n(.*?)```", (ROOT / "docs" / "cli.md").read_text(), re.DOTALL
        )
    ]


def _payload(alias: str, version: str) -> str:
    target = {"function-name": FUNCTION, "alias-name": alias, "new-version": version}
    return shlex.quote(json.dumps({**target, "steps": 3, "interval": 10}))


def _watch(alias: str) -> str:
    return (
        f".venv/bin/python -m lambda_rollout watch --function {FUNCTION} --alias {alias} --wait 60"
    )


def _seconds(clock: str) -> int:
    hours, minutes, seconds = map(int, clock.split(":"))
    return 3600 * hours + 60 * minutes + seconds


class Silence(NamedTuple):
    """What a watch says of it, what came of the command that it names, and where the alias was
    before that and after it."""

    line: str
    followed: Typed
    before: tuple[str, bool]
    after: tuple[str, bool]


def _killed(cloud: Cloud) -> Silence:
    """`kill -9` to a deployer after its first look; its watchdog comes minutes later."""
    payload: dict[str, Any] = {"function-name": FUNCTION, "alias-name": KILLED}
    payload["new-version"] = HEALTHY
    payload |= {"weights": [0.2, 1], "interval": 120, "health-check": {"every": 2}}
    command = [*shlex.split(_watch(KILLED)), "--plain"]
    with subprocess.Popen(
        command, cwd=ROOT, env=cloud.environment, stdout=subprocess.PIPE, text=True
    ) as watch:
        assert watch.stdout
        started = cloud.client("lambda").invoke(
            FunctionName="SimpleDeployFunction",
            InvocationType="Event",
            Payload=json.dumps(payload),
        )
        request = started["ResponseMetadata"]["RequestId"]
        try:
            for line in watch.stdout:
                if "  look " in line:
                    for sandbox in cloud.sandboxes("SimpleDeployFunction"):
                        if sandbox["request-id"] == request:
                            processes.kill(sandbox["pids"])
                if "NO WORD" in line:
                    before = _alias(cloud, KILLED)
                    followed = cloud.run(line.partition("To take the alias back yourself: ")[2])
                    return Silence(line, followed, before, _alias(cloud, KILLED))
        finally:
            watch.terminate()
    raise AssertionError("The watch has ended, and told no silence.")


def _put_back(cloud: Cloud) -> None:
    nothing: Any = {"AdditionalVersionWeights": {}}
    cloud.client("lambda").update_alias(
        FunctionName=FUNCTION, Name=ALIAS, FunctionVersion=ORIGINAL, RoutingConfig=nothing
    )


@pytest.fixture(scope="module")
def typed(cloud: Cloud) -> Iterator[dict[str, "Future[Any]"]]:
    """All that is typed, under way at once."""
    run = cloud.run
    _put_back(cloud)
    for alias in (BAD, INVOKED, EXECUTED, KILLED):
        cloud.client("lambda").create_alias(
            FunctionName=FUNCTION, Name=alias, FunctionVersion=ORIGINAL, Description=WORDS
        )
    bad = (
        ".venv/bin/python -m lambda_rollout rollout "
        f"--function {FUNCTION} --alias {BAD} --version {FAILING}"
    )
    execute = (
        f"aws stepfunctions start-execution --state-machine-arn {cloud.output('StateMachineArn')}"
    )
    invoke = (
        "aws lambda invoke --function-name SimpleDeployFunction --invocation-type Event --payload"
    )

    def show(command: str, ctrl_c: str = "never", columns: int = 100) -> tuple[list[Frame], int]:
        return recorded(command, cloud.environment, ctrl_c, columns, rows=24)

    with ExitStack() as stack:
        for alias in (ALIAS, BAD, INVOKED, EXECUTED):
            stack.enter_context(Users(cloud, 3, alias=alias))
        pool = stack.enter_context(ThreadPoolExecutor())
        futures: dict[str, Future[Any]] = {
            "rollout": pool.submit(run, _blocks()[0]),
            "watch": pool.submit(run, _blocks()[1]),
            "bad": pool.submit(run, f"{bad} --steps 3 --interval 5"),
            "invoked": pool.submit(run, _watch(INVOKED)),
            "stopped": pool.submit(show, _watch(INVOKED), f"version {HEALTHY}, new", 80),
            "executed": pool.submit(show, _watch(EXECUTED)),
            "killed": pool.submit(_killed, cloud),
        }
        time.sleep(3)  # they wait for a rollout
        assert run(f"{invoke} {_payload(INVOKED, HEALTHY)} /dev/null").returncode == 0
        assert (
            run(f"{execute} --name watched --input {_payload(EXECUTED, FAILING)}").returncode == 0
        )
        yield futures
    _put_back(cloud)


def _alias(cloud: Cloud, name: str) -> tuple[str, bool]:
    alias = cloud.client("lambda").get_alias(FunctionName=FUNCTION, Name=name)
    return alias["FunctionVersion"], "RoutingConfig" in alias
