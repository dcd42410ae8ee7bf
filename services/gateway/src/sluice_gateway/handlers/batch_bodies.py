"""Reads batches: CloudEvents in one JSON array, or a request for a run on each line."""

from collections.abc import Iterator
from typing import Final

from pydantic import JsonValue

from sluice_contracts import json_bounds, strict_json
from sluice_contracts.problems import FieldError, ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.handlers.run_requests import (
    ReadRequest,
    Steps,
    read_body,
    run_in,
    run_in_event,
)

__all__ = ["MAX_ITEMS", "Item", "event_batch", "line_batch"]

MAX_ITEMS: Final = 500
"""The most items of a batch."""

Item = ReadRequest | ProblemError
"""A request for a run, or why the item is none."""


def event_batch(pieces: list[bytes]) -> Steps[list[Item]]:
    """Read a batch of CloudEvents, each with a request for a run, and empty `pieces`.

    Raises:
        ProblemError: TOO_LARGE, MALFORMED_JSON or INVALID_REQUEST; nothing of it can be used.
    """
    events = yield from read_body(pieces)
    if not isinstance(events, list):
        raise _invalid("Must be an array of CloudEvents.")
    _check_number(len(events))
    items: list[Item] = []
    for event in events:
        yield
        try:
            items.append((yield from run_in_event(event)))
        except ProblemError as e:
            items.append(e)
    return items


def line_batch(pieces: list[bytes]) -> Steps[list[Item]]:
    """Read a request for a run from each line that is not blank, and empty `pieces`.

    Raises:
        ProblemError: TOO_LARGE or INVALID_REQUEST; nothing of it can be used.
    """
    body = b"".join(pieces)
    pieces.clear()
    yield
    # Counted before anything is made of them: a body may be a million line ends.
    _check_number(sum(1 for _ in _lines(body)))
    items: list[Item] = []
    values = 0
    for line in _lines(body):
        yield
        # The whole batch may hold no more than one document.
        values += json_bounds.measure(
            line, most_values=strict_json.MAX_VALUES, most_depth=strict_json.MAX_DEPTH
        ).values
        if values > strict_json.MAX_VALUES:
            raise ProblemError.of(
                ProblemType.TOO_LARGE,
                f"The lines hold more than {strict_json.MAX_VALUES} values and names together.",
            )
        try:
            document: JsonValue = yield from read_body([line])
            items.append((yield from run_in(document, None)))
        except ProblemError as e:
            items.append(e)
    return items


def _lines(body: bytes) -> Iterator[bytes]:
    """Yield the lines that are not blank, without a list of all."""
    begin = 0
    while begin < len(body):
        end = body.find(b"\n", begin)
        end = len(body) if end < 0 else end
        if line := body[begin:end].strip():
            yield line
        begin = end + 1


def _check_number(items: int) -> None:
    if not items:
        raise _invalid("The batch is empty.")
    if items > MAX_ITEMS:
        raise ProblemError.of(
            ProblemType.TOO_LARGE,
            f"The batch has {items} items; {MAX_ITEMS} are allowed. Send several batches.",
        )


def _invalid(detail: str) -> ProblemError:
    return ProblemError.of(
        ProblemType.INVALID_REQUEST,
        "The body is not a batch.",
        errors=(FieldError(pointer="", detail=detail),),
    )
