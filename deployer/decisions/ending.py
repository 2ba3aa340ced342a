"""How a rollout ended: a value, told once, and returned or raised by a driver. What went badly is
put into words here.

No I/O. What is said at the end of a rollout is said here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deployer.decisions import errors

#: What a rollout that went well ends with. Everything else is the name of an error.
SUCCEEDED = "SUCCEEDED"
#: Of a rehearsal: the new version is healthy, and the alias on the original one again.
APPROVED = "APPROVED"
ALREADY_DEPLOYED = "ALREADY_DEPLOYED"
HANDED_OVER = "HANDED_OVER"
PLANNED = "PLANNED"
WELL = (SUCCEEDED, APPROVED, ALREADY_DEPLOYED, HANDED_OVER, PLANNED)

PROMOTED = "Promoted by hand, or by a request of ours whose answer was lost."
UNTOUCHED = "The alias was neither read nor changed."
LEASE_LOST = (
    "The lease was lost: it ran out before it could be renewed, and the watchdog has the alias."
)
STILL_ALIVE = "The deployer is not dead after all, and has the alias itself."


class PromotedByHand(Exception):
    """When somebody has put the alias on the new version alone: there is nothing left to do."""


@dataclass(frozen=True)
class Ending:
    """`status` is one of the above or an error's name; `where` says where the alias is now.

    `more` is what the result says besides. A `silent` one is somebody else's to tell. What is
    `left_over` of ours on the alias is the watchdog's to take out.
    """

    status: str
    reason: str = ""
    where: str = ""
    rolled_back: bool = False
    warning: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    silent: bool = False
    left_over: bool = False

    @property
    def well(self) -> bool:
        return self.status in WELL

    def at(self, where: str, left_over: bool = False) -> "Ending":
        return replace(self, where=where, left_over=left_over)

    def because(self, why: str) -> "Ending":
        """The same, with more about its reason."""
        return replace(self, reason=f"{self.reason} {why}".strip())

    def error(self) -> errors.DeployError:
        """What its caller gets where it did not end well."""
        kind = errors.named(self.status)
        assert kind is not None, "what ended well is returned"
        return kind(self.reason, self.where)


def refused(error: errors.DeployError) -> Ending:
    """Before the first shift."""
    return Ending(type(error).__name__, error.reason)


def moved(cause: BaseException, error: BaseException) -> Ending:
    """Somebody else has the alias, as `error` says; it was to be rolled back because of `cause`,
    which may be the same."""
    if isinstance(error, PromotedByHand):
        return _promoted(cause)
    assert isinstance(error, errors.DeployError)
    if error is cause or isinstance(error, errors.AliasBusy):
        return refused(error)
    return not_rolled_back(cause, error)


def _promoted(cause: BaseException) -> Ending:
    if isinstance(cause, errors.HealthCheckFailed | errors.HealthCheckInconclusive):
        # Somebody wants it all the same: that is respected, and not called a success.
        return refused(cause)
    return Ending(SUCCEEDED, warning=PROMOTED)


def not_rolled_back(cause: BaseException, why: errors.DeployError, silent: bool = False) -> Ending:
    """It was to be rolled back, and could not be, or was somebody else's by then.

    After the lease ran out it is `silent`: the watchdog goes on, and tells.
    """
    reason = f"{reason_of(cause)} {why.reason}"
    return Ending(type(why).__name__, reason, silent=silent)


def rolled_back(cause: BaseException, was_split: bool) -> Ending:
    """After a rollback that went well; nothing was to be done where the alias never `was_split`."""
    reason = reason_of(cause)
    if was_split:
        reason = f"{reason} It was rolled back."
    return Ending(_status(cause), reason, rolled_back=was_split)


def lost(cause: BaseException, to_the_deployer: bool) -> Ending:
    """The lease ran out, and then the split was gone: the watchdog took it, and tells; or, where
    the watchdog itself finds that, the deployer."""
    why = STILL_ALIVE if to_the_deployer else LEASE_LOST
    return Ending("RolloutInterrupted", f"{reason_of(cause)} {why}", silent=True)


def _status(cause: BaseException) -> str:
    if isinstance(cause, errors.DeployError):
        return type(cause).__name__
    return "RolloutInterrupted"


def reason_of(cause: BaseException) -> str:
    """Why, in a sentence."""
    if isinstance(cause, errors.DeployError):
        return cause.reason
    return f"Something unexpected happened: {type(cause).__name__}: {cause}."
