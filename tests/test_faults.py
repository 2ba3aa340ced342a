"""An API call that fails, anywhere: the rollout ends in success or rolled back, and says so truly,
never in between."""

import random
import shlex
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.parsers import ResponseParserError

from deployer.decisions.errors import (
    AliasBusy,
    DeployError,
    HealthCheckFailed,
    HealthCheckInconclusive,
    InvalidRollout,
    RollbackFailed,
    RolloutInterrupted,
)
from world.aws import WORDS
from world.cloudwatch import FakeCloudWatch
from world.lambda_ import FakeLambda
from world.world import FakeClients, World

FAULTS = ("throttled", "broken", "denied", "lost", "late", "unsent", "slow")
HEALTHY: dict[str, float] = {}
FAILING = {"8": 1.0}

#: Short rollouts of each kind; the failing version is found in settling, in the second and in the
#: first step.
STORIES: dict[str, tuple[dict[str, float], dict[str, Any]]] = {
    "healthy": (HEALTHY, {"steps": 3, "interval": 20}),
    "healthy, one step": (HEALTHY, {"type": "all-at-once", "interval": 0}),
    "healthy, unchecked": (HEALTHY, {"steps": 3, "interval": 20, "health_check": False}),
    "failing, settling": (FAILING, {"steps": 3, "interval": 20}),
    "failing, second step": (FAILING, {"steps": 3, "interval": 90}),
    "failing, first step": (FAILING, {"steps": 2, "interval": 240}),
}


@pytest.mark.parametrize(
    "told",
    [
        "Alias 'live' of 'checkout' is on version 8.",
        "Alias 'live' of 'checkout' could not be read (ServiceException).",
        "Alias 'live' of 'checkout' could not be read (ServiceException); when last seen it is on version 8.",
        "Alias 'live' of 'checkout' could not be read (ServiceException); when last seen it is split: it sends …",
        "when last seen it is on version 7.",
    ],
)
def test_a_last_sentence_that_is_not_true_is_noticed(told: str) -> None:
    world = World(errors=FAILING)
    with pytest.raises(DeployError):
        world.deploy(steps=2, interval=60)
    assert world.history[-1] == "7"
    with pytest.raises(AssertionError):
        assert_told_truly(world, told)


def test_an_answer_that_cannot_be_understood_is_a_look_that_could_not_be_made() -> None:
    class Garbled(FakeCloudWatch):
        def get_metric_data(self, **request: Any) -> dict[str, Any]:
            answer = super().get_metric_data(**request)
            if len(world.looked) in (1, 4, 5):
                raise ResponseParserError("Unable to parse response, invalid XML received")
            return answer

    world = World()
    event: dict[str, Any] = {"function-name": "checkout", "alias-name": "live", "new-version": "8"}
    event |= {"steps": 2, "interval": 60}
    told = world.invoke(event, clients=FakeClients(world, cloudwatch=Garbled(world)))["rollout"]
    assert world.history == [0.5, 1.0, "8"]
    assert (told["status"], told["checks"]["unseen"]) == ("SUCCEEDED", 2)


@pytest.mark.parametrize("story", STORIES)
def test_any_single_fault_at_any_call_ends_in_success_or_a_rollback(
    story: str, capsys: pytest.CaptureFixture[str]
) -> None:
    errors, payload = STORIES[story]
    ended: Counter[str] = Counter()
    for fault in FAULTS:
        for number in numbers(errors, payload):
            world = World(errors=errors)
            world.faults = {number: fault}
            ended[run(world, payload)] += 1
    report(capsys, f"One fault of {len(FAULTS)} kinds at every call, {story}", ended)
    assert (ended["SUCCEEDED"] > 0) == story.startswith("healthy")


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("run_length", [2, 4])
def test_faults_in_a_row_end_in_success_or_a_rollback(story: str, run_length: int) -> None:
    errors, payload = STORIES[story]
    for fault in FAULTS:
        for number in numbers(errors, payload):
            world = World(errors=errors)
            world.faults = dict.fromkeys(range(number, number + run_length), fault)
            run(world, payload)


@pytest.mark.parametrize("story", ["healthy", "failing, settling", "failing, second step"])
@pytest.mark.parametrize("seconds", [5, 20, 40])
def test_an_outage_at_any_time_ends_in_success_or_a_rollback(
    story: str, seconds: float, capsys: pytest.CaptureFixture[str]
) -> None:
    errors, payload = STORIES[story]
    undisturbed = World(errors=errors)
    run(undisturbed, payload)
    ended: Counter[str] = Counter()
    for fault in FAULTS:
        for since in range(0, int(undisturbed.time), 5):
            world = World(errors=errors)
            world.down = (fault, since, since + seconds)
            ended[run(world, payload)] += 1
    report(
        capsys,
        f"An outage of {seconds} s of {len(FAULTS)} kinds from every fifth second, {story}",
        ended,
    )


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_storms_of_faults_end_in_success_or_a_rollback(
    share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    ended: Counter[str] = Counter()
    for seed in range(60):
        draw = random.Random(seed)
        for errors, payload in STORIES.values():
            world = World(errors=errors, seed=seed)
            world.faults = {
                number: draw.choice(FAULTS) for number in range(400) if draw.random() < share
            }
            ended[run(world, payload)] += 1
    report(capsys, f"Storms in which {share:.0%} of the calls fail", ended)


@pytest.mark.parametrize("fault", ["throttled", "broken", "lost", "unsent"])
def test_one_passing_fault_at_a_write_does_not_cost_the_rollout(fault: str) -> None:
    clean = World()
    clean.deploy(steps=3, interval=20)
    writes = [number for number, name in enumerate(clean.numbered) if name == "UpdateAlias"]
    for number in writes:
        world = World()
        world.faults = {number: fault}
        assert run(world, {"steps": 3, "interval": 20}) == "SUCCEEDED"
        assert world.history == [0.33, 0.67, 1.0, "8"]


def test_a_shift_that_arrives_after_the_rollback_is_refused() -> None:
    """The rollback writes in any case: the new revision shuts out what is still on its way."""
    world = World()
    world.faults = {
        "UpdateAlias 0": "late",
        "UpdateAlias 1": "denied",
    }  # the first shift, and its second attempt
    assert run(world, {"steps": 3, "interval": 20}) == "RolloutInterrupted"
    assert world.history == ["7", "refused"]


def test_a_finalize_that_is_refused_is_rolled_back() -> None:
    clean = World()
    clean.deploy(steps=3, interval=20)
    world = World()
    world.faults = {len(clean.numbered) - 1: "denied"}
    with pytest.raises(
        RolloutInterrupted, match=r"could not be put on the new version: AccessDenied"
    ):
        world.deploy(steps=3, interval=20)
    assert world.history == [0.33, 0.67, 1.0, "7"]


def test_a_shift_that_is_refused_later_is_rolled_back_in_aws_s_words() -> None:
    world = World()
    world.faults = {"UpdateAlias 1": "denied"}
    with pytest.raises(
        RolloutInterrupted, match=r"could not be shifted to 0.67: AccessDenied.*not authorized"
    ):
        world.deploy(steps=3, interval=20)
    assert world.history == [0.33, "7"]


# The API does not come back.
@pytest.mark.parametrize("fault", ["throttled", "broken", "denied", "unsent"])
@pytest.mark.parametrize("words", [WORDS, "", 'it\'s $HOME; rm -rf "x" 🚀', "a" * 256])
def test_an_outage_to_the_end_gives_the_command_that_undoes_it(words: str, fault: str) -> None:
    world = World(budget=400)
    world.alias.description = words
    world.down = (fault, 30.0, 10_000.0)
    with pytest.raises(
        RollbackFailed, match=r"Run: aws lambda update-alias --function-name checkout"
    ) as failed:
        world.deploy(steps=3, interval=20)
    assert world.time < 400
    assert world.history == [0.33, 0.67]
    message = str(failed.value)
    assert "could not be read" in message
    assert message.endswith(
        "when last seen it is split: it sends 67 % of its calls to version 8, the rest to version 7."
    )

    # A human runs it.
    command = message.partition("Run: ")[2].partition(
        " Alias 'live' of 'checkout' could not be read"
    )[0]
    typed = shlex.split(command)
    assert typed[:3] == ["aws", "lambda", "update-alias"]
    options = dict(zip(typed[3::2], typed[4::2], strict=True))
    assert options.pop("--function-name") == "checkout" and options.pop("--name") == "live"
    assert options == {"--routing-config": "AdditionalVersionWeights={}", "--description": words}
    world.update_alias(
        Description=options["--description"], RoutingConfig={"AdditionalVersionWeights": {}}
    )
    assert (world.alias.version, world.alias.routing, world.alias.description) == ("7", {}, words)


@pytest.mark.parametrize("fault", ["throttled", "broken", "denied", "unsent", "late"])
def test_a_rollback_goes_on_trying_until_the_api_answers_again(fault: str) -> None:
    world = World()
    world.down = (fault, 30.0, 600.0)
    assert run(world, {"steps": 3, "interval": 20}) in (
        "RolloutInterrupted",
        "HealthCheckInconclusive",
    )
    assert [move for move in world.history if move != "refused"] == [0.33, 0.67, "7"]
    assert 600 <= world.moves[-1][0] <= 640


def test_an_outage_from_the_start_touches_nothing_and_says_that_it_could_not_read() -> None:
    world = World()
    world.down = ("broken", 0.0, 10_000.0)
    with pytest.raises(RolloutInterrupted) as interrupted:
        world.deploy(steps=3, interval=20)
    assert world.writes == 0
    message = str(interrupted.value)
    assert message.startswith(
        "Alias 'live' of 'checkout' could not be read before the start. AWS says ServiceException"
    )
    assert message.endswith(" The alias was neither read nor changed.")


def test_a_bug_of_our_own_rolls_back_and_is_told_as_an_interruption() -> None:
    world = World()

    def broken_call() -> None:
        raise ZeroDivisionError("not foreseen")

    world.at(30, broken_call)  # raised inside the deployer's sleep
    with pytest.raises(
        RolloutInterrupted, match="Something unexpected happened: ZeroDivisionError: not foreseen"
    ):
        world.deploy(steps=3, interval=20)
    assert world.history == [0.33, 0.67, "7"]
    assert world.alias.description == WORDS


# Answers that are older than what they tell of.
@pytest.mark.parametrize("lag", [0.5, 2, 6, 12])
@pytest.mark.parametrize("errors", [HEALTHY, FAILING])
@pytest.mark.parametrize("fault", ["", "broken", "lost", "late", "unsent"])
def test_a_getalias_that_lags_behind_misleads_nobody(
    fault: str, errors: dict[str, float], lag: float
) -> None:
    clean = World(errors=errors)
    run(clean, {"steps": 3, "interval": 20})
    event = {
        "function-name": "checkout",
        "alias-name": "live",
        "new-version": "8",
        "steps": 3,
        "interval": 20,
    }
    for number in [number for number, name in enumerate(clean.numbered) if name == "UpdateAlias"]:
        world = World(errors=errors)
        world.faults = {number: fault}
        clients = FakeClients(world, LaggingLambda(world, lag))
        if errors:
            with pytest.raises(HealthCheckFailed):
                world.invoke(event, clients=clients)
        else:
            world.invoke(event, clients=clients)
        world.advance(60)
        assert [move for move in world.history if move != "refused"] == [
            0.33,
            0.67,
            1.0,
            "7" if errors else "8",
        ]
        assert (world.alias.routing, world.alias.description) == ({}, WORDS)


# -- what the stories need ------------------------------------------------------------------------

#: What a caller may be told of these; anything else is a bug.
EXPECTED = (
    InvalidRollout,
    RolloutInterrupted,
    HealthCheckFailed,
    HealthCheckInconclusive,
    AliasBusy,
)


def run(world: World, payload: dict[str, Any]) -> str:
    """Deploy, wait until late requests have landed, and see that the alias is where it should be
    and we are told so."""
    try:
        ended = world.deploy(**payload)["rollout"]["status"]
        message = ""
    except DeployError as error:
        ended = type(error).__name__
        message = str(error)
        assert isinstance(error, EXPECTED), message
    assert world.time < world.budget
    if message:
        assert_told_truly(world, message)
    world.advance(60)
    assert world.alias.routing == {}, (ended, world.moves)
    assert world.alias.version == ("8" if ended == "SUCCEEDED" else "7"), (ended, world.moves)
    assert world.alias.description == WORDS
    if message:
        assert_told_truly(world, message)
    return str(ended)


def assert_told_truly(world: World, message: str) -> None:
    """The last sentence says where the alias is, or that it could not be read."""
    who = "Alias 'live' of 'checkout'"
    told = message.endswith(f"{who} is on version {world.alias.version}.")
    unread = f"{who} could not be read (" in message
    last_seen = message.endswith(f"when last seen it is on version {world.alias.version}.")
    untouched = message.endswith("The alias was neither read nor changed.") and not world.writes
    assert told or (unread and last_seen) or untouched, message


def report(capsys: pytest.CaptureFixture[str], what: str, ended: Counter[str]) -> None:
    with capsys.disabled():
        told = ", ".join(f"{count} {how}" for how, count in ended.most_common())
        print(f"\n{what}: {sum(ended.values())} cases: {told}")


def numbers(errors: dict[str, float], payload: dict[str, Any]) -> Iterator[int]:
    """The number of every API call of an undisturbed rollout, and of a few more."""
    world = World(errors=errors)
    run(world, payload)
    yield from range(len(world.numbered) + 3)


class LaggingLambda(FakeLambda):
    """`GetAlias` answers with the alias as it was some seconds ago."""

    def __init__(self, world: World, lag: float) -> None:
        super().__init__(world)
        self._was = [(-lag, world.alias.answer())]
        self._lag = lag
        self._note = world.moved
        world.moved = self._remember  # type: ignore[method-assign]

    def _remember(self) -> None:
        self._note()
        self._was.append((self._world.time, self._world.alias.answer()))

    def get_alias(self, **request: Any) -> dict[str, Any]:
        super().get_alias(**request)
        return dict(
            [answer for time, answer in self._was if time + self._lag <= self._world.time][-1]
        )
