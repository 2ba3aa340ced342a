"""Leases that fire as late as on AWS: a dead deployer's split is gone within four minutes.

Six minutes of real time; `make test` has the same with leases that are hardly late.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.cloud import HEALTHY
from local.scheduler import LATEST
from tests.dying import PROMISED, Dying, deployers, tell

#: When each is killed, in seconds after its first shift: all over the minute.
KILLED = {f"killed-after-{after}": float(after) for after in (0, 11, 24, 37, 48, 65, 80)}


def test_the_split_of_whoever_died_is_gone_within_four_minutes(
    dying: Dying, capsys: pytest.CaptureFixture[str]
) -> None:
    lives = dying.invoke("lives", interval=140.0)
    with ThreadPoolExecutor() as pool:
        took = {name: pool.submit(dying.killed, name, after) for name, after in KILLED.items()}
        seconds = {name: future.result() for name, future in took.items()}
    with capsys.disabled():
        tell(seconds)
    assert max(seconds.values()) <= PROMISED
    assert lives.result()["rollout"]["status"] == "SUCCEEDED", "its lease was moved on in time"
    dying.stands_on("lives", HEALTHY)
    endings = dying.endings()
    assert endings.pop("lives") == ["SUCCEEDED"]
    assert endings == {name: ["ROLLED_BACK", "RolloutInterrupted"] for name in KILLED}
    assert dying.leases() == [], "none is left behind"


@pytest.fixture(scope="module")
def dying(functions_run: None) -> Iterator[Dying]:
    with deployers((*KILLED, "lives"), LATEST) as dying:
        yield dying
