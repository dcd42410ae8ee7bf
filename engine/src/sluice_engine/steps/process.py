"""One process in a group of its own, with bounded output and a deadline."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

__all__ = ["Ended", "run_process"]

_CHUNK: Final = 64 * 1024
_GRACE_SECONDS: Final = 2.0
"""Seconds between SIGTERM and SIGKILL. A pod has 30, which is too long in a terminal."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    stdout_tail: bytes
    timed_out: bool = False


class _Output:
    """The start of a stream, for people, and its end; memory stays bounded."""

    def __init__(self, head_bytes: int, tail_bytes: int, *, log: Callable[[bytes], None]) -> None:
        self._head_bytes = head_bytes
        self._tail_bytes = tail_bytes
        self._log = log
        self.head = bytearray()
        self.tail = bytearray()

    async def read(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(_CHUNK):
            self.head += chunk[: self._head_bytes - len(self.head)]
            self.tail += chunk
            del self.tail[: -self._tail_bytes]
            self._log(chunk)


async def run_process(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    log: Callable[[str, bytes], None],
    log_bytes: int,
    tail_bytes: int,
    deadline_seconds: float | None,
) -> Ended:
    """Run a command to its end; on cancellation or timeout, its whole group is killed.

    Args:
        command: program and arguments; no shell takes part.
        folder: where it starts.
        environment: all of its environment.
        log: called with `stdout` or `stderr`, and each piece of it as it comes.
        log_bytes: how much is kept of the start of stdout, and of stderr.
        tail_bytes: how much is kept of the end of stdout.
        deadline_seconds: how long it may take.

    Raises:
        OSError: it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    stdout = _Output(log_bytes, tail_bytes, log=partial(log, "stdout"))
    stderr = _Output(log_bytes, 1, log=partial(log, "stderr"))
    readers = [
        asyncio.create_task(output.read(stream))
        for output, stream in ((stdout, process.stdout), (stderr, process.stderr))
        if stream is not None
    ]
    timed_out = False
    try:
        async with asyncio.timeout(deadline_seconds):
            await process.wait()
    except TimeoutError:
        timed_out = True
    finally:
        await asyncio.shield(_end(process, readers))
    code = process.returncode or 0
    exit_code = 128 - code if code < 0 else code
    return Ended(exit_code, bytes(stdout.head), bytes(stderr.head), bytes(stdout.tail), timed_out)


async def _end(process: asyncio.subprocess.Process, readers: Sequence[asyncio.Task[None]]) -> None:
    """Leave nothing behind: neither the process, nor its children, nor readers."""
    if process.returncode is None:
        _kill_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_SECONDS):
                await process.wait()
    _kill_group(process.pid, signal.SIGKILL)
    await process.wait()
    # A child that left the group may still hold the pipes; do not wait for it.
    _, late = await asyncio.wait(readers, timeout=_GRACE_SECONDS)
    for reader in late:
        reader.cancel()


def _kill_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
