"""The view in PostgreSQL, with all that works on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from aiokafka import AIOKafkaConsumer

from sluice_gateway.adapters.read_barrier import ReadBarrier
from sluice_gateway.adapters.run_store_postgres.group_projector import GroupProjector
from sluice_gateway.adapters.run_store_postgres.history import History
from sluice_gateway.adapters.run_store_postgres.listener import Listener
from sluice_gateway.adapters.run_store_postgres.partition_numbers import PartitionNumbers
from sluice_gateway.adapters.run_store_postgres.progress import ProjectionProgress
from sluice_gateway.adapters.run_store_postgres.reader import PostgresRunView
from sluice_gateway.adapters.run_store_postgres.schema import NewerSchemaError, migrate
from sluice_gateway.adapters.run_store_postgres.store import PostgresStore
from sluice_gateway.adapters.run_view.reopening import KeptIn, OpenView
from sluice_gateway.adapters.written_requests import WrittenRequests
from sluice_gateway.domain.run_changes import KeepsParameters
from sluice_gateway.metrics import Metrics
from sluice_gateway.services.subscriptions import RunSubscriptions
from sluice_gateway.settings import GatewaySettings
from sluice_runtime.kafka.consumer import make_consumer
from sluice_runtime.postgres.connections import DATABASE_ERRORS, connect, connection_pool

__all__ = ["DATABASE", "opened_postgres_view"]

_NAME: Final = "sluice-gateway-view"
_FETCH_MAX_WAIT: Final = timedelta(milliseconds=250)
# A replica that is killed is missed for so long: its part of the events is late for all.
_SESSION_TIMEOUT: Final = timedelta(seconds=15)

DATABASE: Final = KeptIn(
    errors=(*DATABASE_ERRORS, NewerSchemaError),
    unusable="the database cannot be used",
    unreadable="the database cannot be read",
    # The texts of these errors have addresses, and of rows what is in them.
    shown=lambda error: type(error).__name__,
)


@asynccontextmanager
async def opened_postgres_view(
    settings: GatewaySettings,
    *,
    subscriptions: RunSubscriptions,
    metrics: Metrics,
    keeps_parameters: KeepsParameters,
    most_waiting: int,
) -> AsyncIterator[OpenView]:
    """Connect to the database, bring its tables to this version, and yield the view.

    Raises:
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError: the database cannot be used.
        NewerSchemaError: its tables are those of a newer version.
    """
    database, kafka, origins = settings.store.postgres, settings.kafka, settings.kafka.origins
    topics = origins.topics
    names = (*topics.requests, *topics.status)
    member = kafka.model_copy(
        update={"session_timeout": min(kafka.session_timeout, _SESSION_TIMEOUT)}
    )

    def make_member() -> AIOKafkaConsumer:
        return make_consumer(
            member,
            client_id=_NAME,
            group=settings.store.group,
            fetch_max_wait=_FETCH_MAX_WAIT,
        )

    async with connection_pool(database) as pool:
        async with pool.acquire() as connection:
            await migrate(connection)
            partitions = await PartitionNumbers.load(connection, [each.name for each in topics][1:])
        store = PostgresStore(
            pool,
            origins=origins,
            partitions=partitions,
            keeps_parameters=keeps_parameters,
            projected=metrics.events_projected.inc,
        )
        written = WrittenRequests()
        progress = ProjectionProgress(
            topics=names, make_consumer=lambda: make_consumer(kafka, client_id=f"{_NAME}-ends")
        )
        barrier = ReadBarrier(progress, patience=settings.view.patience, most=most_waiting)
        yield OpenView(
            view=PostgresRunView(
                pool,
                store,
                topics=topics,
                partitions=partitions,
                subscriptions=subscriptions,
                catch_up=barrier.catch_up,
                written=written,
            ),
            projection=progress,
            tasks=(
                GroupProjector(store, topics=names, make_consumer=make_member).run,
                Listener(
                    lambda: connect(database),
                    subscriptions=subscriptions,
                    progress=progress,
                    written=written,
                ).run,
                progress.run,
                History(
                    pool, topics=topics, partitions=partitions, keep=settings.store.history
                ).run,
            ),
        )
