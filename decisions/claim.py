"""The alias as AWS told it at one moment, and whose it is: what a rollout may take for its own, or must leave."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from decisions.stamp import Stamp, read

#: How long past its stamp's `until` a split counts as abandoned.
GRACE = timedelta(seconds=60)

Routing = dict[str, float]


class PromotedByHand(Exception):
    """When somebody has put the alias on the new version, unsplit: there is nothing left to do."""


class Snapshot:
    """What `GetAlias` or `UpdateAlias` answered; nothing in it changes."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.version: str = answer["FunctionVersion"]
        self.revision: str = answer["RevisionId"]
        #: The other version's share of the calls; empty for an alias that is not split.
        self.routing: Routing = (answer.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        #: The user's part of the description, and the stamp.
        self.words, self.stamp = read(answer.get("Description") or "")

    def abandoned(self, now: datetime) -> bool:
        """Whether this is a rollout's split whose deployer has surely ended without rolling it back."""
        mark = self.stamp
        # The grace is taken off the present: there is no time after a stamp's year 9999.
        return mark is not None and list(self.routing) == [mark.new_version] and now - GRACE > mark.until

    def busy(self) -> str:
        """Why this split is not touched."""
        mark = self.stamp
        if mark is None:
            return "The alias is split already, and not by this deployer: finish that split or take it back first."
        who = f"Rollout {mark.rollout_id} of version {mark.new_version} runs on this alias"
        at = f"weight {mark.weight:g}, step {mark.step} of {mark.steps}. It ends by {mark.until:%Y-%m-%d %H:%M:%S} UTC"
        return f"{who}: {at} at the latest: wait, or take the alias back."

    @property
    def state(self) -> str:
        """A few words for the end of a sentence that begins with the alias."""
        if not self.routing:
            return f"is on version {self.version}"
        others = " and ".join(f"{weight * 100:.4g} % of its calls to version {v}" for v, weight in self.routing.items())
        return f"is split: it sends {others}, the rest to version {self.version}"


class Want(NamedTuple):
    """What a write shall bring about; without `version` the alias's own version stays as it is."""

    routing: Routing
    version: str | None = None
    stamp: Stamp | None = None
    rolling_back: bool = False


@dataclass
class Claim:
    """What is ours: on the original version, under our stamp, one of `weights`: the last one, or one being written.

    `held` says that a shift of ours has taken effect: from then on, an unsplit alias means that somebody
    took it back, and a split with no stamp means that somebody replaced the whole description.
    """

    rollout_id: str
    original: str
    new_version: str
    weights: tuple[float, ...] = ()
    held: bool = False

    def holds(self, found: Snapshot, want: Want) -> bool:
        """Whether the alias is just as we want it."""
        # With provisioned concurrency AWS itself adds the original version for minutes after a finalize.
        settled = want.version is not None and found.routing.keys() <= {self.original}
        routing = settled or same(found.routing, want.routing)
        return found.version == (want.version or self.original) and routing and str(found.stamp) == str(want.stamp)

    def is_ours(self, found: Snapshot, want: Want) -> bool:
        """Whether we may write again over what was found."""
        began = self.held or self.has_our_stamp(found)
        ours = self.has_our_weight(found) if found.routing else want.rolling_back or not began
        return ours and found.version == self.original

    def has_our_weight(self, found: Snapshot) -> bool:
        mine = self.has_our_stamp(found) or (found.stamp is None and self.held)
        return mine and any(same(found.routing, {self.new_version: weight}) for weight in self.weights)

    def has_our_stamp(self, found: Snapshot) -> bool:
        return found.stamp is not None and found.stamp.rollout_id == self.rollout_id


def same(one: Routing, other: Routing) -> bool:
    """Whether two routings are alike; AWS does not say how many digits of a weight it keeps."""
    return one.keys() == other.keys() and all(math.isclose(one[v], other[v], rel_tol=1e-4) for v in one)
