"""SQS as a source of invocations: every event source mapping is polled, as Lambda's pollers do.

A message must never be lost: it leaves its queue when the function has taken it, or for the
dead-letter queue.
"""

import json
import threading
from collections import Counter
from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.models import EventSourceMapping, LambdaBackend, lambda_backends
from moto.sqs.models import Queue, sqs_backends

from local import delivery
from local.patches import replaces
from local.sandbox import ACCOUNT, REGION
from local.service import Service

#: Batches of one mapping that run at a time.
_CONCURRENT = 5

_moto_create = LambdaBackend.create_event_source_mapping


@replaces(LambdaBackend, "create_event_source_mapping")
def _create_mapping(self: Any, spec: dict[str, Any]) -> Any:
    """AWS: refuses a queue whose visibility time-out is shorter than the function's time-out.
    moto: takes it; and it runs the function itself, in Docker, whenever a message is sent.
    Upstream: the check, and a way to have the queue polled by somebody else.
    """
    for unknown in ("FilterCriteria", "FunctionResponseTypes", "ScalingConfig"):
        if spec.get(unknown):
            raise InvalidParameterValueException(f"{unknown} is not known here.")
    if "BatchSize" in spec:
        spec["BatchSize"] = int(spec["BatchSize"])  # a template's parameter is a string
    mapping = _moto_create(self, spec)
    queue = sqs_backends[ACCOUNT][REGION].get_queue(_queue_name(mapping))
    queue.lambda_event_source_mappings.clear()
    function, _ = _called(mapping)
    timeout = int(self.get_function(function).timeout)
    if queue.visibility_timeout < timeout:
        self.delete_event_source_mapping(mapping.uuid)
        raise InvalidParameterValueException(
            f"Queue visibility timeout: {queue.visibility_timeout} seconds is less than "
            f"Function timeout: {timeout} seconds"
        )
    return mapping


class Pollers:
    """Polls for every mapping that is enabled, until it is stopped."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()

    def keep(self, stopped: threading.Event) -> None:
        while not stopped.wait(0.1):
            for mapping in list(lambda_backends[ACCOUNT][REGION]._event_source_mappings.values()):
                if mapping.enabled and ":sqs:" in mapping.event_source_arn:
                    while self._take_batch(mapping):
                        pass

    def _take_batch(self, mapping: EventSourceMapping) -> bool:
        """Whether there was one to be taken."""
        sqs = sqs_backends[ACCOUNT][REGION]
        queue = sqs.queues.get(_queue_name(mapping))
        if queue is None or self._running[mapping.uuid] >= _CONCURRENT:
            return False
        visible_again = queue.visibility_timeout
        messages = sqs.receive_message(queue.name, mapping.batch_size, 0, visible_again, ["All"])
        if not messages:
            return False
        with self._lock:
            self._running[mapping.uuid] += 1
        batch = (mapping, queue, messages)
        threading.Thread(target=self._run_batch, args=batch, daemon=True).start()
        return True

    def _run_batch(self, mapping: EventSourceMapping, queue: Queue, messages: list[Any]) -> None:
        """What failed stays, and is visible again after the queue's visibility time-out."""
        try:
            function, qualifier = _called(mapping)
            event = {"Records": [record(message, queue) for message in messages]}
            answer = self._service.run(function, qualifier, json.dumps(event).encode())
            if not answer.failed:
                for message in messages:
                    queue.delete_message(message.receipt_handle)
        except Exception as error:
            delivery.complain(f"a batch of {queue.name} was not run: {error!r}")
        finally:
            with self._lock:
                self._running[mapping.uuid] -= 1


def _queue_name(mapping: EventSourceMapping) -> str:
    return str(mapping.event_source_arn.rpartition(":")[2])


def _called(mapping: EventSourceMapping) -> tuple[str, str]:
    """The function's name, and its qualifier."""
    name, _, qualifier = mapping.function_name.rpartition("function:")[2].partition(":")
    return name, qualifier or "$LATEST"


def record(message: Any, queue: Queue) -> dict[str, Any]:
    """A message as the function gets it."""
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": str(message.approximate_receive_count),
            "SentTimestamp": str(message.sent_timestamp),
            "SenderId": str(message.sender_id),
            "ApproximateFirstReceiveTimestamp": str(message.approximate_first_receive_timestamp),
        },
        "messageAttributes": {
            name: _attribute(attribute) for name, attribute in message.message_attributes.items()
        },
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.queue_arn,
        "awsRegion": REGION,
    }


def _attribute(attribute: dict[str, Any]) -> dict[str, Any]:
    """A message's attribute: the API's `StringValue` is the function's `stringValue`."""
    told: dict[str, Any] = {}
    for key, value in attribute.items():
        if value is not None:
            told[f"{key[0].lower()}{key[1:]}"] = value
    return {**told, "stringListValues": [], "binaryListValues": []}
