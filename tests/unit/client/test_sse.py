"""Server-sent events as the WHATWG describes them, in any portions.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sluice_client.sse import EventParser, ServerSentEvent


def event(data: str, *, kind: str = "message", last_id: str = "") -> ServerSentEvent:
    return ServerSentEvent(type=kind, data=data, last_id=last_id)


def parse(*portions: bytes) -> list[ServerSentEvent]:
    parser = EventParser()
    return [each for portion in portions for each in parser.feed(portion)]


# The first five are examples of the text.
VECTORS: dict[str, tuple[str, list[ServerSentEvent]]] = {
    "two data lines": (
        "data: YHOO\ndata: +2\ndata: 10\n\n",
        [event("YHOO\n+2\n10")],
    ),
    "ids and comments": (
        (
            ": test stream\n\ndata: first event\nid: 1\n\n"
            "data:second event\nid\n\ndata:  third event\n\n"
        ),
        [event("first event", last_id="1"), event("second event"), event(" third event")],
    ),
    "empty data": ("data\n\ndata\ndata\n\ndata:", [event(""), event("\n")]),
    "with and without a space": ("data:test\n\ndata: test\n\n", [event("test"), event("test")]),
    "types": (
        "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n",
        [event("73857293", kind="add"), event("2153", kind="remove")],
    ),
    "carriage returns": ("data: a\rdata: b\r\r", [event("a\nb")]),
    "both line ends": ("data: a\r\ndata: b\r\n\r\n", [event("a\nb")]),
    "mixed line ends": ("data: a\rdata: b\n\r\n", [event("a\nb")]),
    "a byte order mark": ("\ufeffdata: a\n\n", [event("a")]),
    "a second byte order mark": ("\ufeff\ufeffdata: a\n\n", []),
    "an id with NUL": ("id: 1\nid: 2\0\ndata: a\n\n", [event("a", last_id="1")]),
    "an id without data": ("id: 7\n\ndata: a\n\n", [event("a", last_id="7")]),
    "an id that stays": (
        "id: 7\ndata: a\n\ndata: b\n\n",
        [event("a", last_id="7"), event("b", last_id="7")],
    ),
    "a type without data": ("event: a\n\ndata: b\n\n", [event("b")]),
    "unknown fields": ("datum: a\nDATA: b\n data: c\ndata: d\n\n", [event("d")]),
    "an event that is not complete": ("data: a\n", []),
    "other white space": ("data: a\u2028b\x0bc\x85d\n\n", [event("a\u2028b\x0bc\x85d")]),
    "colons": ("data:a:b: c\n\n", [event("a:b: c")]),
}


@pytest.mark.parametrize(("text", "expected"), VECTORS.values(), ids=VECTORS)
def test_vectors(text: str, expected: list[ServerSentEvent]) -> None:
    assert parse(text.encode()) == expected


@pytest.mark.parametrize(("text", "expected"), VECTORS.values(), ids=VECTORS)
def test_vectors_byte_by_byte(text: str, expected: list[ServerSentEvent]) -> None:
    assert parse(*(bytes([byte]) for byte in text.encode())) == expected


_PIECES = st.sampled_from(
    ["data: a", "data", "id: 1", "id: 2\0", "event: x", ":", "retry: 5", "\n", "\r", "\r\n", "ü€😀"]
)


@given(pieces=st.lists(_PIECES, max_size=40), cuts=st.lists(st.integers(0, 200)))
@example(pieces=["data: a", "\r", "\n", "\r", "\n"], cuts=[8, 9, 10])
def test_any_portions_give_the_same_events(pieces: list[str], cuts: list[int]) -> None:
    text = "".join(pieces).encode()
    places = sorted({0, len(text), *(cut for cut in cuts if cut <= len(text))})
    portions = [text[begin:end] for begin, end in pairwise(places)]
    assert parse(*portions) == parse(text)


def test_malformed_utf_8_is_replaced() -> None:
    assert parse(b"data: a\xffb\xe2\x82\n\n") == [event("a\ufffdb\ufffd")]


def test_the_time_to_wait_and_the_place_are_known() -> None:
    parser = EventParser()
    assert list(parser.feed(b"retry: 2000\nretry: 3s\n\n: keepalive\nid: 0:17\n\n")) == []
    assert (parser.retry_ms, parser.last_id) == (2000, "0:17")
