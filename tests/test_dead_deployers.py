"""Deployers that really die, on the local AWS: each alias comes back, and somebody is told.

The stories run side by side, and each has an alias of its own. Leases fire up to `LATEST` seconds
late here; `journeys/test_lease.py` lets them be as late as on AWS.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from local.cloud import HEALTHY, ORIGINAL
from tests.dying import DEPLOYER, PROMISED, Dying, deployers, tell

#: How many seconds late a lease fires at most.
LATEST = 5.0
#: The delay of the state machine's queue, in seconds: longer than a task in these tests.
DELAY = 25

#: When each is killed, in seconds after its first shift; its lease is moved on every half minute.
KILLED = {"killed-at-once": 0.0, "killed-before-renewal": 20.0, "killed-after-renewal": 40.0}

SUSPENDED = "killed-while-suspended"

OTHERS = (SUSPENDED, "lied-to", "aborted", "cut-off", "lives", "untouched")


def test_every_dead_deployer_s_alias_comes_back_and_somebody_is_told(
    dying: Dying, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor() as pool:
        lives = dying.invoke("lives", interval=80.0)
        lied_to = _lied_to(dying)
        took = {name: pool.submit(dying.killed, name, after) for name, after in KILLED.items()}
        took[SUSPENDED] = pool.submit(dying.killed_while_suspended, SUSPENDED)
        aborted = _aborted(dying)
        cut_off = _cut_off(dying)
        took["lied-to"] = pool.submit(lambda: dying.comes_back("lied-to") - lied_to)
        took["aborted"] = pool.submit(lambda: dying.comes_back("aborted") - aborted)
        seconds = {name: future.result() for name, future in took.items()}
    with capsys.disabled():
        tell(seconds)
    assert max(seconds.values()) <= PROMISED
    # The state machine's queue has its own delay.
    assert seconds["aborted"] <= DELAY + 60
    assert lives.result()["rollout"]["status"] == "SUCCEEDED", "its lease was moved on in time"
    assert cut_off.result()["rollout"]["status"] == "SUCCEEDED"
    endings = dying.endings()
    assert endings[SUSPENDED].pop(0) == "SUSPENDED"
    for name in seconds:
        assert endings[name] == ["ROLLED_BACK", "RolloutInterrupted"], name
    for name in ("cut-off", "lives"):
        assert endings[name] == ["SUCCEEDED"], name
        dying.stands_on(name, HEALTHY)
    dying.stands_on("untouched", ORIGINAL)
    assert endings["untouched"] == []
    assert dying.leases() == [], "none is left behind"


def _lied_to(dying: Dying) -> float:
    """A function that reaches its time-out long before its context says so; when it did."""
    lambda_ = dying.cloud.client("lambda")
    about = lambda_.get_function_configuration(FunctionName=DEPLOYER)
    variables = about["Environment"]["Variables"]
    early = {"Variables": {**variables, "LOCAL_KILLED_AFTER": "6"}}
    usual = {"Variables": variables}
    lambda_.update_function_configuration(FunctionName=DEPLOYER, Environment=early)
    answer = dying.invoke("lied-to")
    dying.wait_for_split("lied-to")
    assert answer.result()["errorType"] == "Runtime.ExitError"
    lambda_.update_function_configuration(FunctionName=DEPLOYER, Environment=usual)
    return time.monotonic()


def _aborted(dying: Dying) -> float:
    """An execution that is stopped while a task runs: CloudWatch does not answer it."""
    states = dying.cloud.client("stepfunctions")
    execution = states.start_execution(
        stateMachineArn=dying.cloud.output("StateMachineArn"),
        name="aborted",
        input=dying.payload("aborted", settle=60),
    )["executionArn"]
    dying.wait_for_split("aborted")
    dying.cloud.outage(5, how="drop", services=["monitoring"])
    time.sleep(2)
    states.stop_execution(executionArn=execution, error="Stopped", cause="By a test")
    return time.monotonic()


def _cut_off(dying: Dying) -> "Future[dict[str, Any]]":
    """The control plane is away for some seconds in mid-rollout, and comes back."""
    answer = dying.invoke("cut-off")
    dying.wait_for_split("cut-off")
    dying.cloud.outage(6, services=["lambda"])
    return answer


@pytest.fixture(scope="module")
def dying(functions_run: None) -> Iterator[Dying]:
    with deployers((*KILLED, *OTHERS), LATEST) as dying:
        sqs = dying.cloud.client("sqs")
        name = dying.cloud.output("WatchdogQueueArn").rpartition(":")[2]
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": str(DELAY)})
        yield dying
