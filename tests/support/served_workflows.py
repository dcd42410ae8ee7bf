"""A fake API server for other processes: `FakeWorkflows` over HTTP."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from sluice_runtime.kubernetes.errors import ApiError
from tests.support.fake_workflows import FakeWorkflows

_PATH = "/apis/argoproj.io/v1alpha1/namespaces/{namespace}/workflows"


@contextlib.asynccontextmanager
async def served(workflows: FakeWorkflows, kubeconfig: Path) -> AsyncIterator[None]:
    """Serve list, watch, get and patch on loopback while the body runs; write the kubeconfig."""
    app = web.Application(middlewares=[_statuses])
    handlers = _Handlers(workflows)
    app.router.add_get(_PATH, handlers.collection)
    app.router.add_get(_PATH + "/{name}", handlers.get)
    app.router.add_patch(_PATH + "/{name}", handlers.patch)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        await asyncio.to_thread(kubeconfig.write_text, _kubeconfig(runner.addresses[0][1]))
        yield
    finally:
        await runner.cleanup()


class _Handlers:
    def __init__(self, workflows: FakeWorkflows) -> None:
        self._workflows = workflows

    async def collection(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch") == "true":
            return await self._watch(request)
        page = await self._workflows.list_page(
            limit=int(request.query["limit"]), continue_token=request.query.get("continue")
        )
        metadata = {"resourceVersion": page.resource_version, "continue": page.continue_token}
        return web.json_response({"metadata": metadata, "items": page.items})

    async def get(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(await self._workflows.get(request.match_info["name"]))

    async def patch(self, request: web.Request) -> web.StreamResponse:
        operations = json.loads(await request.read())
        return web.json_response(
            await self._workflows.patch(request.match_info["name"], operations)
        )

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async with self._workflows.watch(
            resource_version=request.query["resourceVersion"],
            timeout_seconds=int(request.query["timeoutSeconds"]),
        ) as chunks:
            with contextlib.suppress(ConnectionError):
                async for chunk in chunks:
                    await response.write(chunk)
        return response


@web.middleware
async def _statuses(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as e:
        status = {"kind": "Status", "code": e.status, "reason": e.reason, "message": str(e)}
        return web.json_response(status, status=e.status)


def _kubeconfig(port: int) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "local", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "local",
        }
    )
