"""PURE. Rollouts that are over, or have begun at least: what the deployer's log says of each."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from deployer.decisions.ownership import Snapshot
from deployer.decisions.target import Target
from lambda_rollout.endings import end_of
from lambda_rollout.lines import Line

#: The name of one whose ending the log does not tell.
NOT_TOLD = "NOT_TOLD"
RUNNING = "RUNNING"

#: Lines that tell neither a beginning nor an ending, and are many.
_BETWEEN = ("LOOKED", "NOT_SEEN", "LEASED", "SHIFTED", "SUSPENDED", "RESUMED", "ROLLED_BACK")


@dataclass(frozen=True)
class Past:
    """Times are seconds since 1970; empty or None is what the log does not say."""

    rollout: str
    function: str = ""
    alias: str = ""
    original: str = ""
    new: str = ""
    started_by: str = ""
    began: float | None = None
    ended: float | None = None
    name: str = NOT_TOLD
    reason: str = ""
    where: str = ""
    warnings: tuple[str, ...] = ()
    execution: str = ""
    step: int = 0

    @property
    def at(self) -> float:
        """When it was last heard of."""
        return self.ended or self.began or 0.0

    @property
    def seconds(self) -> float | None:
        """How long it took, where both ends are known."""
        if self.began is None or self.ended is None:
            return None
        return self.ended - self.began

    @property
    def whole(self) -> bool:
        """Whether no older line can tell more: it has its beginning, or never moved the alias."""
        return self.began is not None or not self.step


def pattern(function: str = "", alias: str = "") -> str:
    """What CloudWatch is asked for: beginnings and endings, of the alias, the function, or all."""
    asked = ['$.rollout = "*"']
    if function:
        asked = [f'$.function = "{function}"']
    if alias:
        asked = [f'($.function = "{function}" && $.alias = "{alias}")']
    asked += [f'$.message != "{each}"' for each in _BETWEEN]
    return "{ " + " && ".join(asked) + " }"


def read(lines: Iterable[Line]) -> list[Past]:
    """From the lines, the oldest first: the rollouts, the newest first. Dry runs are none."""
    found: dict[str, Past] = {}
    for line in lines:
        known = found.get(line.rollout, Past(line.rollout))
        told = _told(known, line)
        if told != known:
            found[line.rollout] = told
    return sorted(found.values(), key=lambda past: past.at, reverse=True)


def last_success(rollouts: Iterable[Past]) -> Past | None:
    """The newest that moved its alias to a new version for good."""
    return next((past for past in rollouts if past.name == "SUCCEEDED"), None)


def shown(past: Past, found: Snapshot) -> Past:
    """One whose ending the log does not tell, by its alias as it is now."""
    mark = found.stamp
    if mark and mark.rollout_id == past.rollout and (found.routing or found.suspended):
        return replace(past, name=RUNNING, step=mark.step, where=_where(past, found))
    return replace(past, where=_where(past, found))


def unknown(past: Past, why: str) -> Past:
    """The same, where the alias cannot be read."""
    return replace(past, reason=why)


def _where(past: Past, found: Snapshot) -> str:
    return f"{Target(past.function, past.alias)} {found.state} now."


def _told(past: Past, line: Line) -> Past:
    said = line.said
    end = end_of(line)
    if end is None and line.message not in ("STARTED", "HANDED_OVER"):
        return past
    past = replace(
        past,
        function=str(said.get("function", past.function)),
        alias=str(said.get("alias", past.alias)),
        original=str(said.get("original-version", past.original)),
        new=str(said.get("new-version", past.new)),
        started_by=str(said.get("started-by", past.started_by)),
        execution=str(said.get("execution", past.execution)),
    )
    if end is None:  # what was handed over begins a little later
        return replace(past, began=line.time)
    # After RollbackFailed another ending may follow: the last one counts.
    return replace(
        past,
        ended=end.at,
        name=end.name,
        reason=end.reason,
        where=end.where,
        warnings=end.warnings,
        step=int(said.get("step") or 0),
    )
