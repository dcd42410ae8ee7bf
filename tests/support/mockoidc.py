"""mockoidc, a real OpenID provider for tests, as a process: testbed/src/testbed/go/mockoidc."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.stock import built_program


@dataclass(frozen=True, kw_only=True)
class MockOidc:
    """The running provider, and the client that it knows."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    process: asyncio.subprocess.Process

    async def expect(self, **person: Any) -> None:
        """Let this person be the next one who signs in, as `Subject`, `Email`, `EmailVerified`."""
        await _write(self.process, {"User": person})

    async def rotate(self) -> None:
        """Let it sign by another key, and publish that alone."""
        await _write(self.process, {"Rotate": True})

    async def move_clock(self, *, seconds: int) -> None:
        """Let it sign tokens as if so much later, or earlier."""
        await _write(self.process, {"Seconds": seconds})


@asynccontextmanager
async def mockoidc() -> AsyncIterator[MockOidc]:
    """Run the provider on a free port of loopback; skip the test if it is not built."""
    process = await asyncio.create_subprocess_exec(
        built_program("mockoidc"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        if process.stdout is None:
            raise AssertionError("it has a pipe")
        yield MockOidc(process=process, **json.loads(await process.stdout.readline()))
    finally:
        if process.stdin is not None:
            # It ends with its input.
            process.stdin.close()
        await process.wait()


async def _write(process: asyncio.subprocess.Process, document: Any) -> None:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("it has pipes")
    process.stdin.write(json.dumps(document).encode() + b"\n")
    await process.stdin.drain()
    await process.stdout.readline()
