"""What can go wrong with a rollout, as its callers see it.

The class name is public: `errorType` in the CLI, `ErrorEquals` in a state machine.

    DeployError
    ├── InvalidRollout            the request or its target is wrong      alias untouched
    │   └── RolloutTooLong        it does not fit into the time there is  alias untouched
    ├── AliasBusy                 the alias is split already              alias untouched
    ├── HealthCheckFailed         the new version misbehaves              rolled back
    ├── HealthCheckInconclusive   the new version could not be judged     rolled back
    ├── RolloutInterrupted        we could not go on                      rolled back
    ├── AliasChanged              somebody else moved the alias           only ours is taken out
    └── RollbackFailed            we could not undo                       the message has a command

Before the first shift "rolled back" is "untouched". Whatever a caller gets ends by saying where the
alias is: `reason` is what happened, `where` is that last sentence, which `Ending` adds.
"""


class DeployError(Exception):
    """The base of the tree; never raised itself."""

    def __init__(self, reason: str, where: str = "") -> None:
        super().__init__(f"{reason} {where}".strip())
        self.reason = reason
        self.where = where


class InvalidRollout(DeployError):
    """When the payload, the function, the alias or the version is wrong, or access is denied."""


class RolloutTooLong(InvalidRollout):
    """When the rollout does not fit into the time there is."""


class AliasBusy(DeployError):
    """When the alias is split before we start: a rollout runs, or somebody split it by hand."""


class HealthCheckFailed(DeployError):
    """When the new version misbehaves."""


class HealthCheckInconclusive(DeployError):
    """When the new version could not be judged: no look could be made, or too few calls came."""


class RolloutInterrupted(DeployError):
    """When we could not go on: AWS did not answer, or time ran out."""


class AliasChanged(DeployError):
    """When somebody else moved the alias while we were at it."""


class RollbackFailed(DeployError):
    """When the alias could not be given back to the original version."""


def named(name: str) -> type[DeployError] | None:
    """The class of the tree with that name; None where there is none."""
    kind = globals().get(name)
    if isinstance(kind, type) and issubclass(kind, DeployError):
        return kind
    return None
