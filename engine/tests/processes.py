"""Waiting for processes that are not ours to wait for."""

import asyncio
import os
import select


async def dead(pid: int) -> None:
    """Wait until a process has ended; fails if it lives on."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ended, _, _ = await asyncio.to_thread(select.select, [handle], [], [], 20)
        assert ended, f"process {pid} lives on"
    finally:
        os.close(handle)
