"""A user of Sluice, who asks for runs by HTTP and follows them."""

import io
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import aiohttp

Json = dict[str, Any]

OUTCOME_SECONDS = 180.0
"""How long an outcome, or the next word of one, may take on a machine that is busy."""


class Client:
    """A user of one Sluice; ``http`` knows where it answers."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.http = http

    async def post(self, document: Mapping[str, Any], **headers: str) -> tuple[int, Json]:
        """Ask for a run; gives status and body."""
        body = io.BytesIO(json.dumps(document).encode())
        headers = {"Content-Type": "application/json", **headers}
        async with self.http.post("/v1/runs", data=body, headers=headers) as response:
            return response.status, await response.json()

    async def accepted(self, document: Mapping[str, Any]) -> str:
        """Ask for a run that must be accepted; gives its id."""
        status, body = await self.post(document)
        assert status in (HTTPStatus.OK, HTTPStatus.ACCEPTED), body
        run_id: str = body["id"]
        return run_id

    async def events(self, run_id: str) -> list[Json]:
        """Follow a run to its end."""
        url = f"/v1/runs/{run_id}/events"
        timeout = aiohttp.ClientTimeout(total=OUTCOME_SECONDS)
        found: list[Json] = []
        async with self.http.get(url, timeout=timeout) as response:
            assert response.status == HTTPStatus.OK, await response.text()
            buffered = b""
            async for chunk in response.content.iter_any():
                *lines, buffered = (buffered + chunk).split(b"\n")
                found += [json.loads(line[6:]) for line in lines if line.startswith(b"data: ")]
        return found

    async def outcome(self, document: Mapping[str, Any]) -> Json:
        """Ask for a run and wait for its outcome."""
        return (await self.events(await self.accepted(document)))[-1]
