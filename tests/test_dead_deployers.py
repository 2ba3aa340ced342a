"""Deployers that really die, on the local AWS: each alias comes back, and somebody is told.

One local AWS of its own, because SimpleDeployFunction's time-out is shortened: the watchdog's message is due when the
time that the invocation had is over. The stories run side by side, and each has an alias of its own.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud import FUNCTION, HEALTHY, ORIGINAL, WORDS, Cloud, running
from local.sandbox import emulator

#: Seconds: the shortened time-out; what a test waits for at most; the queue's delay, longer than a task in these tests.
TIMEOUT, LONGEST, DELAY = 90, 170, 25

DEPLOYER = "SimpleDeployFunction"
STORIES = ("killed", "lied-to", "cut-off", "aborted", "untouched")


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    try:
        emulator()
    except RuntimeError as error:
        pytest.skip(str(error))
    with running(1.0) as cloud:
        cloud.install()
        cloud.publish_checkout()
        lambda_, sqs = cloud.client("lambda"), cloud.client("sqs")
        lambda_.update_function_configuration(FunctionName=DEPLOYER, Timeout=TIMEOUT)
        for name in STORIES:
            lambda_.create_alias(FunctionName=FUNCTION, Name=name, FunctionVersion=ORIGINAL, Description=WORDS)
        sqs.set_queue_attributes(QueueUrl=_queue(cloud), Attributes={"DelaySeconds": str(DELAY)})
        yield cloud


@pytest.fixture(scope="module")
def told(cloud: Cloud) -> Any:
    """A queue that gets every event, as a person's topic would."""
    sqs, events = cloud.client("sqs"), cloud.client("events")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:*", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_rule(Name="told", EventPattern=json.dumps({"source": ["aws-lambda-deploy"]}))
    events.put_targets(Rule="told", Targets=[{"Id": "1", "Arn": arn}])
    return url


def test_every_dead_deployer_s_alias_comes_back_and_somebody_is_told(
    cloud: Cloud, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor() as pool:
        killed = _killed(cloud, pool)
        lied_to = _lied_to(cloud, pool)
        aborted = _aborted(cloud)
        cut_off = _cut_off(cloud, pool)
        back = {name: pool.submit(_comes_back, cloud, name) for name in ("killed", "lied-to", "aborted")}
        took = {name: future.result() - since for (name, future), since in _pairs(back, killed, lied_to, aborted)}
    with capsys.disabled():
        for name, seconds in took.items():
            print(f"\n  {name}: the alias was back {seconds:.0f} s after its deployer had died", end="")
    # The deployer had up to its time-out left; the state machine's queue has its own delay.
    assert took["killed"] <= TIMEOUT + 60 and took["lied-to"] <= TIMEOUT + 60 and took["aborted"] <= DELAY + 60
    endings = _endings(cloud, told)
    for name in ("killed", "lied-to", "aborted"):
        assert endings[name] == ["ROLLED_BACK", "RolloutInterrupted"], name
    assert cut_off.result()["rollout"]["status"] == "SUCCEEDED"
    assert endings["cut-off"] == ["SUCCEEDED"]
    _stands_on(cloud, "cut-off", HEALTHY)
    _stands_on(cloud, "untouched", ORIGINAL)


def _killed(cloud: Cloud, pool: ThreadPoolExecutor) -> float:
    """`kill -9` of the sandbox in mid-rollout."""
    pool.submit(_invoke, cloud, "killed")
    _split(cloud, "killed")
    cloud.kill(DEPLOYER)
    return time.monotonic()


def _lied_to(cloud: Cloud, pool: ThreadPoolExecutor) -> float:
    """A function that reaches its time-out long before its context says so."""
    cloud.client("lambda").update_function_configuration(
        FunctionName=DEPLOYER, Environment={"Variables": {**_variables(cloud), "LOCAL_KILLED_AFTER": "6"}}
    )
    future = pool.submit(_invoke, cloud, "lied-to")
    _split(cloud, "lied-to")
    future.result()
    variables = {key: value for key, value in _variables(cloud).items() if key != "LOCAL_KILLED_AFTER"}
    cloud.client("lambda").update_function_configuration(FunctionName=DEPLOYER, Environment={"Variables": variables})
    return time.monotonic()


def _aborted(cloud: Cloud) -> float:
    """An execution that is stopped while a task runs: CloudWatch does not answer it."""
    states = cloud.client("stepfunctions")
    machine, payload = cloud.output("StateMachineArn"), json.dumps(_payload("aborted", settle=60))
    execution = states.start_execution(stateMachineArn=machine, name="aborted", input=payload)["executionArn"]
    _split(cloud, "aborted")
    cloud.outage(5, how="drop", services=["monitoring"])
    time.sleep(2)
    states.stop_execution(executionArn=execution, error="Stopped", cause="By a test")
    return time.monotonic()


def _cut_off(cloud: Cloud, pool: ThreadPoolExecutor) -> "Future[dict[str, Any]]":
    """The control plane is away for some seconds in mid-rollout, and comes back."""
    future = pool.submit(_invoke, cloud, "cut-off")
    _split(cloud, "cut-off")
    cloud.outage(6, services=["lambda"])
    return future


def _payload(alias: str, settle: float = 0) -> dict[str, Any]:
    target = {"function-name": FUNCTION, "alias-name": alias, "new-version": HEALTHY}
    return {**target, "weights": [0.5, 1], "interval": 6, "health-check": {"settle": settle, "every": 2}}


def _invoke(cloud: Cloud, alias: str) -> dict[str, Any]:
    answer = cloud.client("lambda").invoke(FunctionName=DEPLOYER, Payload=json.dumps(_payload(alias)))
    return dict(json.loads(answer["Payload"].read()))


def _pairs(back: dict[str, Any], *since: float) -> Iterator[tuple[tuple[str, Any], float]]:
    return zip(back.items(), since, strict=True)


def _variables(cloud: Cloud) -> dict[str, str]:
    function = cloud.client("lambda").get_function_configuration(FunctionName=DEPLOYER)
    return dict(function["Environment"]["Variables"])


def _queue(cloud: Cloud) -> str:
    return _variables(cloud)["WATCHDOG_QUEUE_URL"]


def _alias(cloud: Cloud, name: str) -> dict[str, Any]:
    return dict(cloud.client("lambda").get_alias(FunctionName=FUNCTION, Name=name))


def _split(cloud: Cloud, name: str) -> None:
    _until(lambda: "RoutingConfig" in _alias(cloud, name), f"the alias {name} is split")


def _comes_back(cloud: Cloud, name: str) -> float:
    _until(lambda: "RoutingConfig" not in _alias(cloud, name), f"the alias {name} comes back")
    _stands_on(cloud, name, ORIGINAL)
    return time.monotonic()


def _stands_on(cloud: Cloud, name: str, version: str) -> None:
    alias = _alias(cloud, name)
    assert (alias["FunctionVersion"], alias.get("RoutingConfig"), alias["Description"]) == (version, None, WORDS)


def _endings(cloud: Cloud, url: str) -> dict[str, list[str]]:
    """What was told of each alias after its last shift."""
    sqs, told = cloud.client("sqs"), {name: list[str]() for name in STORIES}
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2).get("Messages"):
        for message in messages:
            detail = json.loads(message["Body"])["detail"]
            told[detail["alias"]].append(detail["status"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return {name: [status for status in said if status not in ("STARTED", "SHIFTED")] for name, said in told.items()}


def _until(holds: Any, what: str) -> None:
    give_up = time.monotonic() + LONGEST
    while time.monotonic() < give_up:
        with contextlib.suppress(ClientError):  # the control plane is away in one of the stories
            if holds():
                return
        time.sleep(0.2)
    raise AssertionError(f"Not within {LONGEST} s: {what}.")
