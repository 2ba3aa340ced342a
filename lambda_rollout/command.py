"""Reads what was typed, does it, and ends with the status that tells how it ended."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import boto3
from botocore import exceptions

from deployer.decisions.errors import DeployError
from lambda_rollout import answer, remedies, words
from lambda_rollout.endings import Status
from lambda_rollout.eyes import Clients
from lambda_rollout.options import Misspelt, parser
from lambda_rollout.remedies import CannotSee, NothingRuns, NotSent, Refused
from lambda_rollout.say import say, why
from lambda_rollout.session import Session
from lambda_rollout.watch import Clock

#: Makes AWS's clients; tests pass one that makes fakes.
Connect = Callable[[], Any]

#: These send or write, or do nothing.
_SENDING = ("start", "plan", "stop", "promote", "undo")


def main(
    arguments: Sequence[str] | None = None,
    connect: Connect = lambda: Clients(boto3.client),
    clock: Clock = time,
    out: TextIO | None = None,
    typist: TextIO | None = None,
) -> int:
    """`typist` is who answers a question: standard input."""
    asked = list(sys.argv[1:] if arguments is None else arguments)
    out = out or sys.stdout
    try:
        typed = parser().parse_args(asked)
    except Misspelt as misspelt:
        if "--json" in asked:
            print(
                answer.as_json(answer.of(Status.REFUSED, "REFUSED", reason=misspelt.told)), file=out
            )
        raise
    session = Session(typed, clock, out, typist or sys.stdin)
    unseen = Status.REFUSED if typed.verb in _SENDING else Status.NOT_SEEN
    try:
        return session.run(lambda: _connected(connect))
    except KeyboardInterrupt:
        # What comes is not to stand behind the terminal's ^C.
        say("", Status.STOPPED_WATCHING, session.progress)
        return _stopped(session, "", Status.STOPPED_WATCHING, session.progress)
    except DeployError as error:
        say(f"{type(error).__name__}: {error}", Status.REFUSED)
        return session.refused(Status.REFUSED, type(error).__name__, error.reason, error.where)
    except NothingRuns as error:
        return _refused(session, error, Status.NOTHING_RUNS, "NOTHING_RUNS")
    except (NotSent, Refused) as error:
        return _refused(session, error, Status.REFUSED, "REFUSED")
    except CannotSee as error:
        return _refused(session, error, Status.NOT_SEEN, "NOT_SEEN")
    except exceptions.BotoCoreError as error:
        return _refused(session, remedies.sentence(error), unseen, unseen.name)
    except Exception as error:  # a closed pipe, a full disk, or a fault of ours
        return _stopped(session, why(error), Status.BROKEN_OFF)


def _connected(connect: Connect) -> Any:
    """AWS's clients. Raises `Refused` where an address in the environment is none."""
    told = remedies.no_address(os.environ)
    if told:
        raise Refused(told)
    return connect()


def _refused(session: Session, told: object, status: Status, name: str) -> Status:
    say(str(told), status)
    return session.refused(status, name, str(told))


def _stopped(session: Session, because: str, status: Status, to: TextIO | None = None) -> Status:
    """Say that no more is shown. An ending that was seen is told by its own status all the same."""
    state = session.state
    name = status.name
    if state and state.end:
        status = state.end.status
        name = state.end.name
    told = words.stopped(state, because)
    if session.done and not (state and state.end):
        told = words.stopped_waiting(session.done, because)
    say(told, status, to)
    return session.refused(status, name, because)
