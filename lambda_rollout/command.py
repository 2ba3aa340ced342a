"""Reads what was typed, watches, and ends with the status that tells how the rollout ended."""

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import boto3
from botocore import exceptions

from deployer.decisions.errors import DeployError, InvalidRollout
from deployer.decisions.rollout import LONGEST_INTERVAL
from lambda_rollout import remedies, request, words
from lambda_rollout.endings import MEANINGS, Status
from lambda_rollout.eyes import UNKNOWN_START, Clients, Eyes
from lambda_rollout.plain import Plain
from lambda_rollout.remedies import CannotSee, NotSent
from lambda_rollout.say import say, why
from lambda_rollout.screen import Screen, Terminal
from lambda_rollout.start import start
from lambda_rollout.state import State
from lambda_rollout.watch import Clock, Watch

STACK = "aws-lambda-deploy-stack"

_STATUSES = "\n".join(f"  {status:<5}{meaning}" for status, meaning in MEANINGS.items())
_EPILOG = f"""\
exit status:
{_STATUSES}

`make` turns every status but 0 into its own 2: a pipeline that tells them apart runs
`.venv/bin/python -m lambda_rollout …`.
Ctrl-C stops watching, never the rollout. Credentials, Region and AWS_ENDPOINT_URL are those of the environment.
"""

#: Makes AWS's clients; tests pass one that makes fakes.
Connect = Callable[[], Any]


class Parser(argparse.ArgumentParser):
    def print_help(self, file: Any = None) -> None:
        """As its base does, which would not notice that nothing could be written."""
        print(self.format_help(), end="", file=file, flush=True)


def parser() -> argparse.ArgumentParser:
    whole = Parser(
        prog="python -m lambda_rollout",
        description="Starts a rollout and follows it, or follows one that anybody has started.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="rollout | watch")
    rollout = _verb(verbs, "rollout", "start a rollout, then follow it to its end")
    watch = _verb(verbs, "watch", "follow the rollout that runs on an alias, whoever started it")
    rollout.add_argument("--version", metavar="NUMBER", help="the published version to deploy")
    rollout.add_argument("--steps", metavar="N", help="how many weights, such as 10")
    rollout.add_argument(
        "--interval", metavar="SECONDS", help="how long each weight lasts, such as 60"
    )
    rollout.add_argument(
        "--type",
        help="linear (the default), exponential, canary, all-at-once, or a CodeDeploy name",
    )
    rollout.add_argument(
        "--weights", metavar="LIST", help="instead of steps and type, such as 0.01,0.1,1"
    )
    rollout.add_argument(
        "--health",
        metavar="JSON",
        help='the health check: true, false, or such as {"errors": "baseline"}',
    )
    rollout.add_argument(
        "--payload",
        metavar="FILE",
        type=Path,
        help="a payload such as those in events/; the options change it",
    )
    watch.add_argument(
        "--wait",
        metavar="SECONDS",
        type=_seconds,
        default=0.0,
        help="for a rollout to begin, if none runs (0)",
    )
    return whole


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= LONGEST_INTERVAL:
        rule = f"must be a number of seconds from 0 to {LONGEST_INTERVAL}"
        raise argparse.ArgumentTypeError(f"{rule}, but it is '{text}'.")
    return seconds


def _verb(verbs: Any, name: str, about: str) -> Any:
    made = verbs.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--function", help="the function: its name or ARN, without a version")
    made.add_argument("--alias", help="the alias that users call")
    made.add_argument("--stack", default=STACK, help=f"the deployer's stack, for its log ({STACK})")
    made.add_argument(
        "--plain", action="store_true", help="a line a change, as where the output is no terminal"
    )
    return made


def main(
    arguments: Sequence[str] | None = None,
    connect: Connect = lambda: Clients(boto3.client),
    clock: Clock = time,
    out: TextIO | None = None,
) -> int:
    typed = _read(arguments)
    unseen = Status.REFUSED if typed.verb == "rollout" else Status.NOT_SEEN
    out = out or sys.stdout
    watch = None
    try:
        clients = connect()
        if typed.verb == "rollout":
            state, eyes = _rollout(typed, clients, clock.time())
        else:
            state, eyes = _watch(typed, clients, clock.time())
        watch = Watch(state)
        with _show(out, typed.plain) as show:
            end = watch.follow(eyes, show, clock).end
        return end.status if end else Status.UNKNOWN
    except KeyboardInterrupt:
        say("", Status.STOPPED_WATCHING, out)  # what comes is not to stand behind the terminal's ^C
        return _stopped(watch, "", Status.STOPPED_WATCHING, out)
    except DeployError as error:
        return say(f"{type(error).__name__}: {error}", Status.REFUSED)
    except NotSent as error:
        return say(str(error), Status.REFUSED)
    except CannotSee as error:
        return say(str(error), Status.NOT_SEEN)
    except exceptions.BotoCoreError as error:
        return say(remedies.sentence(error), unseen)
    except Exception as error:  # a closed pipe, a full disk, or a fault of ours
        return _stopped(watch, why(error), Status.BROKEN_OFF)


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was typed. Ends the process, as argparse does, where something is missing."""
    reader = parser()
    typed = reader.parse_args(arguments)
    needed = ["function", "alias"]
    if typed.verb == "rollout":
        needed = [] if typed.payload else ["function", "alias", "version"]
    for name in needed:
        if not getattr(typed, name):
            reader.error(f"which {name}? Give --{name}, or to make {name.upper()}=…")
    return typed


def _stopped(watch: Watch | None, because: str, status: Status, to: TextIO | None = None) -> Status:
    """Say that no more is shown. An ending that was seen is told by its own status all the same."""
    state = watch.state if watch else None
    if state and state.end:
        status = state.end.status
    return say(words.stopped(state, because), status, to)


def _show(out: TextIO, plain: bool) -> Screen | Plain:
    console = Terminal(file=out, highlight=False)
    if plain or not console.is_terminal or console.is_dumb_terminal:
        return Plain(out)
    return Screen(console)


def _rollout(typed: argparse.Namespace, clients: Any, now: float) -> tuple[State, Eyes]:
    try:
        file = typed.payload and typed.payload.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InvalidRollout(f"The payload cannot be read: {error}.") from error
    rollout = request.check(request.payload(vars(typed), file), clients.region)
    eyes = Eyes(clients, *rollout.target, typed.stack)
    return start(clients, eyes, rollout, now), eyes


def _watch(typed: argparse.Namespace, clients: Any, now: float) -> tuple[State, Eyes]:
    target = request.target(typed.function, typed.alias, clients.region)
    state = State(*target, since=now - UNKNOWN_START, give_up=now + typed.wait)
    return state, Eyes(clients, *target, typed.stack)
