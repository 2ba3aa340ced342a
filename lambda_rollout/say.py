"""The last word, and the exit status that goes with it: whatever has become of the output.

Imports next to nothing: it must be there before the rest of the command is loaded.
"""

import os
import sys
import traceback
from contextlib import suppress
from typing import TextIO

from lambda_rollout.endings import Status


def say(what: str, status: Status, to: TextIO | None = None) -> Status:
    """On standard error, or elsewhere."""
    with suppress(OSError):
        print(what, file=to or sys.stderr, flush=True)
    return status


def let_go(stream: TextIO | None) -> None:
    """Leave nothing in its buffer that cannot be written: Python would try again, and end with
    120."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def why(error: Exception) -> str:
    """What keeps us from going on: the system's own words, or a fault of ours with its place."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {error.filename}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    place = traceback.extract_tb(error.__traceback__)[-1]
    file = place.filename.rsplit("/", 1)[-1]
    said = " ".join(str(error).split())  # on one line
    return f"{type(error).__name__}: {said}, in {file}, line {place.lineno}"
