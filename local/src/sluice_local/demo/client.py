"""The two calls of the demo: start a run, follow its events."""

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin

import aiohttp

from sluice_local.errors import LocalModeError

_STREAMS = 5
_RETRY_SECONDS = 1.0


async def start_run(
    http: aiohttp.ClientSession, url: str, *, workflow: str, parameters: dict[str, object]
) -> str:
    """Start a run and return its URL.

    Raises:
        LocalModeError: Sluice does not answer, or refused the request.
    """
    document = {"workflow": workflow, "parameters": parameters}
    try:
        async with http.post(urljoin(url, "/v1/runs"), json=document) as response:
            await _require_ok(response)
            return urljoin(url, response.headers["Location"])
    except aiohttp.ClientConnectionError as error:
        raise LocalModeError(
            f"No Sluice answers at {url}.",
            remedy="Start it in another terminal with `make run`, wait until it reports that it is "
            "ready, and try again. Use --url if it has another address.",
        ) from error


async def follow(http: aiohttp.ClientSession, run_url: str) -> AsyncIterator[dict[str, Any]]:
    """Yield the status events of a run until the terminal one; a broken stream is resumed.

    Raises:
        LocalModeError: there is no such stream, or it broke repeatedly.
    """
    headers = {"Accept": "text/event-stream"}
    for _ in range(_STREAMS):
        try:
            async with http.get(f"{run_url}/events", headers=headers) as response:
                await _require_ok(response)
                async for event_id, event in status_events(response.content):
                    if not event_id:
                        # Where the run stands in the queue.
                        continue
                    headers["Last-Event-ID"] = event_id
                    yield event
                    if event["terminal"]:
                        return
        except aiohttp.ClientError:
            await asyncio.sleep(_RETRY_SECONDS)
    raise LocalModeError(
        "The stream of events ended before the run.",
        remedy=f"The run continues if Sluice runs: `curl {run_url}` shows its state.",
    )


async def status_events(
    lines: AsyncIterable[bytes],
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Yield id and JSON of each event of an event stream (WHATWG HTML, server-sent events)."""
    event_id = ""
    data: list[str] = []
    async for raw in lines:
        line = raw.decode("utf-8").rstrip("\r\n")
        field, _, value = line.partition(":")
        if field == "id":
            event_id = value.removeprefix(" ")
        elif field == "data":
            data.append(value.removeprefix(" "))
        elif not line and data:
            yield event_id, json.loads("\n".join(data))
            data.clear()


async def _require_ok(response: aiohttp.ClientResponse) -> None:
    if response.status < HTTPStatus.BAD_REQUEST:
        return
    text = await response.text()
    try:
        problem = json.loads(text)
        said = f"{problem['title']}: {problem.get('detail', '')} {problem.get('errors', '')}"
    except (ValueError, KeyError, TypeError):
        said = text
    raise LocalModeError(
        f"Sluice answered {response.status} to {response.method} {response.url.path}: "
        f"{said.strip()}",
        remedy="See the terminal of `make run` and its logs.",
    )
