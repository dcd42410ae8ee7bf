"""A stand-in for an API server and Argo, which counts Workflows instead of running them.

Each Workflow succeeds after a fixed time. It has what a dispatcher needs: creates, reads, and lists
and watches of metadata. It is far faster than the local engine, so that a test can start thousands.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from sluice_argo import metadata

__all__ = ["CountingCluster", "Created"]

Json = dict[str, Any]

_WORKFLOWS: Final = "/apis/argoproj.io/v1alpha1/namespaces/{namespace}/workflows"
_KEPT_CHANGES: Final = 50_000
_BOOKMARK_S: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Created:
    """A run's Workflow, who created it, and where its request is: `topic/partition@offset`."""

    by: str
    tenant: str
    run_id: str
    request: str


class CountingCluster:
    """Serves one cluster on loopback while `running`; tokens identify the clients."""

    def __init__(self, *, run_seconds: float) -> None:
        self._run_seconds = run_seconds
        self._url = ""
        self._objects: dict[str, bytes] = {}
        self._names: list[str] = []
        self._changes: deque[bytes] = deque(maxlen=_KEPT_CHANGES)
        self._version = 0
        self._changed = asyncio.Event()
        self._is_closing = False
        self.created: list[Created] = []
        self.live = 0
        self.most_live = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["CountingCluster"]:
        """Serve while the body runs."""
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_post(_WORKFLOWS, self._create)
        app.router.add_get(_WORKFLOWS, self._list_or_watch)
        app.router.add_get(_WORKFLOWS + "/{name}", self._get)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._url = "http://127.0.0.1:{1}".format(*runner.addresses[0])
        try:
            yield self
        finally:
            self._is_closing = True
            self._wake()
            await runner.cleanup()

    def kubeconfig(self, folder: Path, *, client: str) -> Path:
        """Write the kubeconfig of a client into a folder, and return its path."""
        path = folder / f"{client}.kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "counting", "cluster": {"server": self._url}}],
            "users": [{"name": client, "user": {"token": client}}],
            "contexts": [{"name": client, "context": {"cluster": "counting", "user": client}}],
            "current-context": client,
        }
        path.write_text(json.dumps(config), encoding="utf-8")
        return path

    async def until_created(self, count: int) -> None:
        """Wait until so many Workflows were created."""
        while len(self.created) < count:
            await self._changed.wait()

    async def _create(self, request: web.Request) -> web.Response:
        manifest = await request.json()
        found = manifest["metadata"]
        name = found["name"]
        if name in self._objects:
            return _status(HTTPStatus.CONFLICT, "AlreadyExists")
        found |= {
            "namespace": request.match_info["namespace"],
            "uid": f"uid-{len(self.created)}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        self.created.append(
            Created(
                by=request.headers.get("Authorization", "").removeprefix("Bearer "),
                tenant=found["labels"][metadata.TENANT],
                run_id=found["annotations"][metadata.RUN_ID],
                request=found["annotations"][metadata.REQUEST],
            )
        )
        self._names.append(name)
        self.live += 1
        self.most_live = max(self.most_live, self.live)
        body = self._write(name, {"metadata": found}, kind="ADDED")
        asyncio.get_running_loop().call_later(self._run_seconds, self._finish, name)
        return web.Response(body=body, status=HTTPStatus.CREATED, content_type="application/json")

    def _finish(self, name: str) -> None:
        obj = json.loads(self._objects[name])
        obj["metadata"]["labels"][metadata.COMPLETED] = "true"
        obj["status"] = {"phase": "Succeeded"}
        self.live -= 1
        self._write(name, obj, kind="MODIFIED")

    def _write(self, name: str, obj: Json, *, kind: str) -> bytes:
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        body = json.dumps(obj).encode()
        self._objects[name] = body
        self._changes.append(b'{"type":"%s","object":%s}\n' % (kind.encode(), body))
        self._wake()
        return body

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _get(self, request: web.Request) -> web.Response:
        body = self._objects.get(request.match_info["name"])
        if body is None:
            return _status(HTTPStatus.NOT_FOUND, "NotFound")
        return web.Response(body=body, content_type="application/json")

    async def _list_or_watch(self, request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return await self._watch(request)
        version, first = self._version, 0
        if token := request.query.get("continue"):
            version, first = map(int, token.split(":"))
        after = first + int(request.query["limit"])
        items = b",".join(self._objects[name] for name in self._names[first:after])
        more = f"{version}:{after}" if after < len(self._names) else ""
        head = json.dumps({"resourceVersion": str(version), "continue": more}).encode()
        body = b'{"metadata":%s,"items":[%s]}' % (head, items)
        return web.Response(body=body, content_type="application/json")

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        seen = int(request.query["resourceVersion"])
        loop = asyncio.get_running_loop()
        ends = loop.time() + float(request.query["timeoutSeconds"])
        # A dispatcher that is killed closes its connection.
        with contextlib.suppress(ConnectionError):
            while not self._is_closing and loop.time() < ends:
                changed = self._changed
                missing = self._version - seen
                if missing > len(self._changes):
                    gone = {"kind": "Status", "code": 410, "reason": "Expired"}
                    await response.write(_line("ERROR", gone))
                    break
                if missing:
                    first = len(self._changes) - missing
                    lines = [self._changes[number] for number in range(first, len(self._changes))]
                    seen = self._version
                    await response.write(b"".join(lines))
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_BOOKMARK_S):
                        await changed.wait()
                        continue
                await response.write(
                    _line("BOOKMARK", {"metadata": {"resourceVersion": str(seen)}})
                )
        return response


def _line(kind: str, obj: Json) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def _status(code: HTTPStatus, reason: str) -> web.Response:
    body = {"kind": "Status", "code": int(code), "reason": reason, "message": reason}
    return web.json_response(body, status=int(code))
