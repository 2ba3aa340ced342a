"""The new version is promoted by hand at awkward moments: it is a success, told once, and the
execution ends so."""

from collections.abc import Callable
from typing import Any

import pytest

from deployer.decisions import ending
from deployer.decisions.errors import AliasChanged
from tests.beginnings import EVENT, UNSPLIT, left_split
from world.aws import WORDS
from world.machine import Machine
from world.world import World

PROMOTE = {"FunctionVersion": "8", **UNSPLIT}


@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
@pytest.mark.parametrize("words", [{}, {"Description": "Mine"}])
@pytest.mark.parametrize("write", range(4))
def test_promoted_just_before_any_write_it_is_a_success_with_one_word_and_one_warning(
    write: int, words: dict[str, str], driver: str
) -> None:
    """The last of the writes is the finalize; in the state machine it comes after the last look."""
    world = PromotedAt("UpdateAlias", write, {**PROMOTE, **words}, rate=0)
    rollout = run(driver, world)
    assert rollout["status"] == "SUCCEEDED" and endings(world) == ["SUCCEEDED"]
    assert (world.alias.version, world.alias.routing) == ("8", {})
    assert world.alias.description == words.get("Description", WORDS)
    # A finalize that finds everything as it should be has nothing to say of it.
    assert rollout["warnings"].count(ending.PROMOTED) <= 1
    if write < 3:
        assert rollout["warnings"].count(ending.PROMOTED) == 1
    assert world.told[-1]["warnings"] == rollout["warnings"]


@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
@pytest.mark.parametrize("look", range(1, 7))
def test_promoted_just_before_any_look(look: int, driver: str) -> None:
    world = PromotedAt("GetAlias", look, PROMOTE, rate=0)
    rollout = run(driver, world)
    assert rollout["status"] == "SUCCEEDED" and endings(world) == ["SUCCEEDED"]
    assert rollout["warnings"].count(ending.PROMOTED) == 1


@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
@pytest.mark.parametrize(("write", "status"), [(0, "ALREADY_DEPLOYED"), (1, "SUCCEEDED")])
def test_promoted_in_preflight_beside_an_abandoned_split(
    write: int, status: str, driver: str
) -> None:
    """While the dead rollout's split is being rolled back, or just after it was."""
    world = left_split("8", until=-100)
    promoted = PromotedAt("UpdateAlias", write, PROMOTE, rate=0)
    promoted.alias = world.alias
    rollout = run(driver, promoted)
    assert rollout["status"] == status
    assert (promoted.alias.version, promoted.alias.routing) == ("8", {})
    assert endings(promoted)[-1] == status
    assert rollout["warnings"].count(ending.PROMOTED) == 1


@pytest.mark.parametrize("name", ["UpdateWeight", "HealthCheck", "Finalize"])
def test_promoted_while_a_task_fails_for_good(name: str) -> None:
    """Its sandbox dies at every attempt; Rollback finds the new version promoted: one ending, and
    the execution's."""

    class Dying(Machine):
        def _invoke(self, task: Any) -> Any:
            if task["task"] == name:
                if self.world.alias.version == "7":
                    self.world.update_alias(**PROMOTE)
                self.world.dead = True
            return super()._invoke(task)

    world = World(rate=0)
    machine = Dying(world, EVENT).run()
    assert (machine.status, machine.output["rollout"]["status"]) == ("SUCCEEDED", "SUCCEEDED")
    assert endings(world) == ["SUCCEEDED"]
    assert machine.output["rollout"]["warnings"].count(ending.PROMOTED) == 1


# Provisioned concurrency.
@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
@pytest.mark.parametrize("provisioned", [True, False])
def test_the_original_s_share_beside_the_new_version(provisioned: bool, driver: str) -> None:
    """AWS adds it by itself where the alias has provisioned concurrency; elsewhere it is somebody's
    own canary."""
    canary = {"FunctionVersion": "8", "RoutingConfig": {"AdditionalVersionWeights": {"7": 0.6}}}
    world = World(rate=0)
    world.provisioned = provisioned
    world.at(40, lambda: world.update_alias(**canary))
    if provisioned:
        assert run(driver, world)["status"] == "SUCCEEDED"
    elif driver == "the loop":
        with pytest.raises(AliasChanged):
            run(driver, world)
    else:
        assert Machine(world, EVENT).run().error == "AliasChanged"
    assert endings(world) == ["SUCCEEDED" if provisioned else "AliasChanged"]
    assert (world.alias.version, world.alias.routing, world.alias.description) == (
        "8",
        {"7": 0.6},
        WORDS,
    )


# -- what the stories need ------------------------------------------------------------------------


def endings(world: World) -> list[str]:
    return [
        event["status"] for event in world.told if event["status"] not in ("STARTED", "SHIFTED")
    ]


def run(driver: str, world: World) -> dict[str, Any]:
    if driver == "the loop":
        return dict(world.invoke(EVENT)["rollout"])
    machine = Machine(world, EVENT).run()
    assert machine.status == "SUCCEEDED", (machine.error, machine.cause)
    return dict(machine.output["rollout"])


class PromotedAt(World):
    """Somebody promotes version 8 just before that call, the n-th of its name from 0."""

    def __init__(self, name: str, number: int, request: dict[str, Any], **settings: Any) -> None:
        super().__init__(**settings)
        self._at = (name, number)
        self._request = request

    def call(self, name: str, apply: Callable[[], Any]) -> Any:
        if (name, self.calls.count(name)) == self._at:
            self.update_alias(**self._request)
        return super().call(name, apply)
