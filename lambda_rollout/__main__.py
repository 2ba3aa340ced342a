"""`lambda-rollout`, and `python -m lambda_rollout`: the process around `command.main`. What happens
to it is said in a sentence.

It never ends as Python does by itself, with 1: that means that the rollout was rolled back. Whatever is
imported is imported within `run`: it takes a moment, in which Ctrl-C may come.
"""

import sys
from typing import NoReturn


def run() -> int:
    """The exit status."""
    try:
        return _typed()
    except KeyboardInterrupt:
        return _last_word(None)
    except Exception as error:
        return _last_word(error)


def _typed() -> int:
    import io

    from lambda_rollout.command import main

    if isinstance(sys.stdout, io.TextIOWrapper):
        # A letter that the output lacks is no reason to end.
        sys.stdout.reconfigure(errors="replace")
    try:
        return main()
    except SystemExit as ended:  # argparse has shown its help, or refused what was typed
        return int(ended.code or 0)


def _last_word(error: Exception | None) -> int:
    """Why it ends before its time; without an error it was Ctrl-C."""
    _hear_no_more()
    from lambda_rollout.called import goes_on
    from lambda_rollout.endings import Status
    from lambda_rollout.say import say, why

    if error is None:
        return say(f"Stopped; {goes_on()}", Status.STOPPED_WATCHING)
    return say(f"Stopped ({why(error)}); {goes_on()}", Status.BROKEN_OFF)


def _hear_no_more() -> None:
    """Ctrl-C has nothing left to stop, and would break the last word."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


def command() -> NoReturn:
    """The whole process, as `lambda-rollout` too."""
    sys.unraisablehook = lambda _: None  # Python would print a traceback, and go on
    status = run()
    _hear_no_more()
    from lambda_rollout.say import let_go

    let_go(sys.__stdout__)
    let_go(sys.__stderr__)
    sys.exit(status)


if __name__ == "__main__":
    command()
