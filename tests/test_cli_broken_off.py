"""Exit status 1 means rolled back: so a command that cannot go on ends with another one, and with a
sentence.

The processes are real, and so are their broken pipes and full disks; AWS is a server on this
machine, on which a rollout runs that has no end.
"""

import contextlib
import errno
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from deployer.decisions.stamp import Stamp
from lambda_rollout import command
from lambda_rollout.endings import Status
from local.cloud import ROOT
from tests.test_cli import ROLLOUT, WATCH, good
from tests.watched import ID, Aws, Clock, refusal
from tools.terminal import recorded

GONE = BrokenPipeError(errno.EPIPE, "Broken pipe")
FULL = OSError(errno.ENOSPC, "No space left on device")


# The output.
@pytest.mark.parametrize("error", [GONE, FULL], ids=lambda error: str(error.strerror))
def test_a_rollout_whose_progress_cannot_be_written_goes_on_and_that_is_said(
    error: OSError, progress: int
) -> None:
    assert progress > 5
    for lines in range(progress):
        aws = rollout()
        status, told = typed(ROLLOUT, aws, Narrow(lines, error))
        assert (status, len(aws.invoked)) == (Status.BROKEN_OFF, 1)
        assert told.startswith(f"Stopped watching ({error.strerror}); the rollout goes on.\n")
        assert "make watch FUNCTION=checkout ALIAS=live" in told


def test_an_ending_that_was_seen_gives_the_status_though_it_cannot_be_written(
    progress: int,
) -> None:
    for lines in (progress, progress + 1):
        status, told = typed(ROLLOUT, rollout(), Narrow(lines, FULL))
        assert status == Status.DEPLOYED
        assert told.startswith("Not all could be shown (No space left on device). SUCCEEDED: ")
        assert told.endswith(" Alias 'live' of 'checkout' is on version 8.\n")


def test_the_status_is_the_same_where_nothing_can_be_said_either() -> None:
    aws = rollout()
    nowhere = Narrow(0, FULL)
    with contextlib.redirect_stderr(nowhere):
        assert command.main(ROLLOUT.split(), lambda: aws, aws.clock, nowhere) == Status.BROKEN_OFF
        aws.faults["get_alias"] = refusal("AccessDeniedException", status=403)
        assert command.main(ROLLOUT.split(), lambda: aws, aws.clock, nowhere) == Status.REFUSED
        assert command.main(WATCH.split(), lambda: aws, aws.clock, nowhere) == Status.NOT_SEEN


# Ctrl-C.
@pytest.mark.parametrize(
    "call", ["get_alias", "filter_log_events", "describe_stacks", "get_metric_data", "invoke"]
)
def test_ctrl_c_during_any_call_of_aws_stops_watching(call: str) -> None:
    aws = rollout()
    out = io.StringIO()
    aws.faults[call] = KeyboardInterrupt()
    status, told = typed(ROLLOUT, aws, out)
    assert (status, told) == (Status.STOPPED_WATCHING, "")
    assert re.search(r"^Stopped( watching)?; (the|a) rollout", out.getvalue(), re.MULTILINE)
    assert "make watch" in out.getvalue()


def test_ctrl_c_that_has_ended_the_reader_of_the_output_as_well_is_still_ctrl_c() -> None:
    """As in `make watch … | tee log`: a terminal sends it to both."""
    out = Narrow(1000, GONE)

    def press() -> None:
        out.left = 0
        raise KeyboardInterrupt

    status, told = typed(ROLLOUT, rollout().story((20, press)), out)
    assert (status, told) == (Status.STOPPED_WATCHING, "")


def test_ctrl_c_when_the_ending_has_been_seen_changes_nothing_about_it(progress: int) -> None:
    status, _ = typed(ROLLOUT, rollout(), Pressed(progress))
    assert status == Status.DEPLOYED


# What was typed, and faults of our own.
@pytest.mark.parametrize(
    "wait", ["inf", "-inf", "nan", "-1", "1e400", "1e12", "31449601", "soon", "", "1,5"]
)
def test_a_wait_that_is_no_time_is_refused(wait: str, capsys: pytest.CaptureFixture[str]) -> None:
    aws = Aws(Clock())
    with pytest.raises(SystemExit) as ended:
        command.main([*WATCH.split(), f"--wait={wait}"], lambda: aws, aws.clock)
    assert ended.value.code == Status.REFUSED
    told = capsys.readouterr().err.splitlines()[-1]
    rule = "must be a number of seconds from 0 to 31449600"
    assert (
        told
        == f"python -m lambda_rollout watch: error: argument --wait: {rule}, but it is '{wait}'."
    )


@pytest.mark.parametrize("wait", ["0", "1.5", "31449600"])
def test_a_wait_of_up_to_364_days_is_taken(wait: str) -> None:
    out = io.StringIO()
    status, _ = typed(f"{WATCH} --wait {wait}", rollout(), out)
    assert status == (Status.NOTHING_RUNS if wait == "0" else Status.DEPLOYED)


def test_a_payload_that_is_too_deep_to_be_read_is_refused(tmp_path: Path) -> None:
    deep = "[" * 100_000
    file = tmp_path / "payload.json"
    file.write_text(deep)
    for line in (
        f"rollout --payload {file}",
        f"{ROLLOUT} --health {deep}",
        f"{ROLLOUT} --weights {deep}",
    ):
        aws = rollout()
        status, told = typed(line, aws, io.StringIO())
        assert (status, aws.invoked) == (Status.REFUSED, [])
        assert told.startswith("InvalidRollout: ") and told.count("\n") == 1


def test_a_fault_of_the_command_itself_is_a_sentence_with_its_place_and_no_rollback() -> None:
    aws = rollout()
    aws.story((20, lambda: aws.faults.update(get_alias=KeyError("FunctionVersion"))))
    status, told = typed(ROLLOUT, aws, io.StringIO())
    assert status == Status.BROKEN_OFF
    fault = r"KeyError: 'FunctionVersion', in watched\.py, line [0-9]+"
    assert re.match(rf"Stopped watching \({fault}\); the rollout goes on\.\n", told)
    aws = rollout()
    aws.faults["get_alias"] = KeyError("FunctionVersion")
    status, told = typed(ROLLOUT, aws, io.StringIO())
    assert (status, aws.invoked) == (Status.BROKEN_OFF, [])
    assert re.match(rf"Stopped \({fault}\); a rollout that has begun goes on", told)


# A screen begins before the first look; a line comes after it.
SHOWN = pytest.mark.parametrize(
    ("colour", "told"),
    [
        ("", "Stopped watching ({}); the rollout goes on.\n"),
        ("1", "Stopped ({}); a rollout that has begun goes on: 'make watch' tells.\n"),
    ],
    ids=["plain", "as a screen"],
)


# The process.
@SHOWN
def test_a_pipe_that_is_closed_ends_the_watch_alone(
    environment: dict[str, str], colour: str, told: str
) -> None:
    with closed_pipe() as out:
        status, said = ran(WATCH, {**environment, "FORCE_COLOR": colour}, out)
    assert status == Status.BROKEN_OFF
    assert said.startswith(told.format("Broken pipe")) and "Traceback" not in said


@SHOWN
def test_a_disk_that_is_full_ends_the_watch_alone(
    environment: dict[str, str], colour: str, told: str
) -> None:
    with Path("/dev/full").open("w") as out:
        status, said = ran(WATCH, {**environment, "FORCE_COLOR": colour}, out)
    assert status == Status.BROKEN_OFF
    assert said.startswith(told.format("No space left on device")) and "Traceback" not in said


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (WATCH, Status.BROKEN_OFF),
        (f"{WATCH} --wait inf", Status.REFUSED),
        ("watch --function a:b --alias live", Status.REFUSED),
        ("--help", Status.BROKEN_OFF),
    ],
)
def test_two_outputs_that_take_nothing_leave_the_status(
    environment: dict[str, str], line: str, status: Status
) -> None:
    with Path("/dev/full").open("w") as full:
        assert ran(line, environment, full, full)[0] == status


def test_help_that_cannot_be_written_is_no_success(environment: dict[str, str]) -> None:
    with Path("/dev/full").open("w") as full:
        status, told = ran("watch --help", environment, full)
    assert status == Status.BROKEN_OFF
    assert told.startswith("Stopped (No space left on device)") and told.count("\n") == 1


def test_an_output_that_lacks_our_letters_gets_others(environment: dict[str, str]) -> None:
    arguments = [
        sys.executable,
        "-m",
        "lambda_rollout",
        *["watch", "--function", "checkout", "--alias", "idle", "--wait", "1"],
    ]
    ascii_only = {**environment, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        arguments, cwd=ROOT, env=ascii_only, capture_output=True, timeout=60, check=False
    )
    to_do = b"What has run before: make history FUNCTION=checkout ALIAS=idle\n"
    assert (done.returncode, done.stderr) == (Status.NOTHING_RUNS, to_do)
    assert re.search(rb"Waiting for one until .* UTC \?\n", done.stdout)


def test_ctrl_c_without_a_reader_is_still_ctrl_c(environment: dict[str, str]) -> None:
    arguments = [sys.executable, "-m", "lambda_rollout", *WATCH.split()]
    with subprocess.Popen(
        arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stderr
        assert any(b"No log" in line for line in process.stdout), "the last line for a long time"
        process.stdout.close()
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
    assert (process.returncode, told) == (Status.STOPPED_WATCHING, b"")


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_ctrl_c_leaves_one_panel_though_the_terminal_writes_it_on_the_screen(
    environment: dict[str, str], columns: int
) -> None:
    line = f"{shlex.quote(sys.executable)} -m lambda_rollout {WATCH}"
    frames, status = recorded(line, environment, "Ctrl-C stops", columns, rows=24)
    told = frames[-1].text
    assert status == Status.STOPPED_WATCHING
    assert "Stopped watching; the rollout goes on." in told
    assert told.count("╭") == told.count("╰") == 1, told


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        ("KeyboardInterrupt", Status.STOPPED_WATCHING, "Stopped; a rollout that has begun"),
        (
            "ImportError('no such module')",
            Status.BROKEN_OFF,
            "Stopped (ImportError: no such module",
        ),
    ],
)
def test_what_happens_while_the_command_still_loads_is_told_too(
    environment: dict[str, str], tmp_path: Path, fault: str, status: Status, told: str
) -> None:
    (tmp_path / "boto3.py").write_text(f"raise {fault}\n")
    ended, said = ran(WATCH, {**environment, "PYTHONPATH": str(tmp_path)}, subprocess.DEVNULL)
    assert ended == status
    assert said.startswith(told) and said.count("\n") == 1


# -- what the stories need ------------------------------------------------------------------------


class Narrow(io.StringIO):
    """An output that takes so many lines, and then none."""

    def __init__(self, lines: int, error: BaseException) -> None:
        super().__init__()
        self.left = lines
        self._error = error

    def write(self, text: str, /) -> int:
        if self.left <= 0:
            raise self._error
        self.left -= text.count("\n")
        return super().write(text)


class Pressed(Narrow):
    """An output during whose next line, after so many, Ctrl-C is pressed."""

    def __init__(self, lines: int) -> None:
        super().__init__(lines, KeyboardInterrupt())

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except KeyboardInterrupt:
            self.left = 1000
            raise


def typed(line: str, aws: Aws, out: io.StringIO) -> tuple[int, str]:
    """The exit status, and what was said on standard error."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        status = command.main(line.split(), lambda: aws, aws.clock, out)
    return status, err.getvalue()


def rollout() -> Aws:
    return good(Aws(Clock()))


@pytest.fixture
def progress() -> int:
    """How many lines come before those of the ending."""
    out = io.StringIO()
    assert typed(ROLLOUT, rollout(), out)[0] == Status.DEPLOYED
    return [" SUCCEEDED: " in line for line in out.getvalue().splitlines()].index(True)


class Server(ThreadingHTTPServer):
    daemon_threads = True


class Answers(BaseHTTPRequestHandler):
    """The alias `live` is split by a rollout under its stamp; `idle` is not split; all else is
    refused."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        stamp = Stamp(ID, "8", 0.5, 1, 2, datetime(2099, 1, 1, tzinfo=UTC))
        alias: dict[str, Any] = {"FunctionVersion": "7", "RevisionId": "1"}
        if self.path.endswith("/live"):
            alias |= {"Description": str(stamp)}
            alias |= {"RoutingConfig": {"AdditionalVersionWeights": {"8": 0.5}}}
        self._answer(200, json.dumps(alias).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(400, b"<Response><Error><Code>ValidationError</Code></Error></Response>")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the tests tell."""


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """In which the server is AWS."""
    names = ("FORCE_COLOR", "TTY_COMPATIBLE", "PYTHONIOENCODING", "AWS_PROFILE")
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    with Server(("127.0.0.1", 0), Answers) as server:
        serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        place = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
        place |= {"NO_PROXY": "127.0.0.1", "AWS_DEFAULT_REGION": "eu-west-1"}
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        yield {**inherited, **place, **keys}
        server.shutdown()
        serving.join()


def ran(
    line: str, environment: dict[str, str], out: Any, err: Any = subprocess.PIPE
) -> tuple[int, str]:
    """The process's exit status, and what it said on standard error, where that is read."""
    arguments = [sys.executable, "-m", "lambda_rollout", *line.split()]
    done = subprocess.run(
        arguments,
        cwd=ROOT,
        env=environment,
        stdout=out,
        stderr=err,
        timeout=60,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr or ""


@contextlib.contextmanager
def closed_pipe() -> Iterator[int]:
    """A pipe that nobody reads any more."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)
