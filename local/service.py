"""The Lambda service: routes a call by the alias's weights, runs it in a sandbox, keeps its metrics.

It must never run a version that the alias does not name, nor two invocations in one sandbox at a
time.
"""

import base64
import io
import json
import random
import tempfile
import threading
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

from local import destinations, functions, lines, roles
from local.lines import Function
from local.logs import Stream
from local.metrics import Minutes
from local.patches import replaces
from local.sandbox import ACCOUNT, REGION, Answer, Sandbox

#: Seconds before AWS runs a failed asynchronous invocation again, unless `MaximumRetryAttempts`
#: says less.
_RETRIES = (60, 120)
_REQUEST_ID = "x-amzn-requestid"

#: The one that has taken over in this process.
_services: list["Service"] = []


@replaces(LambdaResponse, "invoke")
def _invoke(response: Any) -> tuple[int, dict[str, str], bytes]:
    """AWS: `Invoke` draws the version by the alias's weights, and runs it in a sandbox.
    moto: reads no qualifier, and runs functions in Docker.
    Upstream: a place to put another runner in, and `ExecutedVersion` by the weights.
    """
    path = unquote(response.path.rsplit("/", 2)[-2])
    name, _, suffix = path.rpartition("function:")[2].partition(":")
    qualifier = response.querystring.get("Qualifier", [suffix or "$LATEST"])[0]
    body = response.body or b""
    payload = body.encode() if isinstance(body, str) else body
    asynchronous = response.headers.get("X-Amz-Invocation-Type") == "Event"
    (service,) = _services
    status, headers, answer = service.invoke(name, qualifier, payload, asynchronous)
    if response.headers.get("X-Amz-Log-Type") != "Tail":
        headers.pop("X-Amz-Log-Result", None)
    return status, headers, answer


@replaces(LambdaResponse, "_enrich_response", staticmethod)
def _enrich_response(headers: dict[str, str], body: Any) -> Any:
    """AWS: an invocation's request id is what the function knows itself by.
    moto: gives every answer an id of its own.
    Upstream: an id that is there already stays.
    """
    given = headers.get(_REQUEST_ID)
    headers, body = BaseResponse._enrich_response(headers, body)
    if given:
        headers = {**headers, _REQUEST_ID: given}
    return headers, body


def invoke_event(name: str, payload: bytes) -> None:
    """An asynchronous invocation by another of AWS's services."""
    (service,) = _services
    service.invoke(name, "$LATEST", payload, asynchronous=True)


class Service:
    """Every function's sandboxes; `delay` is how many seconds after its end a minute is
    published."""

    def __init__(self, delay: float, endpoint: str) -> None:
        self._endpoint = endpoint
        self._idle: dict[Any, list[Sandbox]] = defaultdict(list)
        self._busy: dict[Sandbox, dict[str, Any]] = {}
        self._all: list[Sandbox] = []
        self._lock = threading.Lock()
        self._draw = random.Random(1)
        self._codes = tempfile.TemporaryDirectory(prefix="local-lambda-")
        self.stopped = threading.Event()
        self._minutes = Minutes(delay, self.stopped)

    def take_over(self) -> None:
        """From now on the API's `Invoke` is this service's."""
        _services[:] = [self]

    def invoke(
        self, name: str, qualifier: str, payload: bytes, asynchronous: bool
    ) -> tuple[int, dict[str, str], bytes]:
        """`Invoke`'s status, headers and body."""
        function = self._route(name, qualifier)
        request_id = str(uuid.uuid4())
        identity = {_REQUEST_ID: request_id}
        if why_not := _not_json(payload):
            refusal = {"Type": "User", "message": why_not}
            error = {"status": "400", "x-amzn-ErrorType": "InvalidRequestContentException"}
            return 400, {**error, **identity}, json.dumps(refusal).encode()
        if asynchronous:
            event = (name, qualifier, payload, request_id)
            threading.Thread(target=self._run_event, args=event, daemon=True).start()
            return 202, {"status": "202", **identity}, b""
        answer = self._run(function, name, qualifier, payload, request_id)
        headers = {
            "content-type": "application/json",
            "X-Amz-Executed-Version": str(function.version),
            "X-Amz-Log-Result": base64.b64encode(_tail(answer)).decode(),
            **identity,
        }
        if answer.failed:
            headers["X-Amz-Function-Error"] = "Unhandled"
        return 200, headers, answer.payload

    def run(self, name: str, qualifier: str, payload: bytes) -> Answer:
        """An invocation by AWS itself, such as a queue's poller; it blocks."""
        function = self._route(name, qualifier)
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
            sandboxes = self._all
            self._all = []
        for sandbox in sandboxes:
            sandbox.close()
        self._codes.cleanup()

    def _route(self, name: str, qualifier: str) -> Any:
        """The version that this call is for: drawn by the weights where the qualifier is a split
        alias."""
        backend = lambda_backends[ACCOUNT][REGION]
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
        version = str(function.version)
        like_this = (
            name,
            version,
            function.handler,
            function.code_sha_256,
            function.timeout,
            json.dumps(function.environment_vars, sort_keys=True),
            json.dumps(functions.logging(function), sort_keys=True),
        )
        sandbox = self._idle_one(like_this) or self._start(function, name)
        about = {"function": name, "version": version, "request-id": request_id}
        with self._lock:
            self._busy[sandbox] = about
        answer = sandbox.invoke(payload, request_id)
        with self._lock:
            del self._busy[sandbox]
            self._idle[like_this].append(sandbox)
        self._minutes.count(name, qualifier, version, began, answer.failed, answer.duration)
        return answer

    def _idle_one(self, like_this: Any) -> Sandbox | None:
        with self._lock:
            idle = [each for each in self._idle.pop(like_this, []) if each.alive()]
            self._idle[like_this] = idle[:-1]
        return idle[-1] if idle else None

    def _run_event(self, name: str, qualifier: str, payload: bytes, request_id: str) -> None:
        """An asynchronous invocation, again when it fails; the request id stays the same."""
        invoked = lambda_backends[ACCOUNT][REGION].get_function(name)
        configured = invoked.event_invoke_config
        config = configured[0].config if configured else {}
        pauses = (0, *_RETRIES[: config.get("MaximumRetryAttempts", 2)])
        for pause in pauses:
            if self.stopped.wait(pause):
                return
            function = self._route(name, qualifier)
            answer = self._run(function, name, qualifier, payload, request_id)
            if not answer.failed:
                return
        arn = f"{invoked.function_arn}:{qualifier}"
        version = str(function.version)
        destinations.tell(config, arn, version, request_id, payload, answer, len(pauses))

    def _start(self, function: Any, name: str) -> Sandbox:
        logging = functions.logging(function)
        about = Function(
            name=name,
            version=str(function.version),
            arn=function.function_arn,
            runtime=str(function.run_time),
            memory=int(function.memory_size),
        )
        stream = Stream(about, logging["LogGroup"])
        variables = {
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_ACCESS_KEY_ID": roles.access_key(name),
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_LAMBDA_FUNCTION_VERSION": about.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(about.memory),
            "AWS_LAMBDA_LOG_GROUP_NAME": stream.group,
            "AWS_LAMBDA_LOG_STREAM_NAME": stream.name,
            **functions.logging_variables(logging),
            **{key: str(value) for key, value in function.environment_vars.items()},
        }
        sandbox = Sandbox(
            code=self._code(function),
            handler=function.handler,
            name=name,
            timeout=int(function.timeout),
            variables=variables,
            on_line=stream.keep,
            lines=lines.of(about, logging),
        )
        with self._lock:
            self._all = [*(each for each in self._all if each.alive()), sandbox]
        if self.stopped.is_set():
            sandbox.close()  # nobody else would
        return sandbox

    def _code(self, function: Any) -> Path:
        """The folder that holds it."""
        code = Path(self._codes.name, function.code_sha_256.replace("/", "_"))
        with self._lock:
            if not code.exists():
                zipfile.ZipFile(io.BytesIO(function.code_bytes)).extractall(code)
        return code


def _tail(answer: Answer) -> bytes:
    """The last 4 KB of the call's log."""
    lines = [line.rstrip("\n") for line in answer.log]
    return "\n".join(lines).encode()[-4096:]


def _not_json(payload: bytes) -> str:
    """Why AWS refuses this payload before any function runs; empty when it does not."""
    try:
        if payload:
            json.loads(payload)
    except ValueError as error:
        prefix = "Could not parse request body into json: Could not parse payload into json"
        return f"{prefix}: {error}"
    return ""
