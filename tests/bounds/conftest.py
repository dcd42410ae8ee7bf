"""Parts of a Sluice under their chart's limits, each time new."""

import functools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.support.engines import running_engine
from tests.support.guarding import Guard, Launchers, guarded
from tests.support.kafka import KafkaServer
from tests.support.matrix import LOCAL
from tests.support.sluice import Sluice

Guarded = Callable[..., AbstractAsyncContextManager[Guard]]


@pytest.fixture
def guard_of(kafka: KafkaServer, tmp_path: Path, request: pytest.FixtureRequest) -> Guarded:
    """Start the named parts under their limits, while the body runs."""

    def make(launchers: Launchers) -> Sluice:
        return Sluice(kafka, tmp_path, engine=running_engine(LOCAL), launchers=launchers)

    return functools.partial(guarded, make, request=request)
