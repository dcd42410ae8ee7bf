"""Large bodies are read without keeping the event loop for themselves."""

import asyncio
import json
from typing import Any

import pytest

from sluice_contracts import strict_json
from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.handlers.run_requests import read_run_request
from sluice_gateway.services.loop_share import LoopShare
from tests.unit.gateway.harness import GREET, Gateway

LARGE = json.dumps({**GREET, "parameters": {"name": "x" * 10_000}}).encode()


def loop_share() -> LoopShare:
    return LoopShare(share=0.25)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Give what is written as canonical JSON from now on."""
    documents: list[Any] = []
    canonical = strict_json.canonical

    def noting(document: Any) -> bytes:
        documents.append(document)
        return canonical(document)

    monkeypatch.setattr(strict_json, "canonical", noting)
    return documents


async def test_the_event_loop_goes_round_between_all_steps_of_large_bodies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounds, seen, bounded, parse = 0, [], strict_json.bounded, strict_json.BoundedJson.parse

    def noting_bounded(body: bytes) -> strict_json.BoundedJson:
        seen.append(rounds)
        return bounded(body)

    def noting_parse(self: strict_json.BoundedJson) -> Any:
        seen.append(rounds)
        return parse(self)

    async def count() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(strict_json, "bounded", noting_bounded)
    monkeypatch.setattr(strict_json.BoundedJson, "parse", noting_parse)
    counting, share = asyncio.create_task(count()), loop_share()
    await asyncio.gather(
        *(read_run_request([LARGE], peer="a", loop_share=share) for _ in range(20))
    )
    counting.cancel()
    assert len(seen) == len(set(seen)) == 40


async def test_a_small_body_overtakes_large_ones() -> None:
    done: list[str] = []
    share = loop_share()

    async def read(name: str, body: bytes) -> None:
        await read_run_request([body], peer="a", loop_share=share)
        done.append(name)

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(read(f"large {number}", LARGE))
        group.create_task(read("small", json.dumps(GREET).encode()))
    assert done == ["small", "large 0", "large 1", "large 2"]


async def test_a_large_body_that_is_refused_lets_the_next_one_in() -> None:
    share = loop_share()
    refused = (
        b"[" + b"1," * 30_000 + b"1]",
        b"[" + b" " * 10_000,
        b"[" + b" " * 10_000 + b"]",
        json.dumps({"type": "stop", "id": "a", "more": "x" * 10_000}).encode(),
    )
    for body in refused:
        with pytest.raises(ProblemError):
            await read_run_request([body], peer="a", loop_share=share)
    await read_run_request([LARGE], peer="a", loop_share=share)


async def test_a_document_of_too_many_values_is_too_large(gateway: Gateway) -> None:
    response = await gateway.post({**GREET, "more": [[]] * 50_000})
    assert response.status == 413
    assert (await response.json())["type"] == ProblemType.TOO_LARGE
    assert not gateway.requests()


async def test_parameters_are_written_once(gateway: Gateway, written: list[Any]) -> None:
    """For the fingerprint and the record, of a run that is new and of one that is there."""
    parameters = {"name": "x" * 100_000}
    for status in (202, 200):
        response = await gateway.post({"id": "order-1", **GREET, "parameters": parameters})
        assert response.status == status
        assert written.count(parameters) == 1
        assert sum(len(str(each)) for each in written) < 101_000
        written.clear()
    [received] = gateway.requests()
    assert received.request.parameters == parameters
