"""No event loop but those of the tests.

looptime asks for "the" event loop before every test, and asyncio makes one, which nobody closes,
unless it was told that there is none.
"""

import asyncio


def pytest_sessionstart() -> None:
    asyncio.set_event_loop(None)
