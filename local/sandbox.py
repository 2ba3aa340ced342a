"""One sandbox: Lambda's own runtime emulator around a function's code. One invocation at a time, as in Lambda.

The emulator is the binary that AWS ships in its base images; aws-sam-cli's wheel carries it. It keeps real
time, and at the time-out it kills the runtime with SIGKILL.
"""

import contextlib
import http.client
import importlib.util
import json
import os
import platform
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: The account and the Region that the emulator tells the functions, whatever its environment says.
ACCOUNT, REGION = "012345678912", "us-east-1"

#: Lines that the platform writes itself.
PLATFORM = ("START RequestId", "END RequestId", "REPORT RequestId")


def emulator() -> Path:
    """Raises `RuntimeError`, in one sentence, where it cannot run."""
    machine = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine().lower()
    )
    if sys.platform != "linux" or machine is None:
        raise RuntimeError(
            f"Functions cannot run on this machine: Lambda's runtime emulator is a Linux program for x86_64 and arm64, "
            f"and this is {platform.system()} on {platform.machine()}."
        )
    package = importlib.util.find_spec("samcli")
    assert package and package.submodule_search_locations
    return Path(package.submodule_search_locations[0], "local", "rapid", f"aws-lambda-rie-{machine}")


#: One at a time: a free port is only ours once the emulator listens on it.
_starting = threading.Lock()


@dataclass(frozen=True)
class Answer:
    """What an invocation gave: the payload, whether it is an error, and the log's lines."""

    payload: bytes
    failed: bool
    log: tuple[str, ...]


class Sandbox:
    """A running emulator; `on_line` is called for every line that the function logs."""

    def __init__(
        self,
        code: Path,
        handler: str,
        name: str,
        timeout: int,
        variables: Mapping[str, str],
        on_line: Callable[[str], None],
    ) -> None:
        self._timeout, self._on_line = timeout, on_line
        self._lines: queue.Queue[str] = queue.Queue()
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(code),
            "LAMBDA_TASK_ROOT": str(code),
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout),
            **variables,
        }
        with _starting:
            self._port, runtime_port = _free_ports(2)
            self._process = subprocess.Popen(
                [
                    *(str(emulator()), "--runtime-interface-emulator-address", f"127.0.0.1:{self._port}"),
                    *("--runtime-api-address", f"127.0.0.1:{runtime_port}"),
                    *(sys.executable, "-m", "awslambdaric", handler),
                ],
                cwd=code,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            threading.Thread(target=self._read_log, daemon=True).start()
            self._wait_until_up()

    @property
    def pid(self) -> int:
        return self._process.pid

    def invoke(self, payload: bytes) -> Answer:
        """Blocks until the function has answered or was killed at its time-out."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout + 15)
        try:
            connection.request("POST", "/2015-03-31/functions/function/invocations", payload or b"{}")
            body = connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            body = json.dumps({"errorMessage": "The sandbox was killed.", "errorType": "Runtime.ExitError"}).encode()
        finally:
            connection.close()
        if body.startswith(b"Task timed out"):
            body = json.dumps({"errorMessage": body.decode(), "errorType": "Sandbox.Timedout"}).encode()
        return Answer(body, _is_error(body), self._log_of_this_invocation())

    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """The emulator and the runtime under it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _read_log(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            line = line.rstrip("\n")
            if not line.startswith(PLATFORM):
                self._on_line(line)
            self._lines.put(line)

    def _log_of_this_invocation(self) -> tuple[str, ...]:
        lines: list[str] = []
        with contextlib.suppress(queue.Empty):
            while not lines or not lines[-1].startswith("REPORT RequestId"):
                lines.append(self._lines.get(timeout=1 if self.alive() else 0.1))
        return tuple(lines)

    def _wait_until_up(self) -> None:
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                return
            time.sleep(0.02)
        raise RuntimeError("Lambda's runtime emulator did not start.")


def _is_error(body: bytes) -> bool:
    """The emulator sets no function-error header: an answer with `errorType` is an error."""
    try:
        answer: Any = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and "errorType" in answer


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
