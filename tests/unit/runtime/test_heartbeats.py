"""Signs of life of a silent stream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from sluice_runtime.heartbeats import with_heartbeats
from tests.unit.runtime.clock import pause

pytestmark = pytest.mark.looptime


async def slow(*pauses: float) -> AsyncIterator[float]:
    for seconds in pauses:
        await pause(seconds)
        yield seconds


async def test_silence_is_noted_and_nothing_is_lost() -> None:
    found = [each async for each in with_heartbeats(slow(1, 25, 2), every=10)]
    assert found == [1, None, None, 25, 2]


async def test_an_error_is_passed_on() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise OSError("cut")

    pieces = with_heartbeats(broken(), every=10)
    assert await anext(pieces) == 1
    with pytest.raises(OSError, match="cut"):
        await anext(pieces)


async def test_a_reader_that_leaves_ends_the_stream() -> None:
    ended = asyncio.Event()

    async def silent() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with aclosing(with_heartbeats(silent(), every=10)) as pieces:
        assert await anext(pieces) == 1
        assert await anext(pieces) is None
    assert ended.is_set()
