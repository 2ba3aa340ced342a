"""A stack with one of everything that the local AWS can do (parts.yaml), for the tests of the local
AWS itself."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.cloud import Cloud

STACK = "parts"
#: How the lines begin that a function has not written itself.
LAMBDA_S = re.compile(
    r"INIT_|(START|END|REPORT) RequestId: |RequestId: \S+ Error: |\S+Z \S+ Task timed out "
)
TEMPLATE = Path(__file__).with_name("parts.yaml")


class Parts:
    """The stack, and what its tests ask of it."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.client = cloud.client
        template = TEMPLATE.read_text(encoding="utf-8")
        cloud.client("cloudformation").create_stack(StackName=STACK, TemplateBody=template)

    def output(self, name: str) -> str:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        return str(outputs[name])

    def url(self, queue: str) -> str:
        return str(self.client("sqs").get_queue_url(QueueName=queue)["QueueUrl"])

    def send(self, queue: str, body: Any, **request: Any) -> str:
        """The message's id."""
        send = self.client("sqs").send_message
        sent = send(QueueUrl=self.url(queue), MessageBody=json.dumps(body), **request)
        return str(sent["MessageId"])

    def received(self, queue: str, good: Callable[[Any], bool] = lambda _: True) -> dict[str, Any]:
        """The next message of the queue whose body is good, read and deleted, with all that are
        before it."""
        sqs = self.client("sqs")
        asked = {
            "QueueUrl": self.url(queue),
            "WaitTimeSeconds": 1,
            "AttributeNames": ["All"],
            "MaxNumberOfMessages": 1,
        }
        seen = []
        for _ in range(8):
            for message in sqs.receive_message(**asked).get("Messages", []):
                receipt = message["ReceiptHandle"]
                sqs.delete_message(QueueUrl=asked["QueueUrl"], ReceiptHandle=receipt)
                seen.append(message["Body"])
                if good(json.loads(message["Body"])):
                    return dict(message)
        raise AssertionError(f"not in the queue '{queue}': {seen}")

    def heard(self, queue: str, good: Callable[[Any], bool] = lambda _: True) -> Any:
        """The same, only its body."""
        return json.loads(self.received(queue, good)["Body"])

    def empty(self, queue: str) -> bool:
        ask = self.client("sqs").get_queue_attributes
        told = ask(QueueUrl=self.url(queue), AttributeNames=["All"])["Attributes"]
        counts = [told[name] for name in told if name.startswith("ApproximateNumber")]
        return not any(int(count) for count in counts)

    def log(self, function: str) -> list[tuple[float, str]]:
        """What the function printed: when, and what, without its end of line."""
        events = self.cloud.written(f"/aws/lambda/{function}")
        told = [(event["timestamp"] / 1000, event["message"].rstrip("\n")) for event in events]
        return [(at, line) for at, line in told if not LAMBDA_S.match(line)]

    def records(self, message: str) -> list[tuple[float, dict[str, Any]]]:
        """How the worker got the message with this id: when, and its record."""
        found = []
        for at, line in self.log("worker"):
            if not line.startswith('{"Records"'):
                continue
            for record in json.loads(line)["Records"]:
                if record["messageId"] == message:
                    found.append((at, record))
        return found


def until(look: Callable[[], Any], good: Callable[[Any], Any] = bool) -> Any:
    """What it sees when that is good; within ten seconds."""
    for _ in range(200):
        if good(seen := look()):
            return seen
        time.sleep(0.05)
    raise AssertionError(f"it did not happen within ten seconds: {seen}")
