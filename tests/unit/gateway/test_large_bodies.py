"""Bodies of many requests are parsed without keeping the event loop for themselves."""

import asyncio
import json
from typing import Any

import pytest

from sluice_contracts import strict_json
from sluice_contracts.problems import ProblemType
from sluice_gateway.handlers.documents import parse_body
from sluice_gateway.services.errors import ProblemError

from .harness import GREET, Gateway


async def test_the_event_loop_goes_round_between_two_large_bodies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounds, seen, parse = 0, [], strict_json.parse

    def noting(body: bytes) -> Any:
        seen.append(rounds)
        return parse(body)

    async def count() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(strict_json, "parse", noting)
    counting = asyncio.create_task(count())
    one_at_a_time, body = asyncio.Lock(), json.dumps({"text": "x" * 10_000}).encode()
    await asyncio.gather(*(parse_body(body, one_at_a_time=one_at_a_time) for _ in range(20)))
    counting.cancel()
    assert len(seen) == len(set(seen)) == 20


async def test_a_large_body_that_is_refused_lets_the_next_one_in() -> None:
    one_at_a_time = asyncio.Lock()
    for body in (b"[" + b"1," * 30_000 + b"1]", b"[" + b" " * 10_000):
        with pytest.raises(ProblemError):
            await parse_body(body, one_at_a_time=one_at_a_time)
    assert not one_at_a_time.locked()


async def test_a_document_of_too_many_values_is_too_large(gateway: Gateway) -> None:
    response = await gateway.post({**GREET, "more": [[]] * 50_000})
    assert response.status == 413
    assert (await response.json())["type"] == ProblemType.TOO_LARGE
    assert not gateway.requests()
