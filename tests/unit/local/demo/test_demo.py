"""The demo's own count, its parser of events, and its comparison."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from sluice_local.demo.client import follow, status_events
from sluice_local.demo.command import is_same_count, parse_outputs
from sluice_local.demo.screen import parse_progress
from sluice_local.demo.words import count_words

BOOK = Path(__file__).parents[4] / "examples/texts/alice-in-wonderland.txt"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", {}),
        ("a b A", {"a": 2, "b": 1}),
        ("don't", {"don": 1, "t": 1}),
        ("{{workflow.name}}", {"workflow": 1, "name": 1}),
        ("Straße STRASSE", {"strasse": 2}),
        ("x_y 3½ 😀 東京", {"x": 1, "y": 1, "3½": 1, "東京": 1}),
    ],
)
def test_words_are_runs_of_alphanumerics_casefolded(text: str, words: dict[str, int]) -> None:
    assert count_words(text) == words


@given(st.text())
def test_counting_agrees_with_a_plain_loop(text: str) -> None:
    counts: Counter[str] = Counter()
    word = ""
    for character in text + " ":
        if character.isalnum():
            word += character
        elif word:
            counts[word.casefold()] += 1
            word = ""
    assert count_words(text) == counts


def test_the_book_matches_its_readme() -> None:
    book = BOOK.read_bytes()
    assert f"{len(book):,} bytes" in BOOK.with_name("README.md").read_text("utf-8")
    assert 100_000 <= len(book) <= 250_000
    assert count_words(book.decode("utf-8"))["alice"] == 398


async def lines(*texts: bytes) -> AsyncIterator[bytes]:
    for text in texts:
        yield text


async def test_other_fields_of_an_event_stream_are_ignored() -> None:
    stream = lines(
        b": keep-alive\n",
        b"\n",
        b"retry: 1000\n",
        b"id: 0:7\n",
        b'data: {"phase":\n',
        b'data:"Running"}\r\n',
        b"\n",
        b"event: status\n",
        b"id: 0:8\n",
        b'data: {"phase": "Failed"}\n',
        b"\n",
        b'data: {"cut": "off"}\n',
    )
    assert [(name, event["phase"]) async for name, event in status_events(stream)] == [
        ("0:7", "Running"),
        ("0:8", "Failed"),
    ]


def test_outputs_are_json_text() -> None:
    outputs = {"counts": json.dumps({"a": 2, "b": 1}), "total": "3"}
    assert parse_outputs(outputs) == (Counter(a=2, b=1), 3)


@pytest.mark.parametrize(
    ("counted", "total", "same"),
    [
        ({"a": 2, "b": 1}, 3, True),
        ({"a": 2, "b": 1}, 4, False),
        ({"a": 2, "b": 2}, 3, False),
        ({"a": 2}, 3, False),
        ({}, 3, False),
    ],
)
def test_any_difference_is_detected(counted: dict[str, int], total: int, *, same: bool) -> None:
    assert is_same_count(Counter(counted), total=total, own=Counter(a=2, b=1)) is same


def test_argos_progress() -> None:
    assert parse_progress("3/10") == (3, 10)


@pytest.mark.integration
async def test_a_broken_stream_resumes_after_the_last_event() -> None:
    asked_from: list[str | None] = []

    async def events(request: web.Request) -> web.Response:
        asked_from.append(request.headers.get("Last-Event-ID"))
        terminal = len(asked_from) > 1
        event = json.dumps({"phase": f"phase {len(asked_from)}", "terminal": terminal})
        return web.Response(text=f"id: 0:{len(asked_from)}\ndata: {event}\n\n")

    app = web.Application()
    app.router.add_get("/run/events", events)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        followed = [event["phase"] async for event in follow(http, str(server.make_url("/run")))]

    assert followed == ["phase 1", "phase 2"]
    assert asked_from == [None, "0:1"]
