"""A command in a terminal of a known size, and what stood on its screen: for recordings, and for
tests."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from typing import NamedTuple

from local.cloud import ROOT

COLUMNS = 100
ROWS = 24
#: A screen is complete when nothing was written for so many seconds.
QUIET = 0.1

_TOKENS = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)")
_CUT = re.compile(r"\x1b(?:\[[0-9;?]*)?\Z")  # the rest of it is not read yet
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Frame(NamedTuple):
    """A screen that stood for a moment: when, in seconds since the start, and its lines with their
    colours."""

    at: float
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return _COLOURS.sub("", "\n".join(self.lines))


class Screen:
    """Lines that are written, erased whole and written anew, which is all that rich does; what is
    longer than a line goes on in the next one, and nothing is reached that has left the screen."""

    def __init__(self, columns: int = COLUMNS, rows: int = ROWS) -> None:
        self._columns = columns
        self._rows = rows
        self._lines = [""]
        self._row = 0
        self._rest = ""

    def feed(self, written: str) -> None:
        written = self._rest + written
        self._rest = ""
        if cut := _CUT.search(written):
            self._rest = cut[0]
            written = written[: cut.start()]
        for code, letter, _, newline, text in _TOKENS.findall(written):
            if newline:
                self._next_row()
            elif letter == "A":
                highest = max(0, len(self._lines) - self._rows)
                self._row = max(highest, self._row - int(code or 1))
            elif letter == "K":
                self._lines[self._row] = ""
            elif letter == "m":
                self._lines[self._row] += f"\x1b[{code}m"
            elif text:
                self._write(text)

    def _write(self, text: str) -> None:
        while text:
            room = self._columns - len(_COLOURS.sub("", self._lines[self._row]))
            if not room:
                self._next_row()
                continue
            self._lines[self._row] += text[:room]
            text = text[room:]

    def _next_row(self) -> None:
        self._row += 1
        self._lines += [""] * (self._row + 1 - len(self._lines))

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple("\n".join(self._lines).rstrip("\n").split("\n"))


#: Runs a command that heeds Ctrl-C, also where this process was told to ignore it, as what a shell
#: runs beside is.
_HEEDING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp("bash", ["bash", "-c", sys.argv[1]])
"""


def recorded(
    command: str,
    environment: Mapping[str, str],
    ctrl_c: str = "never",
    columns: int = COLUMNS,
    rows: int = ROWS,
) -> tuple[list[Frame], int]:
    """Run it; its screens and its exit status. Ctrl-C is pressed when the screen shows those
    words."""
    start = time.monotonic()
    screen = Screen(columns, rows)
    screen.feed(f"$ {command}\r\n")
    frames: list[Frame] = []
    written = b""
    pressed = False
    process, master = _started(command, environment, columns, rows)
    while True:
        if not select.select([master], [], [], QUIET)[0]:
            frames.append(Frame(time.monotonic() - start, screen.lines))
            if ctrl_c in frames[-1].text and not pressed:
                pressed = os.write(master, b"\x03") > 0
            select.select([master], [], [])
        try:
            written += os.read(master, 65536)
        except OSError:  # the last writer has closed it
            break
        text = written.decode("utf-8", "ignore")
        written = written[len(text.encode()) :]
        screen.feed(text)
    os.close(master)
    return [*frames, Frame(time.monotonic() - start, screen.lines)], process.wait()


def _started(
    command: str, environment: Mapping[str, str], columns: int, rows: int
) -> "tuple[subprocess.Popen[bytes], int]":
    """The process, and our side of its terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        # Opened by the session's leader it is its controlling terminal: Ctrl-C arrives.
        [sys.executable, "-c", _HEEDING, f"exec <{os.ttyname(slave)}; exec {command}"],
        cwd=ROOT,
        env={**environment, "TERM": "xterm-256color"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    return process, master
