"""One sandbox: Lambda's own runtime emulator around a function's code. One invocation at a time, as
in Lambda.

It must never leave a process behind: a runtime that outlives its emulator would go on moving an
alias.

The emulator is the binary that AWS ships in its base images; aws-sam-cli's wheel carries it. It
keeps real time, and at the time-out it kills the runtime with SIGKILL.
"""

import contextlib
import http.client
import importlib.util
import json
import os
import platform
import queue
import re
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

from local import processes

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
    return Path(
        package.submodule_search_locations[0], "local", "rapid", f"aws-lambda-rie-{machine}"
    )


#: A function's variable with the seconds after which its sandbox is killed, whatever time its
#: context has promised.
KILLED_AFTER = "LOCAL_KILLED_AFTER"

_DURATION = re.compile(r"\tDuration: ([\d.]+) ms")
_INIT = re.compile(r"\(rapid\) INIT REPORT\(durationMs: ([\d.]+)\)")

#: One at a time: a free port is only ours once the emulator listens on it.
_starting = threading.Lock()


@dataclass(frozen=True)
class Answer:
    """What an invocation gave: the payload, whether it is an error, the log's lines, and how many
    ms it took."""

    payload: bytes
    failed: bool
    log: tuple[str, ...]
    duration: float


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
        self._killed_after = float(variables.get(KILLED_AFTER, 0))
        self._lines: queue.Queue[str] = queue.Queue()
        self._inits: queue.Queue[float] = queue.Queue()
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
                    *(
                        str(emulator()),
                        "--runtime-interface-emulator-address",
                        f"127.0.0.1:{self._port}",
                    ),
                    *("--runtime-api-address", f"127.0.0.1:{runtime_port}"),
                    *(sys.executable, "-m", "awslambdaric", handler),
                ],
                cwd=code,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._readers = [
                threading.Thread(target=read, daemon=True)
                for read in (self._read_log, self._read_inits)
            ]
            for reader in self._readers:
                reader.start()
            self._wait_until_up()

    @property
    def pid(self) -> int:
        return self._process.pid

    def invoke(self, payload: bytes, request_id: str) -> Answer:
        """Blocks until the function has answered, or was killed at its time-out or before."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout + 15)
        killer = threading.Timer(self._killed_after, self.kill) if self._killed_after else None
        began = time.monotonic()
        try:
            if killer:
                killer.start()
            path, headers = (
                "/2015-03-31/functions/function/invocations",
                {"X-Amzn-RequestId": request_id},
            )
            connection.request("POST", path, payload or b"{}", headers)
            body = connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            told = f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
            body = json.dumps({"errorMessage": told, "errorType": "Runtime.ExitError"}).encode()
        finally:
            if killer:
                killer.cancel()
            connection.close()
        if body.startswith(b"Task timed out"):
            body = json.dumps(
                {"errorMessage": body.decode(), "errorType": "Sandbox.Timedout"}
            ).encode()
        took = (time.monotonic() - began) * 1000
        log = self._log_of_this_invocation()
        if log and (reported := _DURATION.search(log[-1])):
            took = float(reported[1])
        with contextlib.suppress(queue.Empty):  # it may not have come so far
            took = max(0.0, took - self._inits.get(timeout=0.2))
        return Answer(body, _is_error(body), log, took)

    def alive(self) -> bool:
        return self._process.poll() is None

    def processes(self) -> list[int]:
        """The emulator first; the runtime is in a process group of its own, in the same session."""
        return processes.of_session(self.pid)

    def kill(self) -> None:
        """All of it at once, as when Lambda loses a host."""
        processes.kill(self.processes())

    def close(self) -> None:
        """The emulator and the runtime under it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join(5)

    def _read_log(self) -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            for line in lines:
                line = line.rstrip("\n")
                if not line.startswith(PLATFORM):
                    self._on_line(line)
                self._lines.put(line)

    def _read_inits(self) -> None:
        """For each invocation the milliseconds in which the runtime started: AWS's `Duration` is
        without them."""
        assert self._process.stderr
        init = 0.0
        with self._process.stderr as lines:
            for line in lines:
                if found := _INIT.search(line):
                    init = float(found[1])
                if "(rapid) INVOKE START(" in line:
                    self._inits.put(init)
                    init = 0.0

    def _log_of_this_invocation(self) -> tuple[str, ...]:
        lines: list[str] = []
        with contextlib.suppress(queue.Empty):
            while not lines or not lines[-1].startswith("REPORT RequestId"):
                lines.append(self._lines.get(timeout=1 if self.alive() else 0.1))
        return tuple(lines)

    def _wait_until_up(self) -> None:
        for _ in range(500):
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self._port), 1),
            ):
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
