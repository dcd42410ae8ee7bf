"""One Sluice for all tests that do not kill it."""

from collections.abc import Iterator

import pytest

from sluice_local.kafka import EmbeddedKafka
from tests.support.sluice import Sluice, running_sluice


@pytest.fixture(scope="session")
def sluice(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sluice]:
    """A Sluice that runs for the whole session."""
    with running_sluice(kafka, tmp_path_factory.mktemp("sluice")) as running:
        yield running
