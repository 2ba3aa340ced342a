"""SQS as a source of invocations: every event source mapping is polled, as Lambda's pollers do.

A message must never be lost: it leaves its queue when the function has taken it, or for the
dead-letter queue. Nor may anybody send what a policy denies.
"""

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.models import EventSourceMapping, LambdaBackend, lambda_backends
from moto.sns.models import Subscription
from moto.sqs.exceptions import SQSException
from moto.sqs.models import Queue, SQSBackend, sqs_backends
from moto.sqs.responses import SQSResponse

from local import delivery, roles
from local.sandbox import ACCOUNT, REGION
from local.service import Service

#: Batches of one mapping that run at a time, unless its ScalingConfig says otherwise.
_CONCURRENT = 5

_moto_create, _moto_delete = LambdaBackend.create_event_source_mapping, Queue.delete_message
_moto_set = Queue._set_attributes
_moto_receive, _moto_publish = SQSBackend.receive_message, Subscription.publish


def apply() -> None:
    LambdaBackend.create_event_source_mapping = create_event_source_mapping
    Queue.delete_message = _delete_message
    Queue.update_from_cloudformation_json = classmethod(_update_queue)
    Queue._set_attributes = _set_attributes
    SQSBackend.receive_message = _receive_message
    Subscription.publish = _publish
    SQSResponse.send_message = _if_allowed(SQSResponse.send_message)
    SQSResponse.send_message_batch = _if_allowed(SQSResponse.send_message_batch)


def _if_allowed(send: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """As moto's, if the caller's policies and the queue's let it."""

    def sends(self: Any) -> Any:
        queue = self.sqs_backend.get_queue(self._get_queue_name())
        caller = roles.caller(self.headers)
        if not roles.may(caller, "sqs:SendMessage", queue.queue_arn, queue._policy_json):
            told = f"sqs:SendMessage on resource: {queue.queue_arn}"
            error = f"User: {caller} is not authorized to perform: {told}"
            raise SQSException("AccessDenied", error)
        return send(self)

    return sends


def _set_attributes(self: Any, attributes: dict[str, Any], now: float | None = None) -> None:
    """As moto's, which forgets the policy when other attributes are set."""
    policy = getattr(self, "_policy_json", None)
    _moto_set(self, attributes, now)
    if "Policy" not in attributes and policy:
        self._policy_json = policy


def create_event_source_mapping(self: Any, spec: dict[str, Any]) -> Any:
    """As moto's, with AWS's check of the time-outs; and moto must not run the function itself, in
    Docker."""
    if spec.get("FilterCriteria"):
        raise InvalidParameterValueException("FilterCriteria are not known here.")
    if "BatchSize" in spec:
        spec["BatchSize"] = int(spec["BatchSize"])  # a template's parameter is a string
    mapping = _moto_create(self, spec)
    queue = sqs_backends[ACCOUNT][REGION].get_queue(mapping.event_source_arn.rpartition(":")[2])
    queue.lambda_event_source_mappings.clear()
    timeout = int(self.get_function(_called(mapping)[0]).timeout)
    if queue.visibility_timeout < timeout:
        self.delete_event_source_mapping(mapping.uuid)
        raise InvalidParameterValueException(
            f"Queue visibility timeout: {queue.visibility_timeout} seconds is less than "
            f"Function timeout: {timeout} seconds"
        )
    return mapping


def _receive_message(self: Any, queue_name: str, *args: Any, **kwargs: Any) -> Any:
    """One at a time for each queue, so that no message is given to two; moto lets go of the lock
    while it waits."""
    with self.get_queue(queue_name)._messages_lock:
        return _moto_receive(self, queue_name, *args, **kwargs)


def _delete_message(self: Any, receipt_handle: str) -> None:
    """Under the lock: moto puts a new list in the old one's place, and would lose what is sent
    meanwhile."""
    with self._messages_lock:
        _moto_delete(self, receipt_handle)


def _update_queue(
    cls: Any,
    original_resource: Any,
    new_resource_name: str,
    cloudformation_json: Any,
    *_: Any,
    **__: Any,
) -> Any:
    """All attributes; moto takes over two of them."""
    known = {
        key: value
        for key, value in cloudformation_json["Properties"].items()
        if key not in ("QueueName", "Tags")
    }
    original_resource._set_attributes(known)
    return original_resource


def _publish(self: Any, message: str, *args: Any, **kwargs: Any) -> None:
    """A topic's message to one subscriber; a queue's policy must let the topic in."""
    try:
        if self.protocol == "sqs":
            delivery.check_queue(self.endpoint, "sns.amazonaws.com", self.topic.arn)
        _moto_publish(self, message, *args, **kwargs)
    except Exception as error:
        print(
            f"local AWS: {self.topic.arn} did not reach {self.endpoint}: {error!r}",
            file=sys.stderr,
            flush=True,
        )


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
        most = (mapping.scaling_config or {}).get("MaximumConcurrency", _CONCURRENT)
        queue = sqs_backends[ACCOUNT][REGION].queues.get(
            mapping.event_source_arn.rpartition(":")[2]
        )
        if queue is None or self._running[mapping.uuid] >= most:
            return False
        receive = sqs_backends[ACCOUNT][REGION].receive_message
        messages = receive(queue.name, mapping.batch_size, 0, queue.visibility_timeout, ["All"])
        if messages:
            with self._lock:
                self._running[mapping.uuid] += 1
            threading.Thread(
                target=self._run_batch, args=(mapping, queue, messages), daemon=True
            ).start()
        return bool(messages)

    def _run_batch(self, mapping: EventSourceMapping, queue: Queue, messages: list[Any]) -> None:
        """What failed stays, and is visible again after the queue's visibility time-out."""
        try:
            event = {"Records": [record(message, queue) for message in messages]}
            answer = self._service.run(*_called(mapping), json.dumps(event).encode())
            failed = {message.id for message in messages} if answer.failed else set()
            if not answer.failed and "ReportBatchItemFailures" in (
                mapping.function_response_types or []
            ):
                failed = reported(answer.payload, {message.id for message in messages})
            for message in messages:
                if message.id not in failed:
                    queue.delete_message(message.receipt_handle)
        except Exception as error:
            print(
                f"local AWS: a batch of {queue.name} was not run: {error!r}",
                file=sys.stderr,
                flush=True,
            )
        finally:
            with self._lock:
                self._running[mapping.uuid] -= 1


def _called(mapping: EventSourceMapping) -> tuple[str, str]:
    """The function's name, and its qualifier."""
    name, _, qualifier = mapping.function_name.rpartition("function:")[2].partition(":")
    return name, qualifier or "$LATEST"


def record(message: Any, queue: Queue) -> dict[str, Any]:
    """A message as the function gets it."""
    attributes = {
        "ApproximateReceiveCount": message.approximate_receive_count,
        "SentTimestamp": message.sent_timestamp,
        "SenderId": message.sender_id,
        "ApproximateFirstReceiveTimestamp": message.approximate_first_receive_timestamp,
    }
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {key: str(value) for key, value in attributes.items()},
        "messageAttributes": {
            name: {
                **{
                    f"{key[0].lower()}{key[1:]}": value
                    for key, value in attribute.items()
                    if value is not None
                },
                "stringListValues": [],
                "binaryListValues": [],
            }
            for name, attribute in message.message_attributes.items()
        },
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.queue_arn,
        "awsRegion": REGION,
    }


def reported(payload: bytes, messages: set[str]) -> set[str]:
    """What a function with ReportBatchItemFailures did not take: everything, if its answer is not
    as it must be."""
    try:
        failures = (json.loads(payload or b"null") or {}).get("batchItemFailures") or []
        named = {failure["itemIdentifier"] for failure in failures}
    except (ValueError, AttributeError, KeyError, TypeError):
        return messages
    return named if named <= messages else messages
