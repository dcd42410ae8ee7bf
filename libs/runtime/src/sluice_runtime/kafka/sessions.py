"""Reading without end: one session with Kafka after another."""

from collections.abc import AsyncGenerator, Callable

from aiokafka.errors import KafkaError

from sluice_runtime.backoff import Backoff
from sluice_runtime.retry import retry_forever

__all__ = ["run_sessions"]


async def run_sessions(
    session: Callable[[], AsyncGenerator[None]],
    *,
    backoff: Backoff,
    on_retry: Callable[[Exception, float], None],
) -> None:
    """Run sessions until cancelled; each connects, and yields whenever it has made progress.

    After an error of Kafka, or of the network, the next session begins after a pause. Pauses grow
    until a session makes progress. `on_retry` is that of `retry_forever`.
    """
    steps = session()

    async def advance() -> None:
        nonlocal steps
        try:
            await anext(steps)
        except StopAsyncIteration:
            steps = session()
        except (KafkaError, OSError):
            steps = session()
            raise

    while True:
        await retry_forever(advance, on=(KafkaError, OSError), backoff=backoff, on_retry=on_retry)
