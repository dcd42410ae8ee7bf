"""Captures log events as passed to structlog."""

import contextlib
from collections.abc import Iterator, MutableMapping
from typing import Any

import structlog


@contextlib.contextmanager
def captured(logger: Any) -> Iterator[list[dict[str, Any]]]:
    """Collect the events of a module's logger, for any configuration of logs."""
    events: list[dict[str, Any]] = []

    def collect(_: Any, level: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
        events.append({**event, "level": level})
        raise structlog.DropEvent

    bound = structlog.wrap_logger(None, processors=[collect], cache_logger_on_first_use=False)
    with _replaced(logger, bound):
        yield events


@contextlib.contextmanager
def _replaced(module: Any, bound: Any) -> Iterator[None]:
    original = module._log
    module._log = bound
    try:
        yield
    finally:
        module._log = original
