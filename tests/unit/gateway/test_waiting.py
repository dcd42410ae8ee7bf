"""Waiting for an outcome: Prefer on POST /v1/runs, and GET /v1/runs/{id}/outcome."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase
from sluice_gateway.services.response_budget import ResponseLimits
from tests.unit.gateway.harness import GREET, Gateway, published, running_gateway

OUTCOME = "/v1/runs/order-1/outcome"
ASKED = {"id": "order-1", **GREET}


async def finish(gateway: Gateway, sequence: int = 9, *, run_id: str = "order-1") -> None:
    """Publish the outcome of order-1, under the content that the tests ask for."""
    content = gateway.requests()[0].request.fingerprint
    await gateway.publish(published(sequence, Phase.SUCCEEDED, run_id=run_id, fingerprint=content))


async def followed(gateway: Gateway, runs: int = 1) -> None:
    """Wait until so many runs are followed."""
    while gateway.subscriptions.followed < runs:  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0)


async def waiting(gateway: Gateway, prefer: str = "wait=50") -> asyncio.Task[ClientResponse]:
    """POST with a wait, and return once it waits."""
    posting = asyncio.create_task(gateway.post(ASKED, Prefer=prefer))
    await followed(gateway)
    return posting


class TestPrefer:
    async def test_an_outcome_in_time_is_200(self, gateway: Gateway) -> None:
        posting = await waiting(gateway)
        await finish(gateway)
        response = await posting

        assert response.status == 200
        assert response.headers["Preference-Applied"] == "wait=50"
        assert response.headers["Location"] == "/v1/runs/order-1"
        assert "Retry-After" not in response.headers
        assert (await response.json())["phase"] == "Succeeded"

    async def test_a_wait_holds_no_place_among_requests_in_flight(self, gateway: Gateway) -> None:
        posting = await waiting(gateway)

        assert (gateway.admission.in_flight, gateway.admission.bytes_held) == (0, 0)
        await finish(gateway)
        await posting

    async def test_other_events_do_not_end_the_wait(self, gateway: Gateway) -> None:
        posting = await waiting(gateway)
        await gateway.publish(published(3), published(5, Phase.SUSPENDED))
        await finish(gateway, 7)

        assert (await (await posting).json())["sequence"] == 7

    @pytest.mark.parametrize("prefer", ["wait=0", "respond-async, wait=0", 'WAIT="0"; x=y'])
    async def test_no_outcome_in_time_is_202_with_the_state(
        self, gateway: Gateway, prefer: str
    ) -> None:
        response = await gateway.post(ASKED, Prefer=prefer)

        assert response.status == 202
        assert response.headers["Preference-Applied"] == "wait=0"
        assert response.headers["Location"] == "/v1/runs/order-1"
        assert (await response.json())["phase"] == "Accepted"

    @pytest.mark.parametrize("prefer", ["return=minimal", "wait", "wait=soon", "wait=-1", ""])
    async def test_another_preference_is_ignored(self, gateway: Gateway, prefer: str) -> None:
        response = await gateway.post(ASKED, Prefer=prefer)

        assert response.status == 202
        assert "Preference-Applied" not in response.headers

    async def test_a_longer_wait_than_the_longest_is_shortened(self, gateway: Gateway) -> None:
        posting = await waiting(gateway, "wait=3600")
        await finish(gateway)

        assert (await posting).headers["Preference-Applied"] == "wait=55"

    async def test_a_repetition_waits_for_the_same_outcome(self, gateway: Gateway) -> None:
        await gateway.post(ASKED)
        posting = await waiting(gateway)
        await finish(gateway)
        response = await posting

        assert response.status == 200
        assert response.headers["Idempotency-Replayed"] == "true"
        assert (await response.json())["phase"] == "Succeeded"

    async def test_a_repetition_without_an_outcome_is_202(self, gateway: Gateway) -> None:
        await gateway.post(ASKED)
        response = await gateway.post(ASKED, Prefer="wait=0")

        assert response.status == 202
        assert response.headers["Idempotency-Replayed"] == "true"

    async def test_what_is_not_accepted_is_not_waited_for(self, gateway: Gateway) -> None:
        assert (await gateway.post({"workflow": "no"}, Prefer="wait=50")).status == 422


class TestOutcome:
    @pytest.fixture(autouse=True)
    async def run(self, gateway: Gateway) -> None:
        await gateway.post(ASKED)

    async def test_an_outcome_is_there_at_once(self, gateway: Gateway) -> None:
        await finish(gateway)
        response = await gateway.client.get(OUTCOME)

        assert response.status == 200
        assert "Retry-After" not in response.headers
        state = await (await gateway.client.get("/v1/runs/order-1")).json()
        assert await response.json() == state

    async def test_without_a_wait_it_is_202_at_once(self, gateway: Gateway) -> None:
        response = await gateway.client.get(OUTCOME)

        assert response.status == 202
        assert response.headers["Retry-After"] == "1"
        assert (await response.json())["terminal"] is False

    async def test_a_wait_ends_with_the_outcome(self, gateway: Gateway) -> None:
        getting = [asyncio.create_task(gateway.client.get(f"{OUTCOME}?wait=55")) for _ in range(3)]
        while gateway.outgoing.held < 3 * 64 * 1024:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
        assert gateway.admission.in_flight == 0
        await finish(gateway)

        assert {(await each).status for each in getting} == {200}
        assert gateway.subscriptions.followed == 0

    async def test_a_stop_of_the_process_ends_a_wait_as_202(self, gateway: Gateway) -> None:
        getting = asyncio.create_task(gateway.client.get(f"{OUTCOME}?wait=55"))
        await followed(gateway)
        gateway.subscriptions.close()

        assert (await getting).status == 202

    async def test_a_retried_run_has_no_outcome(self, gateway: Gateway) -> None:
        await gateway.publish(published(5, Phase.FAILED), published(6, Phase.RUNNING, attempt=2))

        assert (await gateway.client.get(OUTCOME)).status == 202

    async def test_an_unknown_run_is_404(self, gateway: Gateway) -> None:
        response = await gateway.client.get("/v1/runs/order-2/outcome?wait=55")

        assert response.status == 404

    @pytest.mark.parametrize("wait", ["-1", "56", "soon", "1.5", ""])
    async def test_a_wait_is_a_number_of_seconds(self, gateway: Gateway, wait: str) -> None:
        response = await gateway.client.get(OUTCOME, params={"wait": wait})

        assert response.status == 422

    async def test_the_state_changes_its_etag(self, gateway: Gateway) -> None:
        before = (await gateway.client.get(OUTCOME)).headers["ETag"]
        await finish(gateway)

        assert (await gateway.client.get(OUTCOME)).headers["ETag"] != before


async def test_one_wait_too_many_is_answered_at_once(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, outgoing=ResponseLimits(max_streams=1)) as gateway:
        await gateway.post(ASKED)
        first = asyncio.create_task(gateway.client.get(f"{OUTCOME}?wait=55"))
        await followed(gateway)

        assert (await gateway.client.get(f"{OUTCOME}?wait=55")).status == 202
        assert (await gateway.post(ASKED, Prefer="wait=50")).status == 202
        await finish(gateway)
        assert (await first).status == 200


@pytest.mark.parametrize("replayed", [False, True])
async def test_a_run_that_cannot_be_read_is_accepted_all_the_same(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, replayed: bool
) -> None:
    if replayed:
        await gateway.post(ASKED)

    async def nothing(*_: Any, **__: Any) -> None:
        return None

    monkeypatch.setattr(gateway.view, "events", nothing)
    gateway.behind.append("the topics could not be read to their end")

    response = await gateway.post(ASKED, Prefer="wait=50")

    assert response.status == 202
    assert (await response.json())["phase"] == "Accepted"
    assert RunKey("default", "order-1") in {each.key for each in gateway.requests()}
