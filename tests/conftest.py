"""A local AWS for the tests that need one: started once, the deployer installed with install.sh."""

from collections.abc import Iterator

import pytest

from local.cloud import Cloud, running
from local.sandbox import emulator
from tests.parts import Parts

#: Seconds after a minute's end at which the local CloudWatch publishes it.
DELAY = 2.0


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    try:
        emulator()
    except RuntimeError as error:
        pytest.skip(str(error))
    with running(DELAY) as cloud:
        cloud.install()
        cloud.publish_checkout()
        yield cloud


@pytest.fixture(scope="session")
def parts() -> Iterator[Parts]:
    """Another local AWS, without the deployer: the tests of the local AWS itself depend on nothing
    else."""
    try:
        emulator()
    except RuntimeError as error:
        pytest.skip(str(error))
    with running(DELAY) as cloud:
        yield Parts(cloud)
