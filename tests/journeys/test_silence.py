"""What a watch says while a deployer is dead, an execution is stopped, and AWS is away, until each
alias is back, with the delays of AWS. Eight minutes of real time.

`test_cli_end_to_end.py` has the first words of it.
"""

import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lambda_rollout.endings import Status
from local.cloud import FUNCTION, ROOT
from local.scheduler import LATEST
from tests.dying import Dying, deployers

#: How long AWS is away, in seconds.
AWAY = 100.0


def test_a_dead_deployer_and_a_stopped_execution_are_told_until_the_watchdog_has_come(
    dying: Dying, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor() as pool:
        watches = {name: pool.submit(watched, dying, name) for name in ("killed", "stopped")}
        killed = pool.submit(dying.killed, "killed", 20.0)
        stop_execution(dying, "stopped")
        killed.result()
        told = {name: watch.result() for name, watch in watches.items()}
    assert "Its lease runs out at " in silence(told["killed"])
    assert "No lease of it is known" in silence(told["stopped"])
    for name, done in told.items():
        assert done.returncode == Status.ROLLED_BACK, done.stdout
        assert "RolloutInterrupted: The deployer died, or its execution was stopped" in done.stdout
        assert "AWS cannot be reached" not in done.stdout
        with capsys.disabled():
            print(f"\n  {name}: {silence(done)}", end="")


def test_aws_that_is_away_is_told_and_the_deployer_is_not_accused(
    dying: Dying, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor() as pool:
        watch = pool.submit(watched, dying, "cut-off")
        dying.invoke("cut-off", interval=60.0)
        dying.wait_for_split("cut-off")
        time.sleep(20)  # a look has been read
        dying.cloud.outage(AWAY, how="drop")
        done = watch.result()
    assert "NO WORD" not in done.stdout
    assert len(re.findall("AWS cannot be reached since ", done.stdout)) == 1
    assert len(re.findall("AWS answers again, after ", done.stdout)) == 1
    assert done.returncode in (Status.DEPLOYED, Status.ROLLED_BACK)
    with capsys.disabled():
        print(f"\n  {done.stdout}", end="")


def silence(done: "subprocess.CompletedProcess[str]") -> str:
    (line,) = [line for line in done.stdout.splitlines() if "NO WORD" in line]
    return line


def watched(dying: Dying, name: str) -> "subprocess.CompletedProcess[str]":
    command = f"watch --function {FUNCTION} --alias {name} --wait 60 --plain"
    return subprocess.run(
        [".venv/bin/python", "-m", "lambda_rollout", *command.split()],
        cwd=ROOT,
        env=dying.cloud.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def stop_execution(dying: Dying, name: str) -> None:
    states = dying.cloud.client("stepfunctions")
    execution = states.start_execution(
        stateMachineArn=dying.cloud.output("StateMachineArn"),
        name=name,
        input=dying.payload(name, interval=150.0),
    )["executionArn"]
    dying.wait_for_split(name)
    time.sleep(20)  # a look has been read
    states.stop_execution(executionArn=execution, error="Stopped", cause="By a test")


@pytest.fixture(scope="module")
def dying(functions_run: None) -> Iterator[Dying]:
    with deployers(("killed", "stopped", "cut-off"), LATEST) as dying:
        yield dying
