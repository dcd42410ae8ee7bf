"""Supervision of a process: a few named tasks without end; the first that ends stops the others.

As in kopf, no task dies silently, and a task that does not stop is named in the log.
"""

import asyncio
import signal
from collections.abc import Coroutine, Mapping
from datetime import timedelta
from typing import Any

import structlog

__all__ = ["TaskEndedError", "run_tasks", "stop_on_signals"]

_log = structlog.get_logger(__name__)

_AT_ONCE_S = 0.1


class TaskEndedError(RuntimeError):
    """A task that should run until cancelled ended by itself."""


async def run_tasks(
    tasks: Mapping[str, Coroutine[Any, Any, None]],
    *,
    stop: asyncio.Event,
    grace: timedelta,
) -> None:
    """Run the tasks concurrently until `stop` is set or one of them ends.

    Then each is cancelled and awaited, one after another, in the given order: tasks that do work
    come before those that they depend on. Tasks that still run after `grace` are named in the log
    and abandoned.

    Raises:
        TaskEndedError: a task ended before `stop` was set; its error, if any, is the cause.
    """
    running = [asyncio.create_task(body, name=name) for name, body in tasks.items()]
    stopping = asyncio.create_task(stop.wait(), name="stop")
    ended: set[asyncio.Task[None]] = set()
    try:
        await asyncio.wait({*running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        # After `stop` was set, a task may end by itself.
        if not stop.is_set():
            ended = {task for task in running if task.done()}
    finally:
        stopping.cancel()
        await _cancel([task for task in running if task not in ended], grace=grace)
    for task in ended:
        # A task that was cancelled from within has no error, but has ended.
        error = None if task.cancelled() else task.exception()
        _log.error("task ended by itself", task=task.get_name(), exc_info=error)
        raise TaskEndedError(f"{task.get_name()} ended by itself") from error


async def _cancel(tasks: list[asyncio.Task[None]], *, grace: timedelta) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + grace.total_seconds()
    for task in tasks:
        task.cancel()
        # Tasks after one that is stuck can still end, if that is quick.
        await asyncio.wait({task}, timeout=max(_AT_ONCE_S, deadline - loop.time()))
        if not task.done():
            _log.error("task does not stop", task=task.get_name(), stack=_where(task))
        elif not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("task failed while stopping", task=task.get_name(), exc_info=error)


def _where(task: asyncio.Task[None]) -> str:
    frames = task.get_stack(limit=1)
    return f"{frames[0].f_code.co_filename}:{frames[0].f_lineno}" if frames else "unknown"


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set `stop` on SIGTERM and SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
