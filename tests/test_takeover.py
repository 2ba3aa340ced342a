"""Somebody else moves the alias, edits its words, or deploys at the same time: nobody's work is
overwritten."""

from typing import Any

import pytest

from deployer.decisions.errors import (
    AliasBusy,
    AliasChanged,
    DeployError,
    HealthCheckFailed,
    InvalidRollout,
)
from tests.beginnings import UNSPLIT, left_split
from world.aws import WORDS
from world.turns import SharedWorld
from world.world import World

ONE_LOOK = 15 + 0.3


# Somebody takes the alias.
def test_an_operator_stops_a_rollout_by_taking_the_alias_back() -> None:
    world = operator(100, **UNSPLIT)
    with pytest.raises(AliasChanged, match="Somebody else moved the alias") as changed:
        deploy(world)
    # The second "7" only takes our stamp out of the description.
    assert world.history == [0.2, 0.4, "7", "7"]
    assert world.alias.description == WORDS
    assert world.moves[-1][0] - 100 <= ONE_LOOK
    assert str(changed.value).endswith("Alias 'live' of 'checkout' is on version 7.")


def test_an_operator_who_takes_it_back_with_words_of_their_own_is_left_alone() -> None:
    world = operator(100, **UNSPLIT, Description="Stopped by Kim")
    with pytest.raises(AliasChanged):
        deploy(world)
    assert world.history == [0.2, 0.4, "7"]
    assert world.alias.description == "Stopped by Kim"


@pytest.mark.parametrize("description", [{}, {"Description": "Promoted by Kim"}])
def test_an_operator_promotes_by_hand_and_it_is_a_success_that_says_so(
    description: dict[str, str],
) -> None:
    world = operator(100, FunctionVersion="8", **UNSPLIT, **description)
    told = deploy(world)
    assert world.history == [0.2, 0.4, "8", *([] if description else ["8"])]
    assert world.alias.description == description.get("Description", WORDS)
    assert (told["rollout"]["status"], told["FunctionVersion"]) == ("SUCCEEDED", "8")
    assert any("Promoted by hand" in warning for warning in told["rollout"]["warnings"])


@pytest.mark.parametrize(
    ("version", "error"), [("7", HealthCheckFailed), ("8", HealthCheckFailed), ("9", AliasChanged)]
)
def test_an_operator_who_comes_just_before_the_rollback_is_respected(
    version: str, error: type[DeployError]
) -> None:
    """Also on the failing version itself: somebody wants it all the same, but that is not called a
    success."""
    failing = World(errors={"8": 1.0})
    with pytest.raises(HealthCheckFailed):
        deploy(failing)
    world = World(errors={"8": 1.0})
    world.at(
        failing.moves[-1][0] - 0.01, lambda: world.update_alias(FunctionVersion=version, **UNSPLIT)
    )
    with pytest.raises(error, match=r"Version 8 had .* errors") as failed:
        deploy(world)
    # The second move takes our stamp out.
    assert world.history == [*failing.history[:-1], version, version]
    assert world.alias.description == WORDS
    assert str(failed.value).endswith(f"is on version {version}.")


def test_an_operator_moves_the_alias_to_a_third_version() -> None:
    world = operator(100, FunctionVersion="9", **UNSPLIT)
    with pytest.raises(AliasChanged) as changed:
        deploy(world)
    assert world.history == [0.2, 0.4, "9", "9"]
    assert world.alias.description == WORDS
    assert str(changed.value).endswith("is on version 9.")


def test_an_operator_who_leaves_our_weight_beside_a_third_version_gets_it_taken_out() -> None:
    world = operator(100, FunctionVersion="9")
    with pytest.raises(AliasChanged):
        deploy(world)
    assert [move[1:] for move in world.moves[-2:]] == [("9", {"8": 0.4}), ("9", {})]
    assert world.alias.description == WORDS


@pytest.mark.parametrize(("version", "weight"), [("8", 0.77), ("8", 0.6), ("9", 0.4)])
def test_a_weight_that_an_operator_sets_is_left_and_our_stamp_is_taken_out(
    version: str, weight: float
) -> None:
    """0.6 would have been the next weight: a rollout has written only those up to its own step."""
    world = operator(100, **split(version, weight))
    with pytest.raises(AliasChanged) as changed:
        deploy(world)
    assert world.moves[-1][1:] == ("7", {version: weight})
    assert world.alias.description == WORDS
    assert (
        f"it sends {weight * 100:g} % of its calls to version {version}, the rest to version 7."
        in str(changed.value)
    )


@pytest.mark.parametrize("at", [60.25, 60.3, 120.3, 300.3])
def test_a_takeover_while_a_shift_is_on_its_way_is_noticed_by_the_shift(at: float) -> None:
    world = operator(at, **UNSPLIT)
    with pytest.raises(AliasChanged):
        deploy(world)
    assert world.history[-2:] == ["7", "7"]
    assert world.alias.description == WORDS and world.alias.version == "7"
    assert world.moves[-1][0] - at <= ONE_LOOK


@pytest.mark.parametrize("at", [second / 2 for second in range(1, 800, 7)])
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("version", ["7", "8", "9"])
def test_whenever_an_operator_moves_the_alias_it_stays_there(
    version: str, kept: bool, at: float
) -> None:
    words = {} if kept else {"Description": "Mine"}
    world = operator(at, FunctionVersion=version, **UNSPLIT, **words)
    try:
        ended = deploy(world)["rollout"]["status"]
    except AliasChanged:
        ended = "AliasChanged"
    world.advance(max(0.0, at + 30 - world.time))
    assert (world.alias.version, world.alias.routing) == (version, {})
    assert world.alias.description == (WORDS if kept else "Mine")
    # After the finalize it is nobody's business any more.
    assert ended == ("SUCCEEDED" if version == "8" or at > 360 else "AliasChanged")


def test_an_alias_deleted_in_the_middle_is_told() -> None:
    world = World()
    world.at(100, lambda: setattr(world.alias, "name", "gone"))
    with pytest.raises(AliasChanged, match="Somebody deleted the alias") as changed:
        deploy(world)
    assert world.history == [0.2, 0.4]
    assert "Alias 'live' of 'checkout' could not be read (ResourceNotFoundException)" in str(
        changed.value
    )


@pytest.mark.parametrize("at", [second / 2 for second in range(1, 700, 11)])
def test_an_alias_deleted_at_any_time_is_told(at: float) -> None:
    world = World()
    world.at(at, lambda: setattr(world.alias, "name", "gone"))
    with pytest.raises(AliasChanged, match="Somebody deleted the alias"):
        deploy(world)


# Somebody edits only the words.
def test_words_edited_beside_the_stamp_survive_and_the_rollout_goes_on() -> None:
    world = World()
    world.at(
        100,
        lambda: world.update_alias(
            Description=world.alias.description.replace(WORDS, "Owned by Kim now")
        ),
    )
    assert deploy(world)["rollout"]["status"] == "SUCCEEDED"
    assert world.history == [0.2, 0.4, 0.4, 0.6, 0.8, 1.0, "8"]
    assert world.alias.description == "Owned by Kim now"


def test_a_description_replaced_as_a_whole_survives_and_the_stamp_comes_back() -> None:
    world = operator(100, Description="Owned by Kim now")
    shown: list[str] = []
    world.at(100 + ONE_LOOK, lambda: shown.append(world.alias.description))
    assert deploy(world)["rollout"]["status"] == "SUCCEEDED"
    # Somebody's 0.4 and our 0.4 with the stamp.
    assert world.history == [0.2, 0.4, 0.4, 0.4, 0.6, 0.8, 1.0, "8"]
    assert shown[0].startswith("Owned by Kim now [rollout 0123456789ab to 8 at 0.4 (2/5) until ")
    assert world.alias.description == "Owned by Kim now"


@pytest.mark.parametrize(
    "at", [second / 2 for second in range(1, 800, 7)] + [60.25, 60.3, 120.3, 120.35, 300.35]
)
@pytest.mark.parametrize("replaced", [True, False])
@pytest.mark.parametrize("error_rate", [0.0, 0.05])
def test_words_edited_at_any_time_survive_success_and_rollback(
    error_rate: float, replaced: bool, at: float
) -> None:
    world = World(errors={"8": error_rate})

    def edit() -> None:
        found = world.alias.description
        world.update_alias(Description="Mine" if replaced else found.replace(WORDS, "Mine"))

    world.at(at, edit)
    if error_rate:
        with pytest.raises(HealthCheckFailed):
            deploy(world)
    else:
        assert deploy(world)["rollout"]["status"] == "SUCCEEDED"
    world.advance(max(0.0, at + 1 - world.time))
    assert (world.alias.version, world.alias.routing) == ("7" if error_rate else "8", {})
    assert world.alias.description == "Mine"


# Two at once.
def test_a_second_invocation_is_told_how_far_the_first_is_and_the_first_ends_well() -> None:
    world = World()
    second: list[str] = []

    def invoke_again() -> None:
        with pytest.raises(AliasBusy) as busy:
            world.deploy("bbbbbbbbbbbb", steps=5, interval=60)
        second.append(str(busy.value))

    world.at(130, invoke_again)
    assert deploy(world)["rollout"]["status"] == "SUCCEEDED"
    assert world.history == [0.2, 0.4, 0.6, 0.8, 1.0, "8"]
    assert world.alias.description == WORDS
    assert (
        "Rollout 0123456789ab of version 8 runs on this alias: weight 0.6, step 3 of 5."
        in second[0]
    )
    assert second[0].endswith(
        "is split: it sends 60 % of its calls to version 8, the rest to version 7."
    )


@pytest.mark.parametrize(
    "later", [0.0, 0.01, 0.049, 0.05, 0.051, 0.1, 0.149, 0.15, 0.2, 0.25, 1.0, 15.0]
)
def test_of_two_started_at_the_same_instant_with_the_same_payload_one_goes_on(later: float) -> None:
    world = SharedWorld()
    ended = world.together(later, steps=5, interval=60)
    goes_on, busy = sorted(ended, key=lambda one: isinstance(one, DeployError))
    assert isinstance(goes_on, dict) and goes_on["rollout"]["status"] == "SUCCEEDED"
    assert isinstance(busy, AliasBusy) and "runs on this alias: weight 0.2, step 1 of 5." in str(
        busy
    )
    assert world.history == [0.2, 0.4, 0.6, 0.8, 1.0, "8"]
    assert world.alias.description == WORDS


@pytest.mark.parametrize("fault", ["throttled", "broken", "lost", "late", "unsent", "slow"])
@pytest.mark.parametrize("number", [0, 1, 6, 7, 8, 9, 10, 11])
def test_of_two_started_at_the_same_instant_at_most_one_goes_on_whatever_is_lost(
    number: int, fault: str
) -> None:
    world = SharedWorld()
    world.faults = {number: fault}
    ended = world.together(0, steps=5, interval=60)
    statuses = sorted(
        type(one).__name__ if isinstance(one, DeployError) else "SUCCEEDED" for one in ended
    )
    assert statuses == ["AliasBusy", "SUCCEEDED"]
    assert [move for move in world.history if move != "refused"] == [0.2, 0.4, 0.6, 0.8, 1.0, "8"]
    assert world.alias.description == WORDS


# A split that was there before.
def test_an_abandoned_split_is_rolled_back_first_and_then_the_rollout_runs() -> None:
    world = left_split("8", until=-61)
    told = deploy(world)["rollout"]
    assert world.history == ["7", 0.2, 0.4, 0.6, 0.8, 1.0, "8"]
    assert world.alias.description == WORDS
    assert (told["status"], len(told["warnings"])) == ("SUCCEEDED", 1)
    assert "had left the alias split: rolled back first" in told["warnings"][0]


def test_an_abandoned_split_of_another_version_is_rolled_back_too() -> None:
    world = left_split("9", until=-3600)
    deploy(world)
    assert world.history == ["7", 0.2, 0.4, 0.6, 0.8, 1.0, "8"]


def test_an_abandoned_split_on_an_alias_that_is_where_it_should_be_is_rolled_back() -> None:
    world = left_split("9", until=-3600)
    told = world.deploy(new_version="7", steps=5, interval=60)
    assert told["rollout"]["status"] == "ALREADY_DEPLOYED"
    assert world.history == ["7"] and world.alias.description == WORDS


@pytest.mark.parametrize("until", [-59, 0, 700])
def test_a_split_with_a_live_stamp_is_busy_and_untouched(until: float) -> None:
    world = left_split("8", until)
    before = world.alias.answer()
    with pytest.raises(
        AliasBusy, match=r"Rollout cccccccccccc of version 8 .* weight 0.3, step 3 of 10"
    ):
        deploy(world)
    assert world.alias.answer() == before and world.writes == 0


@pytest.mark.parametrize("version", ["8", "9", "6"])
def test_a_split_without_a_stamp_is_busy_and_untouched(version: str) -> None:
    world = World()
    world.alias.routing = {version: 0.25}
    before = world.alias.answer()
    with pytest.raises(AliasBusy, match="split already, and not by this deployer") as busy:
        deploy(world)
    assert world.alias.answer() == before and world.writes == 0
    assert str(busy.value).endswith(
        f"it sends 25 % of its calls to version {version}, the rest to version 7."
    )


def test_an_old_stamp_of_another_version_does_not_make_a_split_abandoned() -> None:
    world = left_split("9", until=-3600)
    world.alias.routing = {"8": 0.3}
    with pytest.raises(AliasBusy):
        deploy(world)
    assert world.writes == 0


def test_an_abandoned_split_is_not_touched_by_a_rollout_that_cannot_start() -> None:
    world = left_split("8", until=-3600)
    before = world.alias.answer()
    with pytest.raises(InvalidRollout):
        deploy(world, new_version="99")
    with pytest.raises(InvalidRollout):
        deploy(world, interval=500)
    assert world.alias.answer() == before and world.writes == 0


@pytest.mark.parametrize("until", [-3600, 500])
def test_a_stamp_on_an_unsplit_alias_is_litter_and_goes_with_the_next_write(until: float) -> None:
    world = left_split("8", until)
    world.alias.routing = {}
    deploy(world)
    assert world.history == [0.2, 0.4, 0.6, 0.8, 1.0, "8"]
    assert world.alias.description == WORDS


# What AWS itself does.
@pytest.mark.parametrize("fault", ["", "lost", "broken", "throttled", "unsent"])
def test_what_provisioned_concurrency_adds_after_finalize_is_no_interference(
    fault: str,
) -> None:
    clean = World()
    deploy(clean)
    world = World()
    world.provisioned = True
    world.faults = {len(clean.numbered) - 1: fault}
    note = world.moved

    def provision() -> None:
        """As AWS does while provisioned concurrency moves over: the alias answers with the
        original's share."""
        note()
        if world.alias.version == "8":
            world.alias.routing = {"7": 0.6}

    world.moved = provision  # type: ignore[method-assign]
    told = deploy(world)
    assert world.history == [0.2, 0.4, 0.6, 0.8, 1.0, "8"]
    assert told["rollout"]["status"] == "SUCCEEDED"
    assert world.alias.description == WORDS


# The user's words.
DESCRIPTIONS = [
    "",
    "x",
    " ",
    "a" * 256,
    "a" * 187,
    "🚀" * 128,
    "Kasse für Grüße, 注文",
    "two\nlines",
    "[rollout of the new checkout]",
    "[rollout 3f2a to 8 at 0.3 (3/10) until tomorrow]",
    "[rollout 3f2a9c1b04de to 8 at 0.3 (3/10) until 2026-13-45T01:10:00Z]",  # no such day
    "[rollout 3f2a9c1b04de to 8 at 1.2.3 (3/10) until 2026-11-23T01:10:00Z]",  # no such number
]


@pytest.mark.parametrize("error_rate", [0.0, 1.0])
@pytest.mark.parametrize("words", DESCRIPTIONS)
def test_any_description_comes_back_exactly_and_fits_while_stamped(
    words: str, error_rate: float
) -> None:
    world = World(errors={"8": error_rate})
    world.alias.description = words
    shown: list[str] = []
    for second in range(1, 300, 5):
        world.at(second, lambda: shown.append(world.alias.description))
    if error_rate:
        with pytest.raises(HealthCheckFailed):
            deploy(world)
    else:
        deploy(world)
    assert world.alias.description == words
    assert "[rollout 0123456789ab to 8 at 0.2 (1/5) until " in shown[0]
    assert all(len(text.encode("utf-16-le")) // 2 <= 256 for text in shown)


@pytest.mark.parametrize("words", ["a" * 256, "🚀" * 128])
def test_words_that_are_shortened_meanwhile_are_not_taken_for_somebody_s_edit(words: str) -> None:
    world = World()
    world.alias.description = words
    # A lost answer is read back, with the shortened words.
    world.faults = {"UpdateAlias 0": "lost", "GetAlias 1": "broken"}
    deploy(world)
    assert world.alias.description == words


# Somebody else comes while an answer of ours is lost.
@pytest.mark.parametrize("step", [0, 1, 4])
@pytest.mark.parametrize("version", ["7", "9"])
@pytest.mark.parametrize("after", [1.0, 3.9])
def test_a_takeover_while_a_shift_s_answer_is_lost_is_respected(
    after: float, version: str, step: int
) -> None:
    """Also at the first shift: our stamp on an unsplit alias tells that the shift took effect and
    was taken back."""
    world = lost_shift(step, after, FunctionVersion=version)
    with pytest.raises(AliasChanged):
        deploy(world)
    assert world.history == [*[0.2, 0.4, 0.6, 0.8, 1.0][: step + 1], version, version]
    assert world.alias.description == WORDS


@pytest.mark.parametrize("step", [0, 1, 4])
@pytest.mark.parametrize("after", [-0.01, 1.0, 3.9])
def test_a_promotion_while_a_shift_s_answer_is_lost_is_a_success(after: float, step: int) -> None:
    world = lost_shift(step, after, FunctionVersion="8")
    assert deploy(world)["rollout"]["status"] == "SUCCEEDED"
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("8", {}, WORDS)


def test_an_edit_just_before_the_first_shift_is_kept_and_the_rollout_goes_on() -> None:
    clean = World()
    deploy(clean)
    world = operator(clean.moves[0][0] - 0.01, Description="Mine")
    assert deploy(world)["rollout"]["status"] == "SUCCEEDED"
    assert world.history == ["7", 0.2, 0.4, 0.6, 0.8, 1.0, "8"]
    assert world.alias.description == "Mine"


# -- what the stories need ------------------------------------------------------------------------


def split(version: str, weight: float) -> dict[str, Any]:
    return {"RoutingConfig": {"AdditionalVersionWeights": {version: weight}}}


def operator(at: float, **request: Any) -> World:
    """A world in which somebody updates the alias at that time."""
    world = World()
    world.at(at, lambda: world.update_alias(**request))
    return world


def deploy(world: World, **payload: Any) -> dict[str, Any]:
    return world.deploy(**{"steps": 5, "interval": 60, **payload})


def lost_shift(step: int, after: float, **request: Any) -> World:
    """The answer of that step's shift is lost for 4 s; somebody comes `after` it has taken effect,
    or just before."""
    clean = World()
    deploy(clean)
    shifts = [number for number, name in enumerate(clean.numbered) if name == "UpdateAlias"]
    world = operator(clean.moves[step][0] + after, **request, **UNSPLIT)
    world.faults = {shifts[step]: "lost"}
    return world
