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

_TRIES = 5

_CHANGED = (
    "Somebody else has written the alias meanwhile, so nothing was written. It is read again."
)
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
    now: Callable[[], float],
    tell: Callable[[str], None],
) -> tuple[State, bool]:
    """The rollout as it stood before the write, and whether that took effect.

    Raises `NothingRuns`, `AliasBusy`, `NotSent`, or `CannotSee` when it may have been written.
    """
    first = known
    unsure = ""
    for _ in range(_TRIES):
        found = _read(clients, eyes, known, unsure)
        state = see(known, found, now())
        if first.rollout:
            ended = not state.step or state.rollout != first.rollout
            if unsure and _holds(first, found, wanted):
                return first, True
            if ended:
                tell(f"The rollout was over before it could be written: {_where(state)}")
                return first, False
        else:
            _must_run(state, found)
            first = state
        try:
            clients.once.update_alias(**_request(first, found, wanted))
            return first, True
        except aws.CallFailed as error:
            if aws.code(error) == "PreconditionFailedException":
                tell(f"{_CHANGED} AWS says {aws.words(error)}")
                continue
            told = remedies.sentence(
                error, remedies.updating_alias(known.function, known.alias, clients.region)
            )
            if (aws.refused(error) or remedies.hopeless(error)) and not unsure:
                raise NotSent(told) from error
            unsure = told
            tell(f"{told} The alias is read again.")
    return _gave_up(first, wanted, unsure)


def _read(clients: Any, eyes: Eyes, known: State, unsure: str) -> Snapshot:
    try:
        return eyes.alias()
    except aws.CallFailed as error:
        doing = remedies.reading_alias(known.function, known.alias, clients.region)
        told = remedies.sentence(error, doing)
        if unsure:
            raise CannotSee(f"{told} Whether the alias was written is not known.") from error
        raise NotSent(told) from error


def _must_run(state: State, found: Snapshot) -> None:
    """Raises where no rollout shows on the alias."""
    if state.step:
        return
    if found.routing:
        by_hand = f"{_UNSTAMPED} {words.stop(state)}"
        raise AliasBusy(found.busy, f"Nothing was written. {by_hand}")
    raise NothingRuns(f"No rollout runs on this alias. {_where(state)} Nothing was written.")


def _holds(first: State, found: Snapshot, wanted: Move) -> bool:
    """Whether a write whose answer was lost has been done."""
    alone = found.version == wanted.goal(first) and not found.routing
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


def _where(state: State) -> str:
    return f"{state.name} {state.where}."


def _gave_up(state: State, wanted: Move, unsure: str) -> tuple[State, bool]:
    if unsure:
        raise CannotSee(f"{unsure} Whether the alias was written is not known.")
    again = f"It was written by others {_TRIES} times in a row"
    raise NotSent(f"{again}: run {wanted.verb} again. {_where(state)}")
