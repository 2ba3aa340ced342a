"""Deployers that die on a local AWS, each on an alias of its own, and what becomes of the aliases.

Every story is started, killed and watched as by a person with the AWS command line and `kill -9`.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from local import processes
from local.cloud import FAILING, FUNCTION, HEALTHY, ORIGINAL, WORDS, Cloud, running

DEPLOYER = "SimpleDeployFunction"

#: Within so many seconds after its deployer's death an alias is back, as the docs promise.
PROMISED = 240.0

#: A deployer is killed with more than so many seconds of its invocation left.
LEFT = 600.0


@contextlib.contextmanager
def deployers(names: Iterable[str], latest: float) -> "Iterator[Dying]":
    """A local AWS for them, each with an alias of its own; leases fire up to `latest` seconds
    late."""
    with running(1.0, latest=latest) as cloud, ThreadPoolExecutor(20) as pool:
        cloud.install()
        cloud.publish_checkout()
        yield Dying(cloud, pool, names)


class Dying:
    """The stories' aliases, and a queue that gets every event, as a person's topic would."""

    def __init__(self, cloud: Cloud, pool: ThreadPoolExecutor, names: Iterable[str]) -> None:
        self.cloud = cloud
        self.names = tuple(names)
        self._pool = pool
        self._one_at_a_time = threading.Lock()
        self._told = queue_of_all_events(cloud)
        lambda_ = cloud.client("lambda")
        for name in self.names:
            lambda_.create_alias(
                FunctionName=FUNCTION,
                Name=name,
                FunctionVersion=ORIGINAL,
                Description=WORDS,
            )

    def payload(
        self, name: str, interval: float = 6.0, settle: float = 0.0, version: str = HEALTHY
    ) -> str:
        payload = {
            "function-name": FUNCTION,
            "alias-name": name,
            "new-version": version,
            "weights": [0.5, 1],
            "interval": interval,
            "health-check": {"settle": settle, "every": 2},
        }
        return json.dumps(payload)

    def invoke(self, name: str, interval: float = 6.0) -> "Future[dict[str, Any]]":
        """A rollout by the function, under way when this returns."""
        return self._started(self.payload(name, interval))[0]

    def killed(self, name: str, after: float) -> float:
        """`kill -9` so long after the first shift; how many seconds until the alias is back."""
        began = time.monotonic()
        _, sandbox = self._started(self.payload(name, interval=150.0))
        self.wait_for_split(name)
        time.sleep(after)
        processes.kill(sandbox["pids"])
        died = time.monotonic()
        about = self.cloud.client("lambda").get_function_configuration(FunctionName=DEPLOYER)
        assert about["Timeout"] - (died - began) > LEFT, "most of its time was left"
        assert "RoutingConfig" in self._alias(name), "it left a split"
        return self.comes_back(name) - died

    def killed_while_suspended(self, name: str) -> float:
        """`kill -9` once the log has had it suspended; how many seconds until the alias is back."""
        _, sandbox = self._started(self.payload(name, interval=150.0, version=FAILING))
        self.wait_for_split(name)
        self._fail_a_call()

        def is_suspended() -> bool:
            alias = self._alias(name)
            stamped = " suspended at 0.5 (1/2) until " in alias["Description"]
            return stamped and "RoutingConfig" not in alias

        self._until(is_suspended, f"the rollout of {name} is suspended")
        processes.kill(sandbox["pids"])
        died = time.monotonic()
        return self.comes_back(name) - died

    def wait_for_split(self, name: str) -> None:
        self._until(lambda: "RoutingConfig" in self._alias(name), f"the alias {name} is split")

    def comes_back(self, name: str) -> float:
        """When it did, with its own description."""

        def is_back() -> bool:
            alias = self._alias(name)
            return "RoutingConfig" not in alias and "[rollout " not in alias["Description"]

        self._until(is_back, f"the alias {name} comes back")
        back = time.monotonic()
        self.stands_on(name, ORIGINAL)
        return back

    def stands_on(self, name: str, version: str) -> None:
        alias = self._alias(name)
        told = (alias["FunctionVersion"], alias.get("RoutingConfig"), alias["Description"])
        assert told == (version, None, WORDS)

    def endings(self) -> dict[str, list[str]]:
        """What was told of each alias after its last shift."""
        sqs = self.cloud.client("sqs")
        told: dict[str, list[str]] = {name: [] for name in self.names}
        request = {"QueueUrl": self._told, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 2}
        while messages := sqs.receive_message(**request).get("Messages"):
            for message in messages:
                detail = json.loads(message["Body"])["detail"]
                if detail["status"] not in ("STARTED", "SHIFTED"):
                    told[detail["alias"]].append(detail["status"])
                sqs.delete_message(QueueUrl=self._told, ReceiptHandle=message["ReceiptHandle"])
        return told

    def leases(self) -> list[str]:
        """The rollouts that hold one."""
        told = self.cloud.client("scheduler").list_schedules()["Schedules"]
        return [schedule["Name"] for schedule in told]

    def _started(self, payload: str) -> "tuple[Future[dict[str, Any]], Any]":
        """The answer to come, and the sandbox in which it runs."""
        with self._one_at_a_time:
            before = [each["request-id"] for each in self.cloud.sandboxes(DEPLOYER)]
            answer = self._pool.submit(self._invoke, payload)
            new: list[Any] = []

            def starts() -> bool:
                sandboxes = self.cloud.sandboxes(DEPLOYER)
                new[:] = [each for each in sandboxes if each["request-id"] not in before]
                return bool(new)

            self._until(starts, f"a deployer runs: {payload}")
        return answer, new[0]

    def _invoke(self, payload: str) -> dict[str, Any]:
        answer = self.cloud.client("lambda").invoke(FunctionName=DEPLOYER, Payload=payload)
        return dict(json.loads(answer["Payload"].read()))

    def _fail_a_call(self) -> None:
        """Not one of an alias: nothing but the log can know of it."""
        invoke = self.cloud.client("lambda").invoke
        request = {"FunctionName": FUNCTION, "Qualifier": FAILING, "Payload": b"{}"}
        self._until(lambda: "FunctionError" in invoke(**request), "a call fails")

    def _alias(self, name: str) -> dict[str, Any]:
        return dict(self.cloud.client("lambda").get_alias(FunctionName=FUNCTION, Name=name))

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        give_up = time.monotonic() + PROMISED + 30
        while time.monotonic() < give_up:
            with contextlib.suppress(ClientError):  # the control plane is away in one story
                if holds():
                    return
            time.sleep(0.2)
        raise AssertionError(f"Not within {PROMISED + 30:.0f} s: {what}.")


def tell(seconds: Mapping[str, float]) -> None:
    """How long after its deployer's death each alias was back."""
    for name, each in seconds.items():
        told = f"{name}: the alias was back {each:.0f} s after its deployer had died"
        print(f"\n  {told}", end="")


def queue_of_all_events(cloud: Cloud) -> str:
    sqs = cloud.client("sqs")
    events = cloud.client("events")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = asked["Attributes"]["QueueArn"]
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_rule(Name="told", EventPattern=json.dumps({"source": ["aws-lambda-deploy"]}))
    events.put_targets(Rule="told", Targets=[{"Id": "1", "Arn": arn}])
    return str(url)
