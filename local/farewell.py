"""What ends `make local`, `make demo` and `make workflow` before their time is said in a sentence."""

import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from lambda_rollout.say import let_go, why

#: The exit status of a command that Ctrl-C has ended.
STOPPED = 130


def with_a_sentence(main: Callable[[], int]) -> None:
    """Runs it, and ends the process with its status."""
    try:
        status = main()
    except KeyboardInterrupt:
        status = _said("Stopped: what ran on this machine has ended.", STOPPED)
    except RuntimeError as error:  # such as an install that failed: it has said why
        status = _said(str(error), 1)
    except Exception as error:  # a closed pipe, a full disk
        status = _said(f"Ended ({why(error)}).", 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # there is nothing left to stop
    let_go(sys.__stdout__)
    let_go(sys.__stderr__)
    sys.exit(status)


def _said(what: str, status: int) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):  # nobody may be reading any more
        print(what, file=sys.stderr, flush=True)
    return status
