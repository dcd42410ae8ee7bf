"""An HTTP client of Sluice that starts runs and follows them."""

import io
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import aiohttp

Json = dict[str, Any]

OUTCOME_SECONDS = 180.0
"""Time limit for an outcome, or for the next event before it, on a busy machine."""


class Client:
    """A client of one Sluice; `http` has its base URL."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.http = http

    async def post(self, document: Mapping[str, Any], **headers: str) -> tuple[int, Json]:
        """Post a request for a run; return status and body."""
        body = io.BytesIO(json.dumps(document).encode())
        headers = {"Content-Type": "application/json", **headers}
        async with self.http.post("/v1/runs", data=body, headers=headers) as response:
            return response.status, await response.json()

    async def accepted(self, document: Mapping[str, Any]) -> str:
        """Start a run that must be accepted; return its id."""
        status, body = await self.post(document)
        assert status in (HTTPStatus.OK, HTTPStatus.ACCEPTED), body
        run_id: str = body["id"]
        return run_id

    async def events(self, run_id: str, *, tenant: str = "default") -> list[Json]:
        """Follow a run to its end; return its events, without its places in the queue."""
        url = f"/v1/runs/{run_id}/events?tenant={tenant}"
        timeout = aiohttp.ClientTimeout(total=OUTCOME_SECONDS)
        found: list[Json] = []
        async with self.http.get(url, timeout=timeout) as response:
            assert response.status == HTTPStatus.OK, await response.text()
            buffered = b""
            async for chunk in response.content.iter_any():
                *lines, buffered = (buffered + chunk).split(b"\n")
                found += [json.loads(line[6:]) for line in lines if line.startswith(b"data: ")]
        return [event for event in found if event["event_id"] is not None]

    async def outcome(self, document: Mapping[str, Any]) -> Json:
        """Start a run and return its outcome."""
        return (await self.events(await self.accepted(document)))[-1]
