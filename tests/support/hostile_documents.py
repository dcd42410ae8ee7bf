"""The worst documents for a request: of the maximum size, and expensive to parse."""

import itertools
from collections.abc import Callable

from sluice_contracts.topics import MAX_REQUEST_BYTES

_HEAD = b'{"id":"%s","workflow":"hello","parameters":{"name":'
_TAIL = b"}}"
# The lists are four levels down, of the 32 that are allowed.
_NESTED = b"[" * 28 + b"]" * 28


def nested(run_id: str) -> bytes:
    """Return 1.6 MB of nested lists: 800,000 values."""
    return _list_of(run_id, lambda _: _NESTED)


def flat(run_id: str) -> bytes:
    """Return 1.6 MB of one list of numbers: 800,000 values."""
    return _list_of(run_id, lambda _: b"0")


def objects(run_id: str) -> bytes:
    """Return 1.6 MB of empty objects in a list."""
    return _list_of(run_id, lambda _: b"{}")


def names(run_id: str) -> bytes:
    """Return 1.6 MB of one object whose names are all different."""
    return _filled(run_id, b"{", lambda number: b'"%x":0' % number, b"}")


def text(run_id: str) -> bytes:
    """Return a valid request: 256 KiB of text in which every byte is escaped."""
    parameters = b'{"workers":1,"text":"' + b"\\u0001" * (256 * 1024) + b'"}'
    return b'{"id":"%s","workflow":"map-reduce","parameters":%s}' % (run_id.encode(), parameters)


KINDS: dict[str, Callable[[str], bytes]] = {
    each.__name__: each for each in (nested, flat, objects, names, text)
}
"""Functions that return a document, by kind; each takes the id of the run."""


def _list_of(run_id: str, item: Callable[[int], bytes]) -> bytes:
    return _filled(run_id, b"[", item, b"]")


def _filled(run_id: str, opened: bytes, item: Callable[[int], bytes], closed: bytes) -> bytes:
    head = _HEAD % run_id.encode() + opened
    parts: list[bytes] = []
    room = MAX_REQUEST_BYTES - len(head) - len(closed + _TAIL)
    for number in itertools.count():
        part = item(number)
        room -= len(part) + 1
        if room < 0:
            break
        parts.append(part)
    return head + b",".join(parts) + closed + _TAIL
