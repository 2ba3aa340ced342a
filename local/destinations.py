"""What becomes of a failed asynchronous invocation: its record, to the function's `OnFailure`.

A record must never go out before the retries are used up.
"""

import json
from datetime import UTC, datetime
from typing import Any

from moto.awslambda.models import LambdaBackend

from local import delivery
from local.patches import replaces
from local.sandbox import Answer

_moto_put = LambdaBackend.put_function_event_invoke_config


@replaces(LambdaBackend, "put_function_event_invoke_config")
def _put_config(self: Any, function_name: str, config: dict[str, Any]) -> Any:
    """AWS: a configuration takes the place of the one before.
    moto: adds it to a list, and goes on to use the first.
    Upstream: a list of one.
    """
    self.get_function(function_name).event_invoke_config.clear()
    return _moto_put(self, function_name, config)


def tell(
    config: dict[str, Any],
    arn: str,
    version: str,
    request_id: str,
    payload: bytes,
    answer: Answer,
    count: int,
) -> None:
    """To `OnFailure`, if there is one; `arn` is what was invoked, `count` how often."""
    destination = config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    if not destination:
        return
    record = {
        "version": "1.0",
        "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
        "requestContext": {
            "requestId": request_id,
            "functionArn": arn,
            "condition": "RetriesExhausted",
            "approximateInvokeCount": count,
        },
        "requestPayload": _json(payload),
        "responseContext": {
            "statusCode": 200,
            "executedVersion": version,
            "functionError": "Unhandled",
        },
        "responsePayload": _json(answer.payload),
    }
    delivery.send(destination, json.dumps(record), delivery.LAMBDA, arn)


def _json(payload: bytes) -> Any:
    try:
        return json.loads(payload or b"{}")
    except ValueError:
        return payload.decode(errors="replace")
