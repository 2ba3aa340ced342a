"""PURE. Whose is the alias? What a rollout may take for its own, and what it must leave to others."""

from dataclasses import dataclass, field

from deployer.snapshot import Routing, Snapshot, same
from deployer.stamp import Stamp


class PromotedByHand(Exception):
    """When somebody has put the alias on the new version, unsplit: there is nothing left to do."""


@dataclass(frozen=True)
class Want:
    """What a write shall bring about; without `version` the alias's own version stays as it is."""

    routing: Routing = field(default_factory=dict)
    version: str | None = None
    stamp: Stamp | None = None
    rolling_back: bool = False


@dataclass(frozen=True)
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
        if found.version != self.original:
            return False
        if not found.routing:
            return want.rolling_back or not (self.held or self.has_our_stamp(found))
        return self.has_our_weight(found)

    def has_our_weight(self, found: Snapshot) -> bool:
        mine = self.has_our_stamp(found) or (found.stamp is None and self.held)
        return mine and any(same(found.routing, {self.new_version: weight}) for weight in self.weights)

    def has_our_stamp(self, found: Snapshot) -> bool:
        return found.stamp is not None and found.stamp.rollout_id == self.rollout_id

    def promoted(self, found: Snapshot) -> bool:
        """Whether the alias is on the new version alone."""
        return found.version == self.new_version and not found.routing
