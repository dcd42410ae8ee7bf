"""Closes the connection that aiokafka leaks when it is cancelled during a metadata request.

`AIOKafkaClient.bootstrap` then drops its first connection without closing it. The test that runs
when it is garbage-collected, any test, would fail with an unclosed socket.
"""

import asyncio
import contextvars
from typing import Any

import aiokafka.client
from aiokafka.conn import AIOKafkaConnection


def pytest_configure() -> None:
    """Make each bootstrap close its connections if it is cancelled."""
    create_conn, bootstrap = aiokafka.client.create_conn, aiokafka.client.AIOKafkaClient.bootstrap
    opened: contextvars.ContextVar[list[AIOKafkaConnection]] = contextvars.ContextVar("opened")

    async def create_noted(*arguments: Any, **named: Any) -> AIOKafkaConnection:
        connection = await create_conn(*arguments, **named)
        opened.get([]).append(connection)
        return connection

    async def bootstrap_or_close(client: aiokafka.client.AIOKafkaClient) -> None:
        token = opened.set([])
        try:
            await bootstrap(client)
        except asyncio.CancelledError:
            for connection in opened.get():
                connection.close()
            raise
        finally:
            opened.reset(token)

    aiokafka.client.create_conn = create_noted
    aiokafka.client.AIOKafkaClient.bootstrap = bootstrap_or_close
