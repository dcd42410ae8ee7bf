"""Streams as NDJSON."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from sluice_contracts.status import Phase
from sluice_gateway.handlers.app_keys import Limits
from sluice_gateway.services.frame_format import FrameFormat
from tests.unit.gateway.harness import GREET, Gateway, published, running_gateway

LINES = {"Accept": "application/x-ndjson"}


async def line(response: ClientResponse) -> dict[str, Any] | None:
    """Read a line; None at the end."""
    text = await response.content.readline()
    found: dict[str, Any] | None = json.loads(text) if text else None
    return found


async def test_the_events_of_a_run_are_lines(gateway: Gateway) -> None:
    await gateway.publish(published(3, Phase.SUBMITTED), published(9, Phase.SUCCEEDED))
    async with gateway.client.get("/v1/runs/order-1/events", headers=LINES) as response:
        assert response.content_type == "application/x-ndjson"
        assert response.headers["Vary"] == "Accept, Authorization, Cookie"
        first, second, end = [await line(response) for _ in range(3)]

    assert first is not None
    assert second is not None
    assert end is None
    assert [each["id"] for each in (first, second)] == ["1:0", "1:1"]
    assert [each["event"] for each in (first, second)] == [
        "sluice.run.submitted",
        "sluice.run.succeeded",
    ]
    assert second["data"]["phase"] == "Succeeded"


async def test_lines_resume_as_events_do(gateway: Gateway) -> None:
    await gateway.publish(published(3, Phase.SUBMITTED), published(9, Phase.SUCCEEDED))
    headers = LINES | {"Last-Event-ID": "1:0"}
    async with gateway.client.get("/v1/runs/order-1/events", headers=headers) as response:
        resumed = await line(response)

    assert resumed is not None
    assert resumed["id"] == "1:1"


async def test_silence_is_a_line_as_well(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, limits=Limits(keepalive=0.01)) as gateway:
        await gateway.post({"id": "order-1", **GREET})
        async with gateway.client.get("/v1/runs/order-1/events", headers=LINES) as response:
            first, second = await line(response), await line(response)

        assert first is not None
        assert (first["id"], first["event"]) == (None, "sluice.request.queued")
        assert first["data"]["queue"]["position"] == 1
        assert second == {"id": None, "event": "keepalive", "data": None}


async def test_both_formats_of_one_event_are_kept_apart(gateway: Gateway) -> None:
    await gateway.publish(published(9, Phase.SUCCEEDED))
    path = "/v1/runs/order-1/events"
    async with gateway.client.get(path, headers=LINES) as response:
        assert await line(response)
    async with gateway.client.get(path) as response:
        assert (await response.read()).startswith(b"retry: 2000\n\nid: 1:0\n")


@pytest.mark.parametrize("form", FrameFormat)
def test_a_frame_is_what_the_format_asks_for(form: FrameFormat) -> None:
    frame = form.frame(place="0:1,2:3", kind="sluice.run.running", data='{"a":"é"}').decode()

    assert (
        frame
        == {
            FrameFormat.SSE: 'id: 0:1,2:3\nevent: sluice.run.running\ndata: {"a":"é"}\n\n',
            FrameFormat.LINES: '{"id":"0:1,2:3","event":"sluice.run.running","data":{"a":"é"}}\n',
        }[form]
    )
    assert form.gap().endswith(b"\n")
    assert b"0:1" in form.keepalive("0:1")
