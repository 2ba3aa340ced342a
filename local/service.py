"""The Lambda service: routes a call by the alias's weights, runs it in a sandbox, keeps its log and its metrics.

Metrics are published as AWS does: per minute, stamped with the minute in which the invocation began, late.
"""

import base64
import io
import random
import tempfile
import threading
import time
import zipfile
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from moto.awslambda.responses import LambdaResponse
from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import logs_backends

from local.sandbox import ACCOUNT, REGION, Answer, Sandbox

#: Seconds before AWS runs a failed asynchronous invocation again, unless `MaximumRetryAttempts` says less.
_RETRIES = (60, 120)
_MINUTE = timedelta(minutes=1)


class Service:
    """Every function's sandboxes; `delay` is how many seconds after its end a minute is published."""

    def __init__(self, delay: float, endpoint: str) -> None:
        self._delay, self._endpoint = delay, endpoint
        self._idle: dict[tuple[str, str], list[Sandbox]] = defaultdict(list)
        self._all: list[Sandbox] = []
        self._counts: dict[tuple[str, str, str, datetime], list[int]] = defaultdict(lambda: [0, 0])
        self._lock = threading.Lock()
        self._draw = random.Random(1)
        self._codes = tempfile.TemporaryDirectory(prefix="local-lambda-")
        self._stopped = threading.Event()
        threading.Thread(target=self._publish_minutes, daemon=True).start()

    def take_over(self) -> None:
        """From now on moto's `Invoke` is this service's (its own reads no qualifier, and runs Docker)."""
        service = self

        def invoke(response: Any) -> tuple[int, dict[str, str], bytes]:
            name, _, suffix = unquote(response.path.rsplit("/", 2)[-2]).rpartition("function:")[2].partition(":")
            qualifier = response.querystring.get("Qualifier", [suffix or "$LATEST"])[0]
            body = response.body.encode() if isinstance(response.body, str) else response.body or b""
            asynchronous = response.headers.get("X-Amz-Invocation-Type") == "Event"
            status, headers, answer = service.invoke(response.backend, name, qualifier, body, asynchronous)
            if response.headers.get("X-Amz-Log-Type") != "Tail":
                headers.pop("X-Amz-Log-Result", None)
            return status, headers, answer

        LambdaResponse.invoke = invoke

    def invoke(
        self, backend: Any, name: str, qualifier: str, payload: bytes, asynchronous: bool
    ) -> tuple[int, dict[str, str], bytes]:
        """`Invoke`'s status, headers and body."""
        function = self._route(backend, name, qualifier)
        if asynchronous:
            threading.Thread(target=self._run_event, args=(backend, name, qualifier, payload), daemon=True).start()
            return 202, {"status": "202"}, b""
        answer = self._run(function, name, qualifier, payload)
        headers = {
            "content-type": "application/json",
            "X-Amz-Executed-Version": str(function.version),
            "X-Amz-Log-Result": base64.b64encode("\n".join(answer.log).encode()[-4096:]).decode(),
        }
        if answer.failed:
            headers["X-Amz-Function-Error"] = "Unhandled"
        return 200, headers, answer.payload

    def close(self) -> None:
        self._stopped.set()
        with self._lock:
            sandboxes, self._all = self._all, []
        for sandbox in sandboxes:
            sandbox.close()
        self._codes.cleanup()

    def _route(self, backend: Any, name: str, qualifier: str) -> Any:
        """The version that this call is for: drawn by the weights where the qualifier is a split alias."""
        function = backend.get_function(name, qualifier)
        alias = backend._lambdas._get_function_aliases(name).get(qualifier)
        if alias is None:
            return function
        draw = self._draw.random()
        for version, weight in alias.routing.items():
            if draw < weight:
                return backend.get_function(name, version)
        return function

    def _run(self, function: Any, name: str, qualifier: str, payload: bytes) -> Answer:
        began = datetime.now(UTC).replace(second=0, microsecond=0)
        key = (name, f"{function.version}:{function.code_sha_256}:{function.environment_vars}")
        with self._lock:
            sandbox = self._idle[key].pop() if self._idle[key] else None
        if sandbox is None or not sandbox.alive():
            sandbox = self._start(function, name)
        answer = sandbox.invoke(payload)
        with self._lock:
            self._idle[key].append(sandbox)
            counts = self._counts[name, qualifier, str(function.version), began]
            counts[0] += 1
            counts[1] += answer.failed
        return answer

    def _run_event(self, backend: Any, name: str, qualifier: str, payload: bytes) -> None:
        configured = backend.get_function(name).event_invoke_config
        most = configured[0].config.get("MaximumRetryAttempts", 2) if configured else 2
        for pause in (0, *_RETRIES[:most]):
            if self._stopped.wait(pause):
                return
            if not self._run(self._route(backend, name, qualifier), name, qualifier, payload).failed:
                return

    def _start(self, function: Any, name: str) -> Sandbox:
        code = Path(self._codes.name, function.code_sha_256.replace("/", "_"))
        with self._lock:
            if not code.exists():
                zipfile.ZipFile(io.BytesIO(function.code_bytes)).extractall(code)
        variables = {
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_ACCESS_KEY_ID": "local",
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
        return sandbox

    def _publish_minutes(self) -> None:
        while not self._stopped.wait(0.5):
            latest = datetime.now(UTC) - _MINUTE - timedelta(seconds=self._delay)
            with self._lock:
                due = [key for key in self._counts if key[3] <= latest]
                data = [datum for key in due for datum in _metric_data(key, self._counts.pop(key))]
            if data:
                cloudwatch_backends[ACCOUNT][REGION].put_metric_data("AWS/Lambda", data)


def _metric_data(key: tuple[str, str, str, datetime], counts: list[int]) -> list[dict[str, Any]]:
    """A minute's `Invocations` and `Errors` under each set of dimensions that AWS publishes."""
    name, qualifier, version, minute = key
    dimensions = [{"Name": "FunctionName", "Value": name}]
    sets = [dimensions]
    if qualifier != "$LATEST":
        dimensions = [*dimensions, {"Name": "Resource", "Value": f"{name}:{qualifier}"}]
        sets.append(dimensions)
    if qualifier not in ("$LATEST", version):
        sets.append([*dimensions, {"Name": "ExecutedVersion", "Value": version}])
    return [
        {
            "MetricName": metric,
            "Dimensions": dimensions,
            "Timestamp": minute,
            "Value": value,
            "Unit": "Count",
        }
        for dimensions in sets
        for metric, value in zip(("Invocations", "Errors"), counts, strict=True)
    ]
