"""The consumer of the request topic reconnects after any error."""

import asyncio
import socket
from datetime import timedelta
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from sluice_dispatcher.adapters.request_consumer import RequestConsumer
from tests.support.dispatcher import small_budget


class Unreachable:
    """A consumer that cannot connect; stops and subscribes like any other."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def subscribe(self, topics: list[str], *, listener: Any) -> None:
        """Take note of nothing."""

    async def start(self) -> None:
        raise self._error

    async def stop(self) -> None:
        """Have nothing to stop."""


@pytest.mark.looptime
@pytest.mark.parametrize(
    "error", [KafkaConnectionError(), ConnectionResetError(), socket.gaierror("no such host")]
)
async def test_a_failed_connection_to_kafka_is_retried(error: Exception) -> None:
    third = asyncio.Event()
    tries = 0

    def make_consumer() -> Unreachable:
        nonlocal tries
        tries += 1
        if tries == 3:
            third.set()
        return Unreachable(error)

    async def handle(_: object) -> None:
        raise AssertionError("there is nothing to handle")

    request_consumer = RequestConsumer(
        topics=["requests"],
        make_consumer=make_consumer,
        handle=handle,
        budget=small_budget(),
        most_uncommitted=1,
        commit_interval=timedelta(seconds=1),
        drain_grace=timedelta(seconds=1),
    )
    running = asyncio.create_task(request_consumer.run())
    await asyncio.wait({running, asyncio.create_task(third.wait())}, return_when="FIRST_COMPLETED")
    assert not running.done()
    assert request_consumer.waiting_for() == "the request topic cannot be read"
    running.cancel()
