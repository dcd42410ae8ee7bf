"""A Sluice of one measurement's own."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sluice_local.kafka import EmbeddedKafka
from tests.support.engines import running_engine
from tests.support.kafka import running_broker
from tests.support.sluice import Sluice

__all__ = ["own_sluice"]


@contextmanager
def own_sluice(
    engine: str, *, environment: Mapping[str, Mapping[str, str]] | None = None
) -> Iterator[Sluice]:
    """Yield a Sluice with a Kafka of its own, whose services do not run yet; stop it at last.

    The local engine is started, if it is the one. `environment` are variables by service.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        running_broker(EmbeddedKafka(data_dir=Path(folder) / "kafka")) as kafka,
    ):
        sluice = Sluice(
            kafka,
            Path(folder) / "sluice",
            engine=running_engine(engine),
            environment=environment,
        )
        try:
            if sluice.engine.is_local:
                sluice.start("engine")
            yield sluice
        finally:
            sluice.stop()
