"""The processes of a session, by Linux's /proc. It must never name one that is dead, or one of
another session."""

import contextlib
import os
import signal
from pathlib import Path


def of_session(leader: int) -> list[int]:
    """The leader first, then whatever it started, in whatever process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state != "Z":
                found.append(int(stat.parent.name))
    return sorted(found, key=lambda pid: pid != leader)


def kill(pids: list[int]) -> None:
    """SIGKILL, in this order; who has gone has gone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
