"""Reading for ever: one session with Kafka after another."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from aiokafka.errors import KafkaError

from sluice_runtime.backoff import Backoff

__all__ = ["run_sessions"]


async def run_sessions(
    session: Callable[[], AsyncGenerator[None]],
    *,
    backoff: Backoff,
    interrupted: Callable[[Exception, float], None],
) -> None:
    """Run sessions until cancelled; each connects, and yields whenever it has got on.

    What goes wrong with Kafka, or on the way to it, is tried again with growing pauses;
    `interrupted` hears of the error and of the seconds until then.
    """
    failures = 0
    while True:
        try:
            async with aclosing(session()) as steps:
                async for _ in steps:
                    failures = 0
        except (KafkaError, OSError) as e:
            failures += 1
            pause = backoff.delay(failures)
            interrupted(e, pause)
            await asyncio.sleep(pause)
