"""What stories begin with: the rollout that most of them play, and the alias as a dead one has left
it."""

from datetime import timedelta
from typing import Any

import pytest

from deployer.decisions import stamp
from deployer.decisions.stamp import Stamp
from world.aws import WORDS
from world.faults import Killed
from world.world import World

TARGET: dict[str, Any] = {"function-name": "checkout", "alias-name": "live", "new-version": "8"}
STEPS: dict[str, Any] = {"steps": 3, "interval": 30}
EVENT = {**TARGET, **STEPS}

#: What an event says of a rollout at its third step, but for its status and why.
DETAIL: dict[str, Any] = {
    "rollout": "0123456789ab",
    "function": "checkout",
    "alias": "live",
    "original-version": "7",
    "new-version": "8",
    "weight": 0.3,
    "step": 3,
    "steps": 10,
    "where": "Alias 'live' of 'checkout' is on version 7.",
}

#: With `World.update_alias`: an operator takes the alias back.
UNSPLIT: dict[str, Any] = {"RoutingConfig": {"AdditionalVersionWeights": {}}}


def killed(time: float, world: World | None = None, words: str = WORDS) -> World:
    """A world whose deployer was killed at that time; the first weight is 0.33, the second 0.67
    from 30 s on."""
    world = world or World(rate=0)
    world.alias.description = words
    world.at(time, world.kill)
    with pytest.raises(Killed):
        world.deploy(**STEPS)
    world.dead = False
    return world


def left_split(version: str, until: float, weight: float = 0.3, words: str = WORDS) -> World:
    """A world that starts with a stamped split, whose deployer has ended by `until`, in seconds
    from now."""
    world = World()
    ended_by = (world.now() + timedelta(seconds=until)).replace(microsecond=0)
    mark = Stamp("cccccccccccc", version, weight, 3, 10, ended_by)
    world.alias.routing = {version: weight}
    world.alias.description = stamp.write(words, mark)
    return world


def beside_quick(told: Any) -> list[str]:
    """A result's warnings, but for that one which every quick rollout begins with."""
    warnings: list[str] = told["warnings"]
    first, *others = warnings
    assert first.startswith("This rollout reaches 100 % after ")
    return others
