"""A broker for the simulators' tests, and who listens at it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.simulators.rig import Broker, Platform, Proxy


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    started = Broker(tmp_path_factory.mktemp("broker"))
    yield started
    started.close()


@pytest.fixture
def platform(broker: Broker) -> Iterator[Platform]:
    started = Platform(broker.port)
    yield started
    started.close()


@pytest.fixture
async def proxy(broker: Broker) -> AsyncIterator[Proxy]:
    started = Proxy(broker.port)
    await started.start()
    yield started
    await started.close()
