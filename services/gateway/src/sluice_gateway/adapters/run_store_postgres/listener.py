"""Listens to what projectors announce, on a connection of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from sluice_gateway.adapters.run_store_postgres.announcements import (
    CHANNEL,
    Announcement,
    key_hash,
)
from sluice_gateway.adapters.run_store_postgres.progress import ProjectionProgress
from sluice_gateway.adapters.run_store_postgres.store import read_offsets
from sluice_gateway.adapters.run_store_postgres.types import Connection
from sluice_gateway.adapters.written_requests import WrittenRequests
from sluice_gateway.services.subscriptions import RunSubscriptions

__all__ = ["Listener"]

# Load balancers and firewalls forget silent connections, and neither end hears of it.
_PING_EVERY_S: Final = 15.0
_PING_TIMEOUT_S: Final = 10.0


class Listener:
    """Wakes the followers of runs, and notes how far the topics are projected.

    `connect` makes a connection, which is closed at the end.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        *,
        subscriptions: RunSubscriptions,
        progress: ProjectionProgress,
        written: WrittenRequests | None = None,
    ) -> None:
        self._connect = connect
        self._subscriptions = subscriptions
        self._progress = progress
        self._written = WrittenRequests() if written is None else written

    async def run(self) -> None:
        """Listen until the connection is lost.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: it is.
        """
        lost = asyncio.Event()
        async with self._connected(lost) as connection:
            await connection.add_listener(CHANNEL, self._heard)
            # What was announced before is not announced again.
            self._progress.note(await read_offsets(connection))
            self._subscriptions.publish_where(lambda _: True)
            while not lost.is_set():
                await connection.execute("SELECT 1", timeout=_PING_TIMEOUT_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_PING_EVERY_S):
                        await lost.wait()
        raise ConnectionResetError("The connection that listens was lost.")

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        said = Announcement.parse(payload)
        offsets = {(said.topic, each): at for each, at in said.offsets.items()}
        self._progress.note(offsets)
        self._written.drop_projected(offsets)
        if said.hashes:
            self._subscriptions.publish_where(lambda key: key_hash(key) in said.hashes)

    @asynccontextmanager
    async def _connected(self, lost: asyncio.Event) -> AsyncIterator[Connection]:
        connection = await self._connect()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            yield connection
        finally:
            connection.terminate()
