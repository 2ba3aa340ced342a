"""Stops a rollout or promotes its new version, as an operator does by hand: one UpdateAlias, and
nothing else. The deployer sees it at its next look, and ends.

Writes only where a rollout shows on the alias, always under the `RevisionId` last read: what
somebody else has written meanwhile is read first (412).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deployer import aws
from deployer.decisions.errors import AliasBusy
from deployer.decisions.ownership import Snapshot
from lambda_rollout import remedies, words
from lambda_rollout.endings import End
from lambda_rollout.eyes import Eyes
from lambda_rollout.remedies import CannotSee, NothingRuns, NotSent
from lambda_rollout.state import State, see
from lambda_rollout.watch import Clock

_TRIES = 5
#: Seconds between two tries.
_PAUSE = 1.0

_CHANGED = (
    "Somebody else has written the alias meanwhile, so nothing was written. It is read again."
)
_UNKNOWN = "Whether the alias was written is not known."
_UNSTAMPED = "A deployer whose stamp was overwritten writes it again within 30 s. By hand:"


@dataclass(frozen=True)
class Move:
    """To which version the alias is moved alone: the original or the new one."""

    promotes: bool

    def goal(self, state: State) -> str:
        return state.new if self.promotes else state.original

    @property
    def verb(self) -> str:
        return "promote" if self.promotes else "stop"

    @property
    def name(self) -> str:
        return "PROMOTED" if self.promotes else "STOPPED"

    def done(self, state: State) -> str:
        """That it is written."""
        if self.promotes:
            return f"Promoted: all users are on version {state.new}. The deployer sees it at its next look."
        return f"Taken back: all users are on version {state.original}. The deployer sees it at its next look."

    def confirmed(self, end: End) -> bool:
        """Whether the deployer's own ending says so."""
        return end.name == ("SUCCEEDED" if self.promotes else "AliasChanged")


def move(
    clients: Any,
    eyes: Eyes,
    known: State,
    wanted: Move,
    clock: Clock,
    tell: Callable[[str], None],
) -> tuple[State, bool]:
    """The rollout as it stood before the write, and whether that took effect.

    Raises `NothingRuns`, `AliasBusy`, `NotSent`, or `CannotSee` when it may have been written.
    """
    found = _read(eyes, "")
    state = _running(known, found, clock.time())
    unsure = ""
    for _ in range(_TRIES):
        try:
            clients.once.update_alias(**_request(state, found, wanted))
            return state, True
        except aws.CallFailed as error:
            unsure = _unsure(clients, state, error, unsure, tell)
        clock.sleep(_PAUSE)
        found = _read(eyes, unsure)
        if unsure and _holds(state, found, wanted):
            return state, True
        seen = see(known, found, clock.time())
        if seen.rollout != state.rollout or not seen.step:
            tell(f"The rollout was over before it could be written: {seen.stands}")
            return state, False
    if unsure:
        raise CannotSee(f"{unsure} {_UNKNOWN}")
    again = f"It was written by others {_TRIES} times in a row"
    raise NotSent(f"{again}: run {wanted.verb} again. {seen.stands}")


def _unsure(
    clients: Any, state: State, error: Exception, before: str, tell: Callable[[str], None]
) -> str:
    """Why it is not known whether anything was written; empty where nothing was. Raises `NotSent`
    where asking again is in vain."""
    if aws.code(error) == "PreconditionFailedException":
        tell(f"{_CHANGED} AWS says {aws.words(error)}")
        return before
    doing = remedies.updating_alias(state.function, state.alias, clients.region)
    told = remedies.sentence(error, doing)
    if (aws.refused(error) or remedies.hopeless(error)) and not before:
        raise NotSent(told) from error
    tell(f"{told} The alias is read again.")
    return told


def _read(eyes: Eyes, unsure: str) -> Snapshot:
    try:
        return eyes.alias()
    except aws.CallFailed as error:
        told = eyes.why_unread(error)
        if unsure:
            raise CannotSee(f"{told} {_UNKNOWN}") from error
        raise NotSent(told) from error


def _running(known: State, found: Snapshot, now: float) -> State:
    """The rollout that shows on the alias. Raises where none does."""
    state = see(known, found, now)
    if state.step:
        return state
    if found.routing:
        by_hand = f"{_UNSTAMPED} {words.stop(state)}"
        raise AliasBusy(found.busy, f"Nothing was written. {by_hand}")
    raise NothingRuns(f"No rollout runs on this alias. {state.stands} Nothing was written.")


def _holds(state: State, found: Snapshot, wanted: Move) -> bool:
    """Whether a write whose answer was lost has been done."""
    alone = found.version == wanted.goal(state) and not found.routing
    return alone and not found.suspended


def _request(state: State, found: Snapshot, wanted: Move) -> dict[str, Any]:
    request: dict[str, Any] = {
        "FunctionName": state.function,
        "Name": state.alias,
        "RevisionId": found.revision,
        "RoutingConfig": {"AdditionalVersionWeights": {}},
    }
    if wanted.promotes:
        request["FunctionVersion"] = state.new
    return request
