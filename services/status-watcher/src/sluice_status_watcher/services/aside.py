"""Runs long work in a thread, so that the event loop goes on meanwhile."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

__all__ = ["run_aside"]

T = TypeVar("T")

# Some 10 ms of work.
_FEW_BYTES: Final = 512 * 1024


async def run_aside(work: Callable[[], T], *, size: int) -> T:
    """Return what `work` returns; run in a thread if it processes many bytes of memory.

    Args:
        work: must not touch what the event loop changes meanwhile.
        size: bytes of memory that it processes.
    """
    return await asyncio.to_thread(work) if size > _FEW_BYTES else work()
