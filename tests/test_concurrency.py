"""Many deployers at once: on one alias exactly one goes on; on many aliases all end, however little
AWS takes."""

import math
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from deployer import simple
from deployer.clock import Clock
from deployer.decisions import stamp
from deployer.decisions.errors import AliasBusy, AliasChanged, DeployError, InvalidRollout
from deployer.decisions.stamp import Stamp
from local.rules import Refused, StoredAlias
from world.aws import FUNCTION, WORDS
from world.turns import Outcome, SharedWorld
from world.world import FakeClients, WorldClock

SEED = 20261123


@pytest.mark.parametrize(
    "versions", [["8"], ["8", "9"]], ids=["same version", "different versions"]
)
@pytest.mark.parametrize("apart", [0.0, 0.01, 0.05, 0.1, 0.15, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("number", [2, 10])
def test_of_deployers_started_at_once_on_one_alias_exactly_one_goes_on(
    number: int, apart: float, versions: list[str]
) -> None:
    world = SharedWorld(rate=0)
    assert_one_goes_on(world, crowd(world, [apart * each for each in range(number)], versions))


@pytest.mark.parametrize("seed", range(SEED, SEED + 20))
def test_of_ten_started_within_a_second_exactly_one_goes_on(seed: int) -> None:
    draw = random.Random(seed)
    world = SharedWorld(rate=0, latency=draw.choice([0.01, 0.05, 0.3]))
    starts = [draw.uniform(0, 1) for _ in range(10)]
    print(f"Seed {seed}, starts {starts}")
    assert_one_goes_on(world, crowd(world, starts, ["8", "9", "6"]))


@pytest.mark.parametrize("apart", [0.0, 0.01, 0.05, 0.3])
@pytest.mark.parametrize("number", [2, 10])
def test_of_deployers_that_find_an_abandoned_split_exactly_one_goes_on(
    number: int, apart: float
) -> None:
    world = SharedWorld(rate=0)
    until = (world.now() - timedelta(hours=1)).replace(microsecond=0)
    world.alias.routing = {"9": 0.3}
    world.alias.description = stamp.write(WORDS, Stamp("cccccccccccc", "9", 0.3, 3, 10, until))
    ended = crowd(world, [apart * each for each in range(number)], ["8"])
    assert_one_goes_on(world, ended, before=["7"])


@pytest.mark.parametrize("fault", ["throttled", "broken", "lost", "unsent"])
def test_of_ten_started_at_once_at_most_one_goes_on_whatever_is_lost(
    fault: str,
) -> None:
    for number in range(30, 42):  # after three calls of each before the shifts
        world = SharedWorld(rate=0)
        world.faults = {number: fault}
        assert_one_goes_on(world, crowd(world, [0.0] * 10, ["8", "9"]))


# A hundred at once, in an account that takes 15 requests a second.
#: Requests a second to Lambda's control plane, of the whole account (Lambda's quotas), and how many
#: may come at once.
REQUESTS = 15.0
BURST = 15.0


@pytest.mark.parametrize("apart", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("check", [False, True])
def test_a_hundred_rollouts_at_once_all_end_and_none_is_split(
    check: Any, apart: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """Short ones, 3 × 20 s, a look every 15 s; nobody calls the aliases, so that a checked one
    settles for 120 s."""
    world, ended = hundred(apart, **{"health-check": check})
    assert len(ended) == 100
    how: Counter[str] = Counter()
    for name, one in ended.items():
        alias = world.aliases[name]
        failed = isinstance(one, DeployError)
        before = " before the start" if "before the start" in str(one) else ""
        if isinstance(one, DeployError):
            how[f"{type(one).__name__}{before}"] += 1
        else:
            how[one["rollout"]["status"]] += 1
        assert (alias.routing, alias.description) == ({}, f"{WORDS}, {name}"), (name, one)
        assert alias.version == ("7" if failed else "8")
        assert not isinstance(one, InvalidRollout)
    with capsys.disabled():
        told = ", ".join(f"{number} {what}" for what, number in how.most_common())
        calls = f"{len(world.numbered)} calls, {world.refused} refused with 429, {world.time:.0f} s"
        setting = f"A hundred rollouts {apart:g} s apart at {REQUESTS:g} requests a second"
        print(f"\n{setting}: {told}; {calls}")


def test_a_hundred_rollouts_that_fail_at_the_same_time_are_all_rolled_back() -> None:
    world, ended = hundred(0.5, errs_from=70.0)
    assert Counter(type(one).__name__ for one in ended.values()) == {"HealthCheckFailed": 100}
    assert {(alias.version, *alias.routing) for alias in world.aliases.values()} == {("7",)}
    assert world.refused > 40 and world.time < 150


def test_those_who_were_refused_together_do_not_come_back_together() -> None:
    world, _ = hundred(0.0, **{"health-check": False})
    assert len(world.paused) > 200
    assert all(0.25 <= pause <= 4.0 for pause in world.paused)
    first = sorted(pause for pause in world.paused[:60] if pause <= 0.5)
    assert len({round(pause, 6) for pause in first}) == len(first) > 40
    assert max(after - before for before, after in pairwise(first)) < 0.05


# -- what the stories need ------------------------------------------------------------------------

STEPS: dict[str, Any] = {"steps": 3, "interval": 20}


def crowd(world: SharedWorld, starts: list[float], versions: list[str]) -> dict[str, Outcome]:
    """Deployers of one alias, one a start; they take the versions in turn."""

    def deployer(number: int) -> Callable[[], Any]:
        version = versions[number % len(versions)]
        return lambda: world.deploy(f"{number:012x}", new_version=version, **STEPS)

    return world.at_once(
        {f"{number:02}": (later, deployer(number)) for number, later in enumerate(starts)}
    )


def assert_one_goes_on(
    world: SharedWorld, ended: dict[str, Outcome], before: list[str] | None = None
) -> None:
    """It alone has moved the alias; the others were told why they did not."""
    went_on = [one for one in ended.values() if isinstance(one, dict)]
    assert len(went_on) == 1
    rollout = went_on[0]["rollout"]
    assert rollout["status"] == "SUCCEEDED"
    for one in ended.values():
        if isinstance(one, DeployError):
            assert isinstance(one, AliasBusy | AliasChanged), str(one)
            assert f"Rollout {rollout['id']} of version {rollout['new-version']} runs" in str(one)
    version = rollout["new-version"]
    expected = [("7", {version: weight}) for weight in (0.33, 0.67, 1.0)] + [(version, {})]
    moves = [(onto, routing) for _, onto, routing in world.moves]
    assert moves == [(each, {}) for each in before or []] + expected
    assert (world.alias.version, world.alias.routing, world.alias.description) == (
        version,
        {},
        WORDS,
    )


class Account(SharedWorld):
    """Many aliases of one account. Every request to Lambda takes a token; without one it is refused
    with 429."""

    def __init__(self, names: list[str], **settings: Any) -> None:
        super().__init__(**settings)
        self.aliases = {
            name: StoredAlias(f"{FUNCTION}:{name}", name, "7", f"{WORDS}, {name}") for name in names
        }
        self.refused = 0
        self.paused = list[float]()
        self._tokens = BURST
        self._filled = 0.0

    def take_token(self) -> None:
        self._tokens = min(BURST, self._tokens + (self.time - self._filled) * REQUESTS)
        self._filled = self.time
        if self._tokens < 1:
            self.refused += 1
            raise Refused(429, "TooManyRequestsException", "Rate Exceeded.")
        self._tokens -= 1


class AccountLambda:
    """The operations on its aliases."""

    def __init__(self, world: Account) -> None:
        self._world = world

    def get_alias(self, **request: Any) -> dict[str, Any]:
        return self._call("GetAlias", self._world.aliases[request["Name"]].answer)

    def get_function_configuration(self, **_: Any) -> dict[str, Any]:
        return self._call("GetFunctionConfiguration", lambda: {"State": "Active"})

    def update_alias(self, **request: Any) -> dict[str, Any]:
        alias = self._world.aliases[request["Name"]]

        def apply() -> dict[str, Any]:
            alias.update(request, self._world.states, self._world.roles)
            return alias.answer()

        return self._call("UpdateAlias", apply)

    def _call(self, name: str, apply: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        def limited() -> dict[str, Any]:
            self._world.take_token()
            return apply()

        return dict(self._world.call(name, limited))


class SilentCloudWatch:
    """Nobody calls these aliases; with `errs_from` all new versions fail from that time on."""

    def __init__(self, world: Account, errs_from: float) -> None:
        self._world = world
        self._errs_from = errs_from

    def get_metric_data(self, **request: Any) -> dict[str, Any]:
        errs = self._world.time > self._errs_from
        values: dict[str, list[Any]] = {"Timestamps": [request["StartTime"]], "Values": [5.0]}
        none: dict[str, list[Any]] = {"Timestamps": [], "Values": []}
        results = [
            {
                "Id": query["Id"],
                "StatusCode": "Complete",
                **(values if errs and query["Id"].endswith("_new") else none),
            }
            for query in request["MetricDataQueries"]
        ]
        return dict(self._world.call("GetMetricData", lambda: {"MetricDataResults": results}))


class JitteryClock(WorldClock):
    """Pauses as the real clock does, from the seeded generator, and notes them."""

    def pause(self, attempt: int) -> None:
        before = self._world.time
        Clock.pause(self, attempt)
        assert isinstance(self._world, Account)
        self._world.paused.append(self._world.time - before)


def hundred(
    apart: float, errs_from: float = math.inf, **payload: Any
) -> tuple[Account, dict[str, Outcome]]:
    """A hundred rollouts of a hundred aliases; the pauses are drawn from Python's generator, seeded
    here."""
    random.seed(SEED)
    print(f"Seed {SEED}")
    names = [f"live-{number:03}" for number in range(100)]
    world = Account(names, rate=0)

    def deployer(number: int, name: str) -> Callable[[], Any]:
        event = {
            "function-name": "checkout",
            "alias-name": name,
            "new-version": "8",
            **STEPS,
            **payload,
        }

        def deploy() -> Any:
            clients = FakeClients(world, AccountLambda(world), SilentCloudWatch(world, errs_from))
            clients.clock = JitteryClock(world, world.budget)
            return simple.deploy(event, clients, f"{number:012x}", "request-1")

        return deploy

    ended = world.at_once({name: (apart * n, deployer(n, name)) for n, name in enumerate(names)})
    return world, ended
