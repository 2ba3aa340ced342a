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
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local import processes
from local.lines import EXITED, Called, Ending, Function, Json, Text, error_type

#: The account and the Region that the emulator tells the functions, whatever its environment says.
ACCOUNT = "012345678912"
REGION = "us-east-1"

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
_REPORT = re.compile(
    r"REPORT RequestId: (?P<id>\S+)\t(?:Init Duration: [\d.]+ ms\t)?Duration: (?P<ms>[\d.]+) ms\t"
    r"Billed Duration: \d+ ms\tMemory Size: \d+ MB\tMax Memory Used: \d+ MB\t"
)

#: What the emulator tells of its own doing, in the same stream; it may follow a text that has no
#: end of line.
_NOTE = re.compile(r"\d\d \w{3} \d{4} [\d:]{8},\d{3} \[\w+\] \(rapid\) ")
_PHASE = re.compile(r"INIT START\(type: on-demand, phase: (\w+)\)")
_INIT_DONE = re.compile(r"INIT RTDONE\(status: (\w+)\)")
_INIT = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)\)")
_WHY = re.compile(r"Runtime exited (?:with error: .+?|without providing a reason)(?= InvokeID=|$)")

#: A runtime's own word for why it could not begin, in either format.
_FAULT = re.compile(r'^\[ERROR\] ([\w.]+)|"errorType": "([^"]*)"')

#: One at a time: a free port is only ours once the emulator listens on it.
_starting = threading.Lock()


@dataclass(frozen=True)
class Answer:
    """What an invocation gave: the payload, whether it is an error, the log's lines, and how many
    ms it took, without an init."""

    payload: bytes
    failed: bool
    log: tuple[str, ...]
    duration: float


@dataclass
class _Call:
    """What is known of an invocation while it runs; times in ms."""

    request_id: str
    log: list[str] = field(default_factory=list)
    started: bool = False
    why: str = "Runtime exited without providing a reason"
    reported: float | None = None
    inits: float = 0.0
    cold: float | None = None
    over: threading.Event = field(default_factory=threading.Event)


@dataclass
class _Init:
    """A start of the runtime; without a phase where none is under way."""

    phase: str = ""
    failed: bool = True
    fault: str = ""


class Sandbox:
    """A running emulator; `on_line` is called for every line of the log, `lines` are Lambda's
    own."""

    def __init__(
        self,
        code: Path,
        handler: str,
        name: str,
        timeout: int,
        variables: Mapping[str, str],
        on_line: Callable[[str], None],
        lines: Text | Json | None = None,
    ) -> None:
        self._timeout = timeout
        self._on_line = on_line
        self._lines = lines or Text(Function(name))
        self._killed_after = float(variables.get(KILLED_AFTER, 0))
        self._call = _Call("")
        self._init = _Init()
        self._unended = ""  # a text whose line has not ended so far
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
            stderr=subprocess.STDOUT,  # one stream: what came first is known
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._wait_until_up()

    @property
    def pid(self) -> int:
        return self._process.pid

    def invoke(self, payload: bytes, request_id: str) -> Answer:
        """Blocks until the function has answered, or was killed at its time-out or before."""
        call = _Call(request_id)
        self._call = call
        began = time.monotonic()
        with self._killed_in_time():
            body, ending = self._answer(payload or b"{}", request_id)
        took = (time.monotonic() - began) * 1000
        call.over.wait(1)  # all that it has written is read, if it is still there to write
        duration = took if call.reported is None else call.reported
        if ending.status != "timeout":
            duration = max(0.0, duration - call.inits)
        body = self._end(call, ending, duration, body)
        failed = ending.status != "success" or _is_error(body)
        return Answer(body, failed, tuple(call.log), duration)

    def _answer(self, payload: bytes, request_id: str) -> tuple[bytes, Ending]:
        """What the function answered, or what the emulator says of why it did not."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout + 15)
        try:
            connection.request("POST", _PATH, payload, {"X-Amzn-RequestId": request_id})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            self._call.why = "Runtime exited with error: signal: killed"
            return b"", Ending("error", EXITED)
        finally:
            connection.close()
        if body.startswith(b"Task timed out"):
            self._call.why = body.decode()
            return b"", Ending("timeout")
        if response.status == 200:
            return body, Ending()
        told = json.loads(body)["errorType"] if body else EXITED
        return body, Ending("error", error_type(told))

    def _end(self, call: "_Call", ending: Ending, duration: float, body: bytes) -> bytes:
        """Writes the end of a call into the log; gives its answer."""
        now = datetime.now(UTC)
        if not call.started:
            self._write(self._lines.start(now, call.request_id))
        called = Called(call.request_id, duration, call.cold, ending)
        self._write(self._lines.end(now, called, call.why))
        if body or ending.status == "success":
            return body
        kind = "Sandbox.Timedout" if ending.status == "timeout" else ending.error
        return _error(kind, f"RequestId: {call.request_id} Error: {call.why}")

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
        self._reader.join(5)

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as stream:
            for raw in stream:
                line = raw.decode(errors="replace").rstrip("\n")
                note = _NOTE.search(line)
                if note:
                    self._unended += line[: note.start()]
                    self._note(line[note.end() :])
                else:
                    text = self._unended + line
                    self._unended = ""
                    self._hear(text)
        self._call.over.set()

    def _hear(self, text: str) -> None:
        """A line that the function has written, or the emulator for it."""
        call = self._call
        if text.startswith(f"START RequestId: {call.request_id} Version: "):
            return  # it comes before the init; Lambda's comes after it
        end = f"END RequestId: {call.request_id}"
        if text == end:
            return
        report = _REPORT.fullmatch(text)
        if report and report["id"] == call.request_id:
            call.reported = float(report["ms"])
            call.over.set()
            return
        fault = _FAULT.search(text)
        if fault and self._init.phase:
            self._init.fault = fault[1] or fault[2]
        self._write(self._lines.own(text.removesuffix(end)))

    def _note(self, note: str) -> None:
        """What the emulator has done."""
        now = datetime.now(UTC)
        call = self._call
        if phase := _PHASE.match(note):
            # The emulator does not start it twice in one call: the fault is that of the first time.
            self._init = _Init(phase[1], fault=self._init.fault)
            if phase[1] == "init":
                self._write(self._lines.init_start(now))
        elif done := _INIT_DONE.match(note):
            self._init.failed = done[1] != "success"
        elif report := _INIT.match(note):
            self._report_init(now, float(report[1]))
        elif note.startswith("INVOKE START("):
            self._init = _Init()
            call.started = True
            self._write(self._lines.start(now, call.request_id))
        elif why := _WHY.search(note):
            call.why = why[0]
        elif note.startswith("Invoke DONE failed"):
            call.over.set()

    def _report_init(self, now: datetime, duration: float) -> None:
        init = self._init
        call = self._call
        ending = Ending()
        # The emulator calls both an error; its time-out began shortly before the init.
        if init.failed and duration >= self._timeout * 1000 - 100:
            ending = Ending("timeout")
        elif init.failed:
            ending = Ending("error", error_type(init.fault) if init.fault else EXITED)
        elif init.phase == "init":
            call.cold = duration
        if init.phase == "init" or ending.status == "success":
            call.inits += duration
        self._write(self._lines.init_report(now, init.phase, duration, ending))

    def _write(self, lines: list[str]) -> None:
        for line in lines:
            self._call.log.append(line)
            self._on_line(line)

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
