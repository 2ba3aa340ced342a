"""The Lambda service: routes a call by the alias's weights, runs it in a sandbox, keeps its log and
its metrics.

It must never run a version that the alias does not name, nor two invocations in one sandbox at a
time.
"""

import base64
import io
import json
import random
import tempfile
import threading
import time
import uuid
import zipfile
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from moto.awslambda.models import lambda_backends
from moto.awslambda.responses import LambdaResponse
from moto.core.responses import BaseResponse
from moto.logs.models import logs_backends

from local import delivery, destinations, roles
from local.metrics import Minutes
from local.sandbox import ACCOUNT, REGION, Answer, Sandbox

#: Seconds before AWS runs a failed asynchronous invocation again, unless `MaximumRetryAttempts`
#: says less.
_RETRIES = (60, 120)
_REQUEST_ID = "x-amzn-requestid"


class Service:
    """Every function's sandboxes; `delay` is how many seconds after its end a minute is
    published."""

    def __init__(self, delay: float, endpoint: str) -> None:
        self._endpoint = endpoint
        self._idle: dict[tuple[str, str], list[Sandbox]] = defaultdict(list)
        self._busy: dict[Sandbox, dict[str, Any]] = {}
        self._all: list[Sandbox] = []
        self._lock = threading.Lock()
        self._draw = random.Random(1)
        self._codes = tempfile.TemporaryDirectory(prefix="local-lambda-")
        self.stopped = threading.Event()
        self._minutes = Minutes(delay, self.stopped)

    def take_over(self) -> None:
        """From now on moto's `Invoke` is this service's (its own reads no qualifier, and runs
        Docker)."""
        service = self

        def invoke(response: Any) -> tuple[int, dict[str, str], bytes]:
            name, _, suffix = (
                unquote(response.path.rsplit("/", 2)[-2]).rpartition("function:")[2].partition(":")
            )
            qualifier = response.querystring.get("Qualifier", [suffix or "$LATEST"])[0]
            body = (
                response.body.encode() if isinstance(response.body, str) else response.body or b""
            )
            asynchronous = response.headers.get("X-Amz-Invocation-Type") == "Event"
            status, headers, answer = service.invoke(
                response.backend, name, qualifier, body, asynchronous
            )
            if response.headers.get("X-Amz-Log-Type") != "Tail":
                headers.pop("X-Amz-Log-Result", None)
            return status, headers, answer

        LambdaResponse.invoke = invoke
        LambdaResponse._enrich_response = staticmethod(_keep_request_id)
        delivery.invoke = self.invoke_later

    def invoke_later(self, name: str, qualifier: str, payload: bytes) -> None:
        """An asynchronous invocation by AWS itself, such as a rule's."""
        self.invoke(lambda_backends[ACCOUNT][REGION], name, qualifier, payload, asynchronous=True)

    def invoke(
        self, backend: Any, name: str, qualifier: str, payload: bytes, asynchronous: bool
    ) -> tuple[int, dict[str, str], bytes]:
        """`Invoke`'s status, headers and body."""
        function, request_id = self._route(backend, name, qualifier), str(uuid.uuid4())
        identity = {_REQUEST_ID: request_id}
        why_not = _not_json(payload)
        if why_not:
            refusal = {"Type": "User", "message": why_not}
            error = {"x-amzn-ErrorType": "InvalidRequestContentException"}
            return 400, {"status": "400", **error, **identity}, json.dumps(refusal).encode()
        if asynchronous:
            event = (backend, name, qualifier, payload, request_id)
            threading.Thread(target=self._run_event, args=event, daemon=True).start()
            return 202, {"status": "202", **identity}, b""
        answer = self._run(function, name, qualifier, payload, request_id)
        headers = {
            "content-type": "application/json",
            "X-Amz-Executed-Version": str(function.version),
            "X-Amz-Log-Result": base64.b64encode("\n".join(answer.log).encode()[-4096:]).decode(),
            **identity,
        }
        if answer.failed:
            headers["X-Amz-Function-Error"] = "Unhandled"
        return 200, headers, answer.payload

    def run(self, name: str, qualifier: str, payload: bytes) -> Answer:
        """An invocation by AWS itself, such as a queue's poller; it blocks."""
        function = self._route(lambda_backends[ACCOUNT][REGION], name, qualifier)
        return self._run(function, name, qualifier, payload, str(uuid.uuid4()))

    def sandboxes(self, function: str | None = None) -> list[dict[str, Any]]:
        """What runs now: function, version, request id, and the processes, the emulator first."""
        with self._lock:
            busy = list(self._busy.items())
        return [
            {**about, "pids": sandbox.processes()}
            for sandbox, about in busy
            if function in (None, about["function"])
        ]

    def close(self) -> None:
        self.stopped.set()
        with self._lock:
            sandboxes, self._all = self._all, []
        for sandbox in sandboxes:
            sandbox.close()
        self._codes.cleanup()

    def _route(self, backend: Any, name: str, qualifier: str) -> Any:
        """The version that this call is for: drawn by the weights where the qualifier is a split
        alias."""
        function = backend.get_function(name, qualifier)
        alias = backend._lambdas._get_function_aliases(name).get(qualifier)
        if alias is None:
            return function
        draw = self._draw.random()
        for version, weight in alias.routing.items():
            if draw < weight:
                return backend.get_function(name, version)
        return function

    def _run(
        self, function: Any, name: str, qualifier: str, payload: bytes, request_id: str
    ) -> Answer:
        began = datetime.now(UTC)
        configured = (
            function.version,
            function.code_sha_256,
            function.environment_vars,
            function.timeout,
        )
        key = (name, f"{function.handler}:{configured}")
        with self._lock:
            sandbox = self._idle[key].pop() if self._idle[key] else None
        if sandbox is None or not sandbox.alive():
            sandbox = self._start(function, name)
        with self._lock:
            self._busy[sandbox] = {
                "function": name,
                "version": str(function.version),
                "request-id": request_id,
            }
        answer = sandbox.invoke(payload, request_id)
        with self._lock:
            del self._busy[sandbox]
            self._idle[key].append(sandbox)
        self._minutes.count(
            name, qualifier, str(function.version), began, answer.failed, answer.duration
        )
        return answer

    def _run_event(
        self, backend: Any, name: str, qualifier: str, payload: bytes, request_id: str
    ) -> None:
        """An asynchronous invocation, again when it fails; the request id stays the same."""
        configured = backend.get_function(name).event_invoke_config
        config = configured[0].config if configured else {}
        pauses = (0, *_RETRIES[: config.get("MaximumRetryAttempts", 2)])
        for count in range(1, len(pauses) + 1):
            if self.stopped.wait(pauses[count - 1]):
                return
            function = self._route(backend, name, qualifier)
            answer = self._run(function, name, qualifier, payload, request_id)
            if not answer.failed:
                break
        arn = f"{backend.get_function(name).function_arn}:{qualifier}"
        destinations.tell(config, arn, str(function.version), request_id, payload, answer, count)

    def _start(self, function: Any, name: str) -> Sandbox:
        code = Path(self._codes.name, function.code_sha_256.replace("/", "_"))
        with self._lock:
            if not code.exists():
                zipfile.ZipFile(io.BytesIO(function.code_bytes)).extractall(code)
        variables = {
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_ACCESS_KEY_ID": roles.access_key(name),
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_LAMBDA_FUNCTION_VERSION": str(function.version),
            **{key: str(value) for key, value in function.environment_vars.items()},
        }
        logs = logs_backends[ACCOUNT][REGION]
        logs.ensure_log_group(function.logs_group_name)
        stream = f"{datetime.now(UTC):%Y/%m/%d}/[{function.version}]{random.getrandbits(128):032x}"
        logs.create_log_stream(function.logs_group_name, stream)

        def keep(line: str) -> None:
            event = {"timestamp": int(time.time() * 1000), "message": line}
            logs.put_log_events(function.logs_group_name, stream, [event])

        sandbox = Sandbox(code, function.handler, name, int(function.timeout), variables, keep)
        with self._lock:
            self._all = [each for each in self._all if each.alive()] + [sandbox]
        if self.stopped.is_set():
            sandbox.close()  # nobody else would
        return sandbox


def _not_json(payload: bytes) -> str:
    """Why AWS refuses this payload before any function runs; empty when it does not."""
    try:
        if payload:
            json.loads(payload)
    except ValueError as error:
        prefix = "Could not parse request body into json: Could not parse payload into json"
        return f"{prefix}: {error}"
    return ""


def _keep_request_id(headers: dict[str, str], body: Any) -> Any:
    """moto gives every answer an id of its own; an invocation's is what the function knows it
    by."""
    given = headers.get(_REQUEST_ID)
    headers, body = BaseResponse._enrich_response(headers, body)
    return ({**headers, _REQUEST_ID: given} if given else headers), body
