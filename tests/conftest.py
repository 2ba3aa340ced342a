"""A local AWS for the tests that need one: started once, the deployer installed with install.sh; and
the state machine for those in virtual time that may hand over to it."""

from collections.abc import Iterator

import pytest

from local.cloud import Cloud, running
from local.sandbox import emulator
from tests.parts import Parts
from tests.warned import Warned, all_stories
from world.machine import STATE_MACHINE

#: Seconds after a minute's end at which the local CloudWatch publishes it.
DELAY = 2.0
#: Seconds after which a line in a log can be read.
LOG_DELAY = 0.3


@pytest.fixture(scope="session")
def cloud(functions_run: None) -> Iterator[Cloud]:
    with running(DELAY, log_delay=LOG_DELAY) as cloud:
        cloud.install()
        cloud.publish_checkout()
        yield cloud


@pytest.fixture(scope="session")
def warned(cloud: Cloud) -> Iterator[Warned]:
    """Rollouts that hear from logs, under way."""
    with all_stories(cloud) as warned:
        yield warned


@pytest.fixture(scope="session")
def parts(functions_run: None) -> Iterator[Parts]:
    """Another local AWS, without the deployer: the tests of the local AWS itself depend on nothing
    else."""
    with running(DELAY, log_delay=LOG_DELAY) as cloud:
        yield Parts(cloud)


@pytest.fixture(scope="session")
def functions_run() -> None:
    """What needs a local AWS is skipped where functions cannot run, with the sentence that says
    why."""
    try:
        emulator()
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.fixture
def _the_state_machine_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_STATE_MACHINE_ARN", STATE_MACHINE)
