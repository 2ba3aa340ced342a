"""CodeDeploy's hook on the local AWS, in the real runtime: deployments of functions whose tags say
how to roll out. The test plays CloudFormation, users, and an operator."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from local.cloud import ALIAS, FAILING, FUNCTION, HEALTHY, ORIGINAL, WORDS, Cloud, running
from tests.deployments import ENDED, Deployments
from tests.dying import queue_of_all_events

HOOK = "CodeDeployHook_Rollout"
#: Two functions of one stack, and one whose weights last long.
CART = "cart"
PATIENT = "patient"
TAGS = {
    FUNCTION: "weights=0.5/1 interval=6 settle=90 every=2",
    CART: "weights=0.5/1 interval=6 settle=90 every=2 errors=any",
    PATIENT: "weights=0.5/1 interval=300 settle=0 every=5",
}
PATIENCE = 240.0


@dataclass
class Story:
    """A deployment, and what its end was like."""

    function: str
    alias: str
    deployment: str
    status: tuple[str, str] = ("", "")
    now: dict[str, Any] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    #: From the version that it stood on, through every weight that was seen.
    history: list[str] = field(default_factory=list)

    def stands_on(self, version: str) -> bool:
        told = (self.now["FunctionVersion"], self.now.get("RoutingConfig"), self.now["Description"])
        return told == (version, None, WORDS)


class Shop:
    """The deployments, all under way at once."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._lambda = cloud.client("lambda")
        self._events = queue_of_all_events(cloud)
        self._deployments = Deployments(cloud)
        self.codedeploy = self._deployments.codedeploy
        self.over = threading.Event()

    def publish(self) -> None:
        for name, tag in TAGS.items():
            self.cloud.publish_checkout(name)
            arn = self._lambda.get_function_configuration(FunctionName=name)["FunctionArn"]
            self._lambda.tag_resource(Resource=arn, Tags={"rollout": tag})
        # A stopped task is not waited for so long as on AWS: none of these stories has one.
        url = self.cloud.output("WatchdogQueueArn").rpartition(":")[2]
        sqs = self.cloud.client("sqs")
        queue = sqs.get_queue_url(QueueName=url)["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"DelaySeconds": "5"})

    def start(self, function: str, alias: str = ALIAS, target: str = HEALTHY) -> Story:
        if alias != ALIAS:
            self._lambda.create_alias(
                FunctionName=function,
                Name=alias,
                FunctionVersion=ORIGINAL,
                Description=WORDS,
            )
        return self._started(function, alias, ORIGINAL, target)

    def back(self, function: str, current: str, target: str) -> Story:
        """CloudFormation's rollback of the alias."""
        return self._started(function, ALIAS, current, target)

    def _started(self, function: str, alias: str, current: str, target: str) -> Story:
        deployment = self._deployments.start(
            HOOK,
            function=function,
            alias=alias,
            current=current,
            target=target,
        )
        return Story(function, alias, deployment, history=[current])

    def call(self, function: str, alias: str) -> None:
        """Users, until all is over."""
        while not self.over.wait(0.15):
            self._lambda.invoke(FunctionName=function, Qualifier=alias, Payload=b"{}")

    def watch(self, story: Story) -> Story:
        """To its end."""

        def see() -> bool:
            # The status first: of one that has ended, the alias is then seen as its end left it.
            ended = self._deployments.status(story.deployment) in ENDED
            alias = self._alias(story)
            weights = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
            for state in [*map(str, weights.values())] or [alias["FunctionVersion"]]:
                if state not in story.history[-1:]:
                    story.history.append(state)
            return ended

        until(see, f"{story.deployment} ends")
        story.status = self._deployments.ended(story.deployment)
        return story

    def wait_for_split(self, story: Story) -> None:
        until(lambda: "RoutingConfig" in self._alias(story), "the alias is split")

    def settled(self, story: Story) -> None:
        """The alias, once it is nobody's any more."""

        def is_settled() -> bool:
            story.now = self._alias(story)
            stamped = "[rollout " in story.now["Description"]
            return "RoutingConfig" not in story.now and not stamped

        until(is_settled, "the alias is on one version")

    def stop_execution(self, story: Story) -> None:
        machine = self.cloud.output("StateMachineArn").replace(":stateMachine:", ":execution:")
        execution = f"{machine}:CodeDeploy-{story.deployment}"
        self.cloud.client("stepfunctions").stop_execution(executionArn=execution)

    def hear(self, stories: list[Story]) -> None:
        """What was told of each, but for its shifts."""
        sqs = self.cloud.client("sqs")
        request = {"QueueUrl": self._events, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}
        while messages := sqs.receive_message(**request).get("Messages"):
            for message in messages:
                detail = json.loads(message["Body"])["detail"]
                for story in stories:
                    by = detail.get("started-by", "")
                    of_it = (detail["function"], detail["alias"]) == (story.function, story.alias)
                    if of_it and by in ("", f"CodeDeploy {story.deployment}"):
                        story.told.append(detail["status"])
                sqs.delete_message(QueueUrl=self._events, ReceiptHandle=message["ReceiptHandle"])

    def _alias(self, story: Story) -> dict[str, Any]:
        return dict(self._lambda.get_alias(FunctionName=story.function, Name=story.alias))


def until(holds: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError(f"Not within {PATIENCE:.0f} s: {what}.")


@pytest.fixture(scope="module")
def stories(functions_run: None) -> Iterator[dict[str, Story]]:
    """All of them at once, to their ends."""
    with running(1.0, log_delay=0.3) as cloud, ThreadPoolExecutor(12) as pool:
        cloud.install("CodeDeployHook=true")
        shop = Shop(cloud)
        shop.publish()
        played = {
            "good": shop.start(FUNCTION),
            "bad": shop.start(CART, target=FAILING),
            "stopped": shop.start(PATIENT, "stopped"),
            "halted": shop.start(PATIENT, "halted"),
        }
        users = [pool.submit(shop.call, each, ALIAS) for each in (FUNCTION, CART)]
        watched = {name: pool.submit(shop.watch, story) for name, story in played.items()}
        try:
            shop.wait_for_split(played["stopped"])
            shop.codedeploy.stop_deployment(deploymentId=played["stopped"].deployment)
            shop.wait_for_split(played["halted"])
            shop.stop_execution(played["halted"])
            for each in watched.values():
                each.result()
            # One of the stack's two functions has failed: CloudFormation takes the other one back.
            shop.settled(played["good"])
            played["taken back"] = shop.watch(shop.back(FUNCTION, HEALTHY, ORIGINAL))
            for story in played.values():
                if story is not played["good"]:
                    shop.settled(story)
            shop.hear([*played.values()])
        finally:
            shop.over.set()
        for user in users:
            user.result()
        yield played


def test_a_good_version_is_rehearsed_given_back_and_moved(stories: dict[str, Story]) -> None:
    story = stories["good"]
    assert story.status == ("Succeeded", "")
    assert story.stands_on(HEALTHY)
    assert [state for state in story.history if "." in state] == ["0.5", "1.0"]
    assert story.history[-3:] == ["1.0", ORIGINAL, HEALTHY]
    assert [status for status in story.told if status not in SHIFTS] == ["APPROVED"]


def test_a_bad_version_is_rolled_back_and_its_deployment_fails(stories: dict[str, Story]) -> None:
    story = stories["bad"]
    assert story.status == ("Failed", "HOOK_EXECUTION_FAILURE")
    assert story.stands_on(ORIGINAL) and FAILING not in story.history
    told = [status for status in story.told if status not in SHIFTS]
    assert told == ["ROLLED_BACK", "HealthCheckFailed"]


def test_of_two_functions_of_a_stack_the_other_one_is_taken_back_and_approved_at_once(
    stories: dict[str, Story],
) -> None:
    assert stories["bad"].status[0] == "Failed"
    story = stories["taken back"]
    assert story.status == ("Succeeded", "")
    assert story.stands_on(ORIGINAL) and stories["bad"].stands_on(ORIGINAL)
    assert story.history == [HEALTHY, ORIGINAL], "nothing was rehearsed"
    assert story.told == []


def test_one_that_is_stopped_in_codedeploy_is_stopped_and_rolled_back(
    stories: dict[str, Story],
) -> None:
    story = stories["stopped"]
    assert story.status == ("Stopped", "MANUAL_STOP")
    assert story.stands_on(ORIGINAL)
    told = [status for status in story.told if status not in SHIFTS]
    assert told == ["ROLLED_BACK", "RolloutInterrupted"]


def test_one_whose_execution_is_stopped_fails_once_the_watchdog_has_rolled_it_back(
    stories: dict[str, Story],
) -> None:
    story = stories["halted"]
    assert story.status == ("Failed", "HOOK_EXECUTION_FAILURE")
    assert story.stands_on(ORIGINAL) and story.history[-1] == ORIGINAL
    told = [status for status in story.told if status not in SHIFTS]
    assert told == ["ROLLED_BACK", "RolloutInterrupted"]


SHIFTS = ("STARTED", "SHIFTED", "SUSPENDED", "RESUMED")
