"""An event loop in a thread of its own."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, TypeVar

from sluice_client.errors import SluiceError

__all__ = ["LoopInThread"]

T = TypeVar("T")


class LoopInThread:
    """An event loop in a thread, which ends with the program."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._closing = False
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="sluice-client", daemon=True
        )
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of the work; an interruption of this thread cancels it.

        Raises:
            SluiceError: the client is closed, or was closed meanwhile.
        """
        if self._closing:
            work.close()
            raise SluiceError("The client is closed.")
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("A call from the thread of the event loop would wait for itself.")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError:
            if not self._closing:
                raise
            raise SluiceError("The client was closed meanwhile.") from None
        except BaseException:
            future.cancel()
            raise

    def each(self, items: AsyncGenerator[T]) -> Generator[T]:
        """Yield the items as they come."""

        async def following() -> tuple[T] | None:
            try:
                return (await anext(items),)
            except StopAsyncIteration:
                return None

        try:
            while (found := self.call(following())) is not None:
                yield found[0]
        finally:
            # Without a loop there is nothing left to close.
            with suppress(SluiceError):
                self.call(items.aclose())

    def close(self) -> None:
        """Cancel what is under way, and stop the thread."""
        if self._closing:
            return
        self._closing = True
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
