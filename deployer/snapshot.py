"""PURE. The alias as AWS told it at one moment, and what a split that we did not make tells us."""

import math
from datetime import datetime, timedelta
from typing import Any

from deployer.stamp import read

#: How long past its stamp's `until` a split counts as abandoned.
GRACE = timedelta(seconds=60)

Routing = dict[str, float]


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
        return mark is not None and list(self.routing) == [mark.new_version] and now > mark.until + GRACE

    def busy(self) -> str:
        """Why this split is not touched."""
        mark = self.stamp
        if mark is None:
            return "The alias is split already, and not by this deployer: finish that split or take it back first."
        until = f"{mark.until:%Y-%m-%d %H:%M:%S} UTC at the latest"
        at = f"weight {mark.weight:g}, step {mark.step} of {mark.steps}. It ends by {until}"
        who = f"Rollout {mark.rollout_id} of version {mark.new_version} runs on this alias"
        return f"{who}: {at}: wait, or take the alias back."

    @property
    def state(self) -> str:
        """A few words for the end of a sentence that begins with the alias."""
        if not self.routing:
            return f"is on version {self.version}"
        others = " and ".join(f"{weight * 100:.4g} % of its calls to version {v}" for v, weight in self.routing.items())
        return f"is split: it sends {others}, the rest to version {self.version}"


def same(one: Routing, other: Routing) -> bool:
    """Whether two routings are alike; AWS does not say how many digits of a weight it keeps."""
    return one.keys() == other.keys() and all(math.isclose(one[v], other[v], rel_tol=1e-4) for v in one)
