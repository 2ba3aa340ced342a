"""Reads what was typed, watches, and ends with the status that tells how the rollout ended."""

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import boto3
from botocore import exceptions

from deployer.decisions.errors import DeployError, InvalidRollout
from deployer.decisions.rollout import LONGEST_INTERVAL, Rollout
from lambda_rollout import planned, remedies, request, table, words
from lambda_rollout.endings import MEANINGS, Status
from lambda_rollout.eyes import UNKNOWN_START, Clients, Eyes
from lambda_rollout.plain import Plain
from lambda_rollout.remedies import CannotSee, NotSent, Refused
from lambda_rollout.say import say, why
from lambda_rollout.screen import Screen, Terminal
from lambda_rollout.start import ask, start
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
        "--dry-run",
        nargs="?",
        const="1",
        metavar="1",
        help="show the plan, and move nothing",
    )
    rollout.add_argument(
        "--started-by",
        metavar="TEXT",
        help="who asks for it; the ARN of these credentials, where nothing is said",
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
    typed = parser().parse_args(arguments)
    unseen = Status.REFUSED if typed.verb == "rollout" else Status.NOT_SEEN
    out = out or sys.stdout
    watch = None
    try:
        given = _given(typed)
        clients = _connected(connect)
        if typed.verb == "rollout":
            rollout = request.check(request.payload(vars(typed), given), clients.region)
            eyes = Eyes(clients, *rollout.target, typed.stack)
            if rollout.dry_run:
                return _plan(rollout, ask(clients, eyes, rollout), typed.plain, out)
            state = start(clients, eyes, rollout, clock.time())
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
    except (NotSent, Refused) as error:
        return say(str(error), Status.REFUSED)
    except CannotSee as error:
        return say(str(error), Status.NOT_SEEN)
    except exceptions.BotoCoreError as error:
        return say(remedies.sentence(error), unseen)
    except Exception as error:  # a closed pipe, a full disk, or a fault of ours
        return _stopped(watch, why(error), Status.BROKEN_OFF)


def _given(typed: argparse.Namespace) -> Any:
    """What the payload's file holds, where there is one. Raises `Refused`, which names all that is
    missing, and `InvalidRollout`."""
    given: Any = {}
    if typed.verb == "rollout":
        if typed.payload:
            given = request.contents(_text(typed.payload))
        absent = request.missing(vars(typed), given)
    else:
        absent = [name for name in ("function", "alias") if not getattr(typed, name)]
    if absent:
        raise Refused(request.which(typed.verb, absent))
    return given


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InvalidRollout(f"The payload cannot be read: {error}.") from error


def _connected(connect: Connect) -> Any:
    """AWS's clients. Raises `Refused` where an address in the environment is none."""
    told = remedies.no_address(os.environ)
    if told:
        raise Refused(told)
    return connect()


def _stopped(watch: Watch | None, because: str, status: Status, to: TextIO | None = None) -> Status:
    """Say that no more is shown. An ending that was seen is told by its own status all the same."""
    state = watch.state if watch else None
    if state and state.end:
        status = state.end.status
    return say(words.stopped(state, because), status, to)


def _terminal(out: TextIO, plain: bool) -> Terminal | None:
    """None where lines are to be printed."""
    console = Terminal(file=out, highlight=False)
    if plain or not console.is_terminal or console.is_dumb_terminal:
        return None
    return console


def _show(out: TextIO, plain: bool) -> Screen | Plain:
    console = _terminal(out, plain)
    return Screen(console) if console else Plain(out)


def _plan(rollout: Rollout, answer: Mapping[str, Any], plain: bool, out: TextIO) -> Status:
    """Show what a dry run has answered."""
    nothing = planned.not_planned(rollout, answer)
    if nothing:
        return say(nothing, Status.DEPLOYED, out)
    table.show(planned.read(rollout, answer), _terminal(out, plain), out)
    return Status.DEPLOYED


def _watch(typed: argparse.Namespace, clients: Any, now: float) -> tuple[State, Eyes]:
    target = request.target(typed.function, typed.alias, clients.region)
    state = State(*target, since=now - UNKNOWN_START, give_up=now + typed.wait)
    return state, Eyes(clients, *target, typed.stack)
