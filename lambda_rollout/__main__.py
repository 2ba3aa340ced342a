"""`python -m lambda_rollout`: the process around `command.main`. What happens to it is said in a
sentence.

It never ends as Python does by itself, with 1: that means that the rollout was rolled back.
"""

import io
import signal
import sys

from lambda_rollout.endings import Status
from lambda_rollout.say import GOES_ON, let_go, say, why


def run() -> int:
    """The exit status."""
    try:
        return _typed()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # pressed once more, it would break the word
        return say(f"Stopped; {GOES_ON}", Status.STOPPED_WATCHING)
    except Exception as error:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return say(f"Stopped ({why(error)}); {GOES_ON}", Status.BROKEN_OFF)


def _typed() -> int:
    from lambda_rollout.command import main  # takes a moment, in which Ctrl-C may come

    if isinstance(sys.stdout, io.TextIOWrapper):
        # A letter that the output lacks is no reason to end.
        sys.stdout.reconfigure(errors="replace")
    try:
        return main()
    except SystemExit as ended:  # argparse has shown its help, or refused what was typed
        return int(ended.code or 0)


if __name__ == "__main__":
    status = run()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # there is nothing left to stop
    let_go(sys.__stdout__)
    let_go(sys.__stderr__)
    sys.exit(status)
