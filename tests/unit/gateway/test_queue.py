"""Where a run stands that is accepted but is not yet a Workflow."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from sluice_contracts.ids import RunKey
from sluice_contracts.notices import QueueNotice
from sluice_contracts.records import Position
from sluice_contracts.status import Phase, event_id
from sluice_contracts.status_codec import encode_notice
from sluice_gateway.handlers.app_keys import Limits
from tests.support.projections import apply
from tests.unit.gateway.harness import (
    GREET,
    NOW,
    TOPICS,
    Gateway,
    published,
    read_back,
    running_gateway,
)
from tests.unit.gateway.test_events import Frame, frame, stream

HELD = {"held_by": "forbidden", "detail": "The cluster refuses the dispatcher's account."}


async def start(gateway: Gateway, *run_ids: str) -> None:
    for run_id in run_ids:
        await gateway.post({"id": run_id, **GREET})
    await gateway.project_requests()


async def hold(gateway: Gateway, run_id: str = "order-1", *, offset: int = 100) -> None:
    """Say that the dispatcher cannot start the run."""
    notice = QueueNotice(
        event_id=event_id(run_id, str(offset)),
        run_id=run_id,
        tenant="default",
        request="sluice.requests/0@0",
        since=NOW,
        observed_at=NOW,
        **HELD,
    )
    record = encode_notice(notice, source="/test", traceparent=None)
    await apply(gateway.store, [read_back(record, Position(TOPICS.status, 1, offset))])


async def queue(gateway: Gateway, run_id: str = "order-1") -> Any:
    """GET the run's queue."""
    return (await (await gateway.client.get(f"/v1/runs/{run_id}")).json())["queue"]


async def test_places_are_in_the_order_of_acceptance(gateway: Gateway) -> None:
    await start(gateway, "a", "b", "c")

    assert [(await queue(gateway, each))["position"] for each in "abc"] == [1, 2, 3]
    await gateway.publish(published(3, Phase.SUBMITTED, run_id="a"))
    assert await queue(gateway, "a") is None
    assert [(await queue(gateway, each))["position"] for each in "bc"] == [1, 2]


async def test_what_holds_a_run_up_is_shown(gateway: Gateway) -> None:
    await start(gateway, "order-1")
    assert (await queue(gateway))["held_by"] is None
    await hold(gateway)

    shown = await queue(gateway)

    assert {name: shown[name] for name in HELD} == HELD
    assert shown["since"] == "2026-09-01T12:00:00Z"


async def received(response: Any) -> tuple[str, Any]:
    """Read the next event and its data; it has no id."""
    found = await frame(response)
    assert isinstance(found, Frame)
    return found.event, json.loads(found.data)


async def test_a_stream_shows_the_place_and_what_has_changed(gateway: Gateway) -> None:
    await start(gateway, "order-0", "order-1")
    async with stream(gateway) as response:
        assert await frame(response) == "retry: 2000"
        kind, state = await received(response)
        assert (kind, state["phase"], state["sequence"]) == (
            "sluice.request.queued",
            "Accepted",
            -1,
        )
        assert (state["queue"]["position"], state["queue"]["held_by"]) == (2, None)
        assert "parameters" not in state

        await hold(gateway)
        kind, state = await received(response)
        assert (kind, state["queue"]["held_by"]) == ("sluice.request.queued", "forbidden")

        await gateway.publish(published(3, Phase.SUBMITTED))
        found = await frame(response)
        assert isinstance(found, Frame)
        assert (found.id, found.event) == ("1:0", "sluice.run.submitted")


async def test_a_place_that_changes_in_silence_is_seen_at_the_next_keepalive(
    tmp_path: Path,
) -> None:
    async with running_gateway(tmp_path, limits=Limits(keepalive=0.01)) as gateway:
        await start(gateway, "order-0", "order-1")
        async with stream(gateway) as response:
            assert await frame(response) == "retry: 2000"
            await received(response)
            assert await frame(response) == ": keepalive"
            await gateway.publish(published(3, Phase.SUBMITTED, run_id="order-0"))
            while (found := await frame(response)) == ": keepalive":
                pass
            assert isinstance(found, Frame)
            assert json.loads(found.data)["queue"]["position"] == 1


@pytest.mark.parametrize("after", [None, "1:0"])
async def test_a_run_that_has_started_is_not_looked_up_again(
    gateway: Gateway, after: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await gateway.publish(published(3, Phase.SUBMITTED), published(5))
    looks: list[RunKey] = []
    monkeypatch.setattr(gateway.view, "find", looks.append)
    async with stream(gateway, after=after) as response:
        assert await frame(response) == "retry: 2000"
        assert isinstance(await frame(response), Frame)
        await gateway.publish(published(9, Phase.SUCCEEDED))
        while await asyncio.wait_for(frame(response), 10):
            pass
    assert looks == []
