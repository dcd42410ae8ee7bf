"""Parts of a Sluice under their chart's limits, each time new."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.engines import running_engine
from tests.support.guarding import Guard, Launchers, guarded
from tests.support.kafka import KafkaServer
from tests.support.matrix import LOCAL
from tests.support.sluice import Sluice


class Guarded(Protocol):
    """Runs the named services under their limits; `environment` is that of `Sluice`."""

    def __call__(
        self,
        *names: str,
        kafka: KafkaServer,
        environment: Mapping[str, Mapping[str, str]] | None = None,
    ) -> AbstractAsyncContextManager[Guard]: ...


@pytest.fixture
def guard_of(tmp_path: Path, request: pytest.FixtureRequest) -> Guarded:
    """Start parts under their limits, on some Kafka."""

    def start(
        *names: str, kafka: KafkaServer, environment: Mapping[str, Mapping[str, str]] | None = None
    ) -> AbstractAsyncContextManager[Guard]:
        def make(launchers: Launchers) -> Sluice:
            engine = running_engine(LOCAL)
            return Sluice(
                kafka, tmp_path, engine=engine, environment=environment, launchers=launchers
            )

        return guarded(make, *names, request=request)

    return start
