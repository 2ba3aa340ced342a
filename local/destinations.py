"""What becomes of an asynchronous invocation: its record, to the destination that the function is
configured with.

A record must never go out before the retries are used up.
"""

import json
from datetime import UTC, datetime
from typing import Any

from moto.awslambda.models import LambdaBackend

from local import delivery
from local.sandbox import Answer

_moto_put = LambdaBackend.put_function_event_invoke_config


def apply() -> None:
    LambdaBackend.put_function_event_invoke_config = _put_config
    LambdaBackend.update_function_event_invoke_config = _update_config


def _put_config(self: Any, function_name: str, config: dict[str, Any]) -> Any:
    """In the place of the one before; moto goes on to use the first."""
    self.get_function(function_name).event_invoke_config.clear()
    return _moto_put(self, function_name, config)


def _update_config(self: Any, function_name: str, config: dict[str, Any]) -> Any:
    before = self.get_function(function_name).event_invoke_config
    return _put_config(self, function_name, {**(before[0].config if before else {}), **config})


def tell(
    config: dict[str, Any],
    arn: str,
    version: str,
    request_id: str,
    payload: bytes,
    answer: Answer,
    count: int,
) -> None:
    """To `OnFailure` or `OnSuccess`, whichever it is and if there is one; `arn` is what was
    invoked."""
    destination = config.get("DestinationConfig", {}).get(
        "OnFailure" if answer.failed else "OnSuccess", {}
    )
    if destination.get("Destination"):
        told = json.dumps(record(arn, version, request_id, payload, answer, count))
        delivery.send(destination["Destination"], told, delivery.LAMBDA, arn)


def record(
    arn: str, version: str, request_id: str, payload: bytes, answer: Answer, count: int
) -> dict[str, Any]:
    """As AWS writes it."""
    return {
        "version": "1.0",
        "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
        "requestContext": {
            "requestId": request_id,
            "functionArn": arn,
            "condition": "RetriesExhausted" if answer.failed else "Success",
            "approximateInvokeCount": count,
        },
        "requestPayload": _json(payload),
        "responseContext": {
            "statusCode": 200,
            "executedVersion": version,
            **({"functionError": "Unhandled"} if answer.failed else {}),
        },
        "responsePayload": _json(answer.payload),
    }


def _json(payload: bytes) -> Any:
    try:
        return json.loads(payload or b"{}")
    except ValueError:
        return payload.decode(errors="replace")
