"""Whose the alias is: one table, from what we hold, what we want and what was found to whose it is.

Everything that the deployer promises about other people's changes is decided here, in `judge`: what
may be written over, what is somebody else's, and what of ours stands on it. No I/O, no clock:
values in, values out.

    version    routing             stamp          before our first shift   after it
    original   none                says suspended BUSY, ABANDONED (4)      TAKEN_BACK (2) (5)
    original   none                any other      OURS (1)                 TAKEN_BACK (2)
    original   a weight of ours    ours           OURS                     OURS
    original   a weight of ours    none           BUSY                     OURS
    original   any other           a dead one's   ABANDONED                THEIRS
    original   any other           any other      BUSY                     THEIRS
    new        none (3)            any            PROMOTED                 PROMOTED
    any other  none                any            THEIRS                   THEIRS
    any other  a split             any            BUSY                     THEIRS

(1) BUSY where a dead rollout's watchdog has still to put the whole description back. (2) OURS for a
rollback, unless another rollout is suspended there: written once more, it shuts out a shift that is
on its way. (3) Or what AWS adds where there is provisioned concurrency, or the split of a rollout
that goes on from there. (4) Once its deployer has surely ended. (5) OURS under the very revision
that AWS answered to our suspension: an operator who takes a suspended alias back writes what stands
there already, and only the revision tells. Our stamp alone says that we have shifted. What is just
as we want it is AS_WANTED before all; an answer older than one that we have seen is STALE.
tests/test_ownership.py spells the table out.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import isclose, trunc
from typing import Any, NamedTuple

from deployer.decisions.stamp import Stamp, is_shortened, read
from deployer.decisions.target import Target

#: How long past its stamp's `until` a split counts as abandoned.
GRACE = timedelta(seconds=60)

#: So many replaced revisions are remembered: an answer that shows one of them is older than what we
#: know.
REMEMBERED = 10

#: AWS does not say how many digits of a weight it keeps. Fewer than two would make 1 % impossible.
_FEWEST_DIGITS = 2
_MOST_DIGITS = 6

Routing = dict[str, float]


class Whose(StrEnum):
    """Whose the alias is. Only where it is AS_WANTED or OURS may we change anything but take out
    what is ours. What is TAKEN_BACK, THEIRS or GONE is left alike: the names are for the reader."""

    #: Just as we want it.
    AS_WANTED = "AS_WANTED"
    #: Ours, or free: we may write over it.
    OURS = "OURS"
    #: An answer older than one that we have seen: it says nothing.
    STALE = "STALE"
    #: Somebody put it on the new version alone, or another rollout goes on from there.
    PROMOTED = "PROMOTED"
    #: Somebody put it back on the original version alone.
    TAKEN_BACK = "TAKEN_BACK"
    #: The split of a rollout whose deployer has surely ended.
    ABANDONED = "ABANDONED"
    #: Before our first shift: a rollout runs on it, or somebody split it by hand, or a dead
    #: rollout's watchdog has still to put the whole description back.
    BUSY = "BUSY"
    #: Everything else: somebody else moved it.
    THEIRS = "THEIRS"
    #: There is no such alias any more.
    GONE = "GONE"


class Snapshot:
    """What `GetAlias` or `UpdateAlias` answered; nothing in it changes."""

    def __init__(self, answer: Any) -> None:
        # What AWS says of its answering is nothing of the alias.
        self.answer = {key: answer[key] for key in answer if key != "ResponseMetadata"}
        self.version: str = answer["FunctionVersion"]
        self.revision: str = answer["RevisionId"]
        # The other version's share of the calls; empty for an alias that is not split.
        routing_config = answer.get("RoutingConfig") or {}
        self.routing: Routing = routing_config.get("AdditionalVersionWeights") or {}
        # The user's part of the description, and the stamp.
        description = answer.get("Description") or ""
        self.words, self.stamp = read(description)
        # Whether the words did not fit beside the stamp.
        self.shortened = self.stamp is not None and is_shortened(description, self.words)

    @property
    def suspended(self) -> bool:
        """Whether it stands unsplit under the stamp of a rollout that is suspended; on that one's
        new version it was promoted, and the stamp is litter."""
        mark = self.stamp
        if mark is None or self.routing:
            return False
        return mark.suspended and self.version != mark.new_version

    @property
    def state(self) -> str:
        """A few words for the end of a sentence that begins with the alias."""
        if not self.routing:
            return f"is on version {self.version}"
        shares = [
            f"{weight * 100:.4g} % of its calls to version {version}"
            for version, weight in self.routing.items()
        ]
        return f"is split: it sends {' and '.join(shares)}, the rest to version {self.version}"

    @property
    def busy(self) -> str:
        """Why this alias is not touched."""
        mark = self.stamp
        take_back = Target(*self.answer["AliasArn"].split(":")[-2:]).unsplit()
        if not self.routing and not self.suspended:
            return (
                "The alias's description is what a dead rollout left of a longer one, "
                "and its watchdog puts the whole back: "
                "wait some minutes, or write a description of your own, and start again."
            )
        if mark is None:
            return (
                "The alias is split already, and not by this deployer: "
                f"finish that split first, or take it back with '{take_back}'."
            )
        runs = "is suspended" if self.suspended else "runs"
        return (
            f"Rollout {mark.rollout_id} of version {mark.new_version} {runs} on this alias: "
            f"weight {mark.weight:g}, step {mark.step} of {mark.steps}. "
            f"It ends by {mark.until:%Y-%m-%d %H:%M:%S} UTC at the latest: "
            f"wait, or end it now with '{take_back}', and start again."
        )


class Want(NamedTuple):
    """What a write shall bring about; without `version` the alias's own version stays as it is."""

    routing: Routing
    version: str | None = None
    stamp: Stamp | None = None
    rolling_back: bool = False


@dataclass(frozen=True)
class Hold:
    """What a rollout holds of the alias.

    `weights` are those of ours that may stand on it: as AWS's answer showed the last one, and as
    they were sent where the answer is not known. `shifted` says that a shift of ours has taken
    effect: from then on an unsplit alias means that somebody took it back, and a split with no
    stamp that somebody replaced the whole description. `revision` was seen last, the `superseded`
    ones before it; `suspended` is the one that AWS answered to our suspension, while that lasts.
    `fired` says that the watchdog holds it, of a lease that ran out: nobody else is left to take
    our weight out from under another dead rollout's stamp.
    """

    rollout_id: str
    original: str
    new_version: str
    weights: tuple[float, ...] = ()
    shifted: bool = False
    revision: str = ""
    superseded: tuple[str, ...] = ()
    suspended: str = ""
    fired: bool = False

    def sending(self, weight: float) -> "Hold":
        """That weight is on its way."""
        return replace(self, weights=(*self.weights, weight))

    def took_effect(self, weight: float) -> "Hold":
        """The last shift stands, with that weight as AWS answered it."""
        return replace(self, weights=(weight,), shifted=True, suspended="")

    def saw(self, revision: str) -> "Hold":
        """That revision is the latest."""
        if revision == self.revision:
            return self
        superseded = (*self.superseded, self.revision)[-REMEMBERED:]
        return replace(self, revision=revision, superseded=superseded)


class Finding(NamedTuple):
    """Whose the alias is, and what of ours stands on it: our weight, our stamp."""

    whose: Whose
    our_weight: bool = False
    our_stamp: bool = False

    @property
    def something_of_ours(self) -> bool:
        return self.our_weight or self.our_stamp


def may_be_provisioned(hold: Hold, found: Snapshot) -> bool:
    """Whether `judge` must be told if the alias has provisioned concurrency."""
    return found.version == hold.new_version and found.routing.keys() == {hold.original}


def judge(
    hold: Hold, want: Want, found: Snapshot | None, now: datetime, provisioned: bool = False
) -> Finding:
    """Whose the alias is that was `found`; None where it is no more.

    `provisioned` says that it has provisioned concurrency: then AWS itself adds the original
    version's weight for minutes after the alias was put on the new version.
    """
    if found is None:
        return Finding(Whose.GONE)
    if found.revision in hold.superseded:
        return Finding(Whose.STALE)
    our_stamp = found.stamp is not None and found.stamp.rollout_id == hold.rollout_id
    our_weight = _has_our_weight(hold, found, our_stamp, now)
    on_original = found.version == hold.original
    alone = not found.routing or (provisioned and found.routing.keys() == {hold.original})
    promoted = found.version == hold.new_version and (alone or _gone_on(hold, found))
    has_shifted = hold.shifted or our_stamp
    resting = our_stamp and _is_suspension_of_ours(hold, want, found)
    suspended = bool(hold.suspended) and not want.rolling_back
    taken_back = suspended and not found.routing and not resting

    # The table; the first line that fits counts.
    whose = Whose.THEIRS
    if _as_wanted(hold, want, found, promoted) and not (on_original and taken_back):
        whose = Whose.AS_WANTED
    elif promoted and hold.new_version != hold.original:
        whose = Whose.PROMOTED
    elif on_original and found.routing and our_weight:
        whose = Whose.OURS
    elif on_original and not found.routing and has_shifted:
        # Only our stamp is left, or not even that: to write it once more shuts out a shift that is
        # on its way. Where another rollout is suspended, its writes have done so.
        others = found.suspended and not our_stamp
        may_write = resting or (want.rolling_back and not others)
        whose = Whose.OURS if may_write else Whose.TAKEN_BACK
    elif not has_shifted and (found.routing or on_original):
        whose = _before_our_shift(found, now)
    return Finding(whose, our_weight, our_stamp)


def _before_our_shift(found: Snapshot, now: datetime) -> Whose:
    if abandoned(found, now):
        return Whose.ABANDONED
    # A dead rollout's watchdog puts the whole words back; to start would lose them.
    if found.routing or found.suspended or found.shortened:
        return Whose.BUSY
    return Whose.OURS


def _is_suspension_of_ours(hold: Hold, want: Want, found: Snapshot) -> bool:
    """Whether the alias is suspended by a write of ours, and by nobody's since; our stamp is on
    it."""
    if not found.suspended:
        return False
    if hold.suspended:
        return found.revision == hold.suspended
    # We suspend it just now; an answer may have been lost, or the task that wrote it.
    return want.stamp is not None and want.stamp.suspended


def _gone_on(hold: Hold, found: Snapshot) -> bool:
    """Whether another rollout goes on from where ours has put the alias."""
    mark = found.stamp
    if mark is None or mark.rollout_id == hold.rollout_id or not hold.shifted:
        return False
    return _split_by(mark, found)


def _split_by(mark: Stamp, found: Snapshot) -> bool:
    """Whether it is split as this stamp says: else somebody has changed it since."""
    weight = found.routing.get(mark.new_version)
    return weight is not None and not mark.suspended and _told_by(mark, weight)


def _as_wanted(hold: Hold, want: Want, found: Snapshot, promoted: bool) -> bool:
    if str(found.stamp) != str(want.stamp):
        return False
    if want.version is not None:
        return promoted
    return found.version == hold.original and _same_routing(want.routing, found.routing)


def _has_our_weight(hold: Hold, found: Snapshot, our_stamp: bool, now: datetime) -> bool:
    """Under our stamp, if it says so, or under none after a shift; under another's never, save that
    a lease which has `fired` finds it under one that nobody owns any more."""
    known = any(_same_routing({hold.new_version: each}, found.routing) for each in hold.weights)
    if not known:
        return False
    if our_stamp:
        return found.stamp is not None and _split_by(found.stamp, found)
    if not hold.shifted:
        return False
    return found.stamp is None or (hold.fired and abandoned(found, now))


def _told_by(mark: Stamp, weight: float) -> bool:
    """Whether a stamp, which was written with its weight and tells three digits, tells this one."""
    return f"{weight:.3g}" == f"{mark.weight:.3g}" or same_weight(mark.weight, weight)


def _same_routing(sent: Routing, found: Routing) -> bool:
    return sent.keys() == found.keys() and all(same_weight(sent[key], found[key]) for key in sent)


def same_weight(sent: float, found: float) -> bool:
    """Whether AWS may show the weight `sent` like that: AWS may have kept fewer digits."""
    if isclose(sent, found, rel_tol=1e-6):
        return True
    for digits in range(_FEWEST_DIGITS, _MOST_DIGITS + 1):
        cut = trunc(sent * 10**digits) / 10**digits
        if isclose(round(sent, digits), found) or isclose(cut, found):
            return True
    return False


def abandoned(found: Snapshot, now: datetime) -> bool:
    """Whether this is a rollout's split, or its suspension, whose deployer has surely ended without
    rolling it back."""
    mark = found.stamp
    if mark is None or not (found.suspended or _split_by(mark, found)):
        return False
    if found.shortened:  # the user's own words are known to its watchdog alone
        return False
    # `mark.until + GRACE` would overflow in the year 9999.
    return now - GRACE > mark.until


def left_by(found: Snapshot) -> Hold:
    """What the dead rollout held whose stamp is on this alias."""
    mark = found.stamp
    assert mark is not None, "only what is stamped is abandoned"
    weights = tuple(found.routing.values()) or (mark.weight,)
    return Hold(mark.rollout_id, found.version, mark.new_version, weights, True, found.revision)
