"""Close the connection that aiokafka forgets when it is cancelled while it asks for metadata.

``AIOKafkaClient.bootstrap`` drops its first connection then. Nothing of ours can reach it, and the
test that runs when it is collected, any test, would fail with an unclosed socket.
"""

import asyncio
import contextvars
from typing import Any

import aiokafka.client
from aiokafka.conn import AIOKafkaConnection


def pytest_configure() -> None:
    """Let every bootstrap close what it has opened, should it be cancelled."""
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
