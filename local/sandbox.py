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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import processes

#: The account and the Region that the emulator tells the functions, whatever its environment says.
ACCOUNT = "012345678912"
REGION = "us-east-1"

#: Lines that the platform writes itself.
PLATFORM = ("START RequestId", "END RequestId", "REPORT RequestId")

#: The emulator's name for a machine.
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def emulator() -> Path:
    """Raises `RuntimeError`, in one sentence, where it cannot run."""
    machine = _MACHINES.get(platform.machine().lower())
    if sys.platform != "linux" or machine is None:
        what = "Lambda's runtime emulator is a Linux program for x86_64 and arm64"
        this = f"this is {platform.system()} on {platform.machine()}"
        raise RuntimeError(f"Functions cannot run on this machine: {what}, and {this}.")
    package = importlib.util.find_spec("samcli")
    assert package and package.submodule_search_locations
    folder = Path(package.submodule_search_locations[0])
    return folder / "local" / "rapid" / f"aws-lambda-rie-{machine}"


#: A function's variable with the seconds after which its sandbox is killed, whatever time its
#: context has promised.
KILLED_AFTER = "LOCAL_KILLED_AFTER"

_PATH = "/2015-03-31/functions/function/invocations"
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
        self._timeout = timeout
        self._on_line = on_line
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
            self._start(code, handler, environment)

    def _start(self, code: Path, handler: str, environment: dict[str, str]) -> None:
        self._port, runtime_port = _free_ports(2)
        command = [str(emulator())]
        command += ["--runtime-interface-emulator-address", f"127.0.0.1:{self._port}"]
        command += ["--runtime-api-address", f"127.0.0.1:{runtime_port}"]
        command += [sys.executable, "-m", "awslambdaric", handler]
        self._process = subprocess.Popen(
            command,
            cwd=code,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._readers = [
            threading.Thread(target=self._read_log, daemon=True),
            threading.Thread(target=self._read_inits, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self._wait_until_up()

    @property
    def pid(self) -> int:
        return self._process.pid

    def invoke(self, payload: bytes, request_id: str) -> Answer:
        """Blocks until the function has answered, or was killed at its time-out or before."""
        began = time.monotonic()
        with self._killed_in_time():
            body = self._answer(payload or b"{}", request_id)
        took = (time.monotonic() - began) * 1000
        log = self._log_of_this_invocation()
        if log and (reported := _DURATION.search(log[-1])):
            took = float(reported[1])
        with contextlib.suppress(queue.Empty):  # it may not have come so far
            took = max(0.0, took - self._inits.get(timeout=0.2))
        return Answer(body, _is_error(body), log, took)

    def _answer(self, payload: bytes, request_id: str) -> bytes:
        """What the function answered, or the error in which its invocation ended."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout + 15)
        try:
            connection.request("POST", _PATH, payload, {"X-Amzn-RequestId": request_id})
            body = connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            why = f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
            return _error("Runtime.ExitError", why)
        finally:
            connection.close()
        if body.startswith(b"Task timed out"):
            return _error("Sandbox.Timedout", body.decode())
        return body

    @contextlib.contextmanager
    def _killed_in_time(self) -> Iterator[None]:
        """The sandbox is killed in this block, if the function's variables say so."""
        if not self._killed_after:
            yield
            return
        killer = threading.Timer(self._killed_after, self.kill)
        killer.start()
        try:
            yield
        finally:
            killer.cancel()

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
                lines.append(self._lines.get(timeout=self._patience()))
        return tuple(lines)

    def _patience(self) -> float:
        """Seconds: the dead write nothing any more."""
        return 1 if self.alive() else 0.1

    def _wait_until_up(self) -> None:
        for _ in range(500):
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self._port), 1),
            ):
                return
            time.sleep(0.02)
        raise RuntimeError("Lambda's runtime emulator did not start.")


def _error(kind: str, message: str) -> bytes:
    """As Lambda answers for a function that cannot."""
    return json.dumps({"errorMessage": message, "errorType": kind}).encode()


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
