"""SQS: an operator moves what is in a dead-letter queue to another queue, and asks how that went.

A message must never be lost on its way, nor reach a queue whose policy denies it to whoever moves
it.
"""

import time
import uuid
from typing import Any

from moto.core.responses import ActionResult
from moto.sqs.exceptions import InvalidParameterValue
from moto.sqs.responses import SQSResponse

from local import roles

#: The tasks that were started, the newest last; each has ended by the time that its start answers.
_tasks: list[dict[str, Any]] = []


def apply() -> None:
    SQSResponse.start_message_move_task = _start
    SQSResponse.list_message_move_tasks = _list


def _start(self: Any) -> ActionResult:
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


def _list(self: Any) -> ActionResult:
    """The last one, unless more are asked for."""
    source, most = self._get_param("SourceArn"), int(self._get_param("MaxResults") or 1)
    newest_first = [task for task in reversed(_tasks) if task["SourceArn"] == source]
    return ActionResult({"Results": newest_first[:most]})


def _moved(self: Any, source: Any, destination: str) -> dict[str, Any]:
    """How it ended."""
    backend = self.sqs_backend
    target = backend.get_queue(destination.rpartition(":")[2])
    caller = roles.caller(self.headers)
    if not roles.may(caller, "sqs:SendMessage", destination, target._policy_json):
        why = f"{caller} is not authorized to perform: sqs:SendMessage on resource: {destination}"
        return {"Status": "FAILED", "FailureReason": why}
    count = 0
    while messages := backend.receive_message(source.name, 10, 0, 30, ["All"]):
        for message in messages:
            backend.send_message(target.name, message.body, message.message_attributes)
            source.delete_message(message.receipt_handle)
            count += 1
    return {"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": count}
