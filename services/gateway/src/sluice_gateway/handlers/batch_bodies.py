"""Reads batches: CloudEvents in one JSON array, or a request for a run on each line."""

import re
from typing import Final

from sluice_contracts import json_bounds, strict_json
from sluice_contracts.problems import FieldError, ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.handlers.run_requests import (
    ReadRequest,
    Steps,
    open_event,
    read_body,
    run_in_data,
)

__all__ = ["MAX_ITEMS", "Item", "event_batch", "line_batch"]

MAX_ITEMS: Final = 500
"""The most items of a batch."""

_STEP_BYTES: Final = 64 * 1024
_NOT_BLANK: Final = re.compile(rb"\S")

Item = ReadRequest | ProblemError
"""A request for a run, or why the item is none."""


def event_batch(pieces: list[bytes]) -> Steps[list[Item]]:
    """Read a batch of CloudEvents, each with a request for a run, and empty `pieces`.

    Raises:
        ProblemError: TOO_LARGE, MALFORMED_JSON or INVALID_REQUEST; nothing of it can be used.
    """
    pieces[:] = [b"".join(pieces)]
    yield
    values = _values_in(pieces[0])
    events = yield from read_body(pieces)
    if not isinstance(events, list):
        raise _invalid("Must be an array of CloudEvents.")
    _check_number(len(events))
    items: list[Item] = []
    for event in events:
        yield
        try:
            data, envelope = open_event(event)
        except ProblemError as e:
            items.append(e)
            continue
        if isinstance(data, bytes):
            values += _values_in(data)
            _check_values(values)
        items.append((yield from _item(run_in_data(data, envelope))))
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
    lines = yield from _lines(body)
    del body
    _check_number(len(lines))
    items: list[Item] = []
    values = 0
    for line in lines:
        yield
        values += _values_in(line)
        _check_values(values)
        items.append((yield from _item(run_in_data(line, None))))
    return items


def _lines(body: bytes) -> Steps[list[bytes]]:
    """Return the lines that are not blank; of too many, one more than MAX_ITEMS.

    A step finds one of them, or skips so much white space.
    """
    lines: list[bytes] = []
    begin = 0
    while begin < len(body) and len(lines) <= MAX_ITEMS:
        yield
        written = _NOT_BLANK.search(body, begin, begin + _STEP_BYTES)
        if written is None:
            begin += _STEP_BYTES
            continue
        end = body.find(b"\n", written.start())
        end = len(body) if end < 0 else end
        lines.append(body[written.start() : end].rstrip())
        begin = end + 1
    return lines


def _item(read: Steps[ReadRequest]) -> Steps[Item]:
    """Return the request, or why it is none."""
    try:
        return (yield from read)
    except ProblemError as e:
        return e


def _values_in(document: bytes) -> int:
    return json_bounds.measure(
        document, most_values=strict_json.MAX_VALUES, most_depth=strict_json.MAX_DEPTH
    ).values


def _check_values(values: int) -> None:
    """Refuse more than one document may hold: a batch takes no more of the loop's time."""
    if values > strict_json.MAX_VALUES:
        raise ProblemError.of(
            ProblemType.TOO_LARGE,
            f"The batch holds more than {strict_json.MAX_VALUES} values and names in all. "
            "Send several batches.",
        )


def _check_number(items: int) -> None:
    if not items:
        raise _invalid("The batch is empty.")
    if items > MAX_ITEMS:
        raise ProblemError.of(
            ProblemType.TOO_LARGE,
            f"The batch has more than {MAX_ITEMS} items. Send several batches.",
        )


def _invalid(detail: str) -> ProblemError:
    return ProblemError.of(
        ProblemType.INVALID_REQUEST,
        "The body is not a batch.",
        errors=(FieldError(pointer="", detail=detail),),
    )
