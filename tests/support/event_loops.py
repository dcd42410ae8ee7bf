"""Prevents event loops other than those of the tests.

looptime gets the current event loop before each test. asyncio would create one, which is never
closed, unless the current loop was set to None.
"""

import asyncio


def pytest_sessionstart() -> None:
    asyncio.set_event_loop(None)
