"""SQS: who may send to a queue, what it keeps, and how an operator empties a dead-letter queue.

A message must never be lost, nor reach a queue whose policy denies it to whoever sends it.
"""

import time
import uuid
from typing import Any

from moto.core.responses import ActionResult
from moto.sns.models import Subscription
from moto.sqs.exceptions import InvalidParameterValue, SQSException
from moto.sqs.models import Queue, SQSBackend
from moto.sqs.responses import SQSResponse

from local import delivery, roles
from local.patches import replaces

_moto_send = SQSResponse.send_message
_moto_send_batch = SQSResponse.send_message_batch
_moto_publish = Subscription.publish
_moto_receive = SQSBackend.receive_message
_moto_delete = Queue.delete_message
_moto_set = Queue._set_attributes


# Who may send.


@replaces(SQSResponse, "send_message")
def _send(self: Any) -> Any:
    """AWS: the caller's policies and the queue's must let it send.
    moto: lets everybody send.
    Upstream: moto's own check of policies, for resources' policies, too.
    """
    _check_sender(self)
    return _moto_send(self)


@replaces(SQSResponse, "send_message_batch")
def _send_batch(self: Any) -> Any:
    """AWS: asks the same of whoever sends several messages at once.
    moto: lets everybody send those, too.
    Upstream: the same check.
    """
    _check_sender(self)
    return _moto_send_batch(self)


def _check_sender(response: Any) -> None:
    queue = response.sqs_backend.get_queue(response._get_queue_name())
    if why_not := _keeps_out(response, queue):
        raise SQSException("AccessDenied", f"User: {why_not}")


def _keeps_out(response: Any, queue: Any) -> str:
    """Why the caller may not send to the queue; empty when it may."""
    caller = roles.caller(response.headers)
    if roles.may(caller, "sqs:SendMessage", queue.queue_arn, queue._policy_json):
        return ""
    return f"{caller} is not authorized to perform: sqs:SendMessage on resource: {queue.queue_arn}"


@replaces(Subscription, "publish")
def _publish(self: Any, message: str, *args: Any, **kwargs: Any) -> None:
    """AWS: a topic's message reaches a queue only if the queue's policy lets the topic in.
    moto: asks no policy; and one subscriber that fails keeps the message from the others.
    Upstream: the check, and each subscriber on its own.
    """
    try:
        if self.protocol == "sqs":
            delivery.check_queue(self.endpoint, "sns.amazonaws.com", self.topic.arn)
        _moto_publish(self, message, *args, **kwargs)
    except Exception as error:
        delivery.complain(f"{self.topic.arn} did not reach {self.endpoint}: {error!r}")


# What a queue keeps.


@replaces(SQSBackend, "receive_message")
def _receive(self: Any, queue_name: str, *args: Any, **kwargs: Any) -> Any:
    """AWS: while a message is with one receiver, no other gets it.
    moto: two that receive at once may both get it.
    Upstream: the queue's own lock, which moto lets go of while it waits for messages.
    """
    with self.get_queue(queue_name)._messages_lock:
        return _moto_receive(self, queue_name, *args, **kwargs)


@replaces(Queue, "delete_message")
def _delete(self: Any, receipt_handle: str) -> None:
    """AWS: loses nothing.
    moto: puts a new list of messages in the old one's place, and loses what is sent meanwhile.
    Upstream: the queue's own lock around it.
    """
    with self._messages_lock:
        _moto_delete(self, receipt_handle)


@replaces(Queue, "_set_attributes")
def _set_attributes(self: Any, attributes: dict[str, Any], now: float | None = None) -> None:
    """AWS: an attribute that is not named stays.
    moto: forgets the policy when others are set.
    Upstream: the policy is set only where it is named.
    """
    policy = getattr(self, "_policy_json", None)
    _moto_set(self, attributes, now)
    if "Policy" not in attributes and policy:
        self._policy_json = policy


@replaces(Queue, "update_from_cloudformation_json", classmethod)
def _update_queue(cls: Any, *, original_resource: Any, cloudformation_json: Any, **_: Any) -> Any:
    """AWS: a stack's update sets all attributes of a queue.
    moto: takes over two of them.
    Upstream: all that it reads when a queue is created.
    """
    properties = cloudformation_json["Properties"]
    named = {key: properties[key] for key in properties if key not in ("QueueName", "Tags")}
    original_resource._set_attributes(named)
    return original_resource


# What an operator moves.

#: The tasks that were started, the newest last; each has ended by the time that its start answers.
_tasks: list[dict[str, Any]] = []


@replaces(SQSResponse, "start_message_move_task")
def _start_move(self: Any) -> ActionResult:
    """AWS: moves a dead-letter queue's messages, in the name of whoever asks for it.
    moto: does not know the call.
    Upstream: the call.
    """
    source = self._get_param("SourceArn")
    destination = self._get_param("DestinationArn")
    queue = self.sqs_backend.get_queue(source.rpartition(":")[2])
    if not self.sqs_backend.list_dead_letter_source_queues(queue.name):
        raise InvalidParameterValue("Source queue must be configured as a Dead Letter Queue.")
    if not destination:
        raise InvalidParameterValue("A task without DestinationArn is not known here.")
    task = {
        "SourceArn": source,
        "DestinationArn": destination,
        "StartedTimestamp": int(time.time() * 1000),
        **_moved(self, queue, destination),
    }
    _tasks.append(task)
    return ActionResult({"TaskHandle": str(uuid.uuid4())})


@replaces(SQSResponse, "list_message_move_tasks")
def _list_moves(self: Any) -> ActionResult:
    """AWS: tells how the last task went, or as many as are asked for.
    moto: does not know the call.
    Upstream: the call.
    """
    source = self._get_param("SourceArn")
    most = int(self._get_param("MaxResults") or 1)
    newest_first = [task for task in reversed(_tasks) if task["SourceArn"] == source]
    return ActionResult({"Results": newest_first[:most]})


def _moved(response: Any, source: Any, destination: str) -> dict[str, Any]:
    """How it ended."""
    backend = response.sqs_backend
    target = backend.get_queue(destination.rpartition(":")[2])
    if why_not := _keeps_out(response, target):
        return {"Status": "FAILED", "FailureReason": why_not}
    count = 0
    while messages := backend.receive_message(source.name, 10, 0, 30, ["All"]):
        for message in messages:
            backend.send_message(target.name, message.body, message.message_attributes)
            source.delete_message(message.receipt_handle)
            count += 1
    return {"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": count}
