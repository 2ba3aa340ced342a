"""A local AWS for the tests that need one: started once, the deployer installed with install.sh."""

from collections.abc import Iterator

import pytest

from local.cloud import Cloud, running
from local.sandbox import emulator
from tests.parts import Parts

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
