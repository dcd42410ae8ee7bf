"""Decides when a failed attempt is followed by another."""

from datetime import datetime
from typing import Final

from sluice_engine.controller.durations import parse_duration
from sluice_engine.controller.errors import TemplateError
from sluice_engine.controller.nodes import unsuccessful
from sluice_engine.controller.walk import Walk
from sluice_engine.documents import Object

__all__ = ["next_attempt"]

_RETRIED: Final = {
    "OnFailure": frozenset({"Failed"}),
    "OnError": frozenset({"Error"}),
    "Always": frozenset({"Failed", "Error"}),
}


def next_attempt(walk: Walk, node: Object, attempts: list[Object], strategy: Object) -> bool:
    """Return whether to start another attempt now.

    If not, the Retry node says what it waits for, or how it ended.

    Raises:
        TemplateError: the strategy makes no sense.
    """
    if not attempts:
        return True
    last = attempts[-1]
    if not unsuccessful(last):
        _end(walk, node, last, "")
        return False
    if (why := _gives_up(walk, attempts, strategy)) is not None:
        _end(walk, node, last, why)
        return False
    return not _backs_off(walk, node, attempts, strategy)


def _end(walk: Walk, node: Object, last: Object, message: str) -> None:
    if last.get("outputs"):
        node["outputs"] = last["outputs"]
    walk.tree.mark(node, last["phase"] if unsuccessful(last) else "Succeeded", message)


def _gives_up(walk: Walk, attempts: list[Object], strategy: Object) -> str | None:
    """Return why there is no further attempt, or None if there may be one."""
    last = attempts[-1]
    if walk.shutdown:
        return f"Stopped with strategy '{walk.shutdown}'"
    if walk.past_deadline:
        return f"retry exceeded workflow deadline {walk.deadline}"
    policy = strategy.get("retryPolicy") or "OnFailure"
    if policy not in _RETRIED:
        message = f"{policy} is not a retryPolicy that the local engine supports"
        raise TemplateError(message)
    if last["phase"] not in _RETRIED[policy]:
        return str(last.get("message") or "")
    limit = strategy.get("limit")
    if limit is not None and len(attempts) > _whole(limit, "limit"):
        return "No more retries left"
    return None


def _whole(value: object, field: str) -> int:
    try:
        return int(str(value))
    except ValueError as e:
        message = f"retryStrategy.{field}: {value!r} is not a whole number"
        raise TemplateError(message) from e


def _backs_off(walk: Walk, node: Object, attempts: list[Object], strategy: Object) -> bool:
    """Wait `duration * factor^n` after the last attempt, or give up if that is past the limit."""
    backoff = strategy.get("backoff")
    if not backoff:
        return False
    last = attempts[-1]
    if not backoff.get("duration"):
        message = "no base duration specified for retryStrategy"
        raise TemplateError(message)
    wait = parse_duration(backoff["duration"])
    factor = _whole(backoff.get("factor") or 0, "backoff.factor")
    if factor > 0:
        wait *= float(factor) ** (len(attempts) - 1)
    if backoff.get("cap"):
        wait = min(wait, parse_duration(backoff["cap"]))
    due = walk.after(last["finishedAt"], f"{wait:.9f}s")
    if limit := backoff.get("maxDuration"):
        end = walk.after(attempts[0]["startedAt"], limit)
        if walk.now > end or due > end:
            over = walk.now > end
            why = (
                "Max duration limit exceeded" if over else "Backoff would exceed max duration limit"
            )
            _end(walk, node, last, why)
            return True
    return _waits(walk, node, due, wait)


def _waits(walk: Walk, node: Object, due: datetime, wait: float) -> bool:
    waiting = walk.now < due
    if waiting:
        walk.wake(due)
    walk.tree.mark(node, node["phase"], f"Backoff for {wait:g} seconds" if waiting else "")
    return waiting
