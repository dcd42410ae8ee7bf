"""A stand-in for a ResourceQuota before the local engine, which has none: a proxy that refuses."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiohttp
import yaml
from aiohttp import web

__all__ = ["Quota", "quota_before"]

_HOP_BY_HOP: Final = frozenset({"connection", "content-length", "host", "transfer-encoding"})


class Quota:
    """Refuses each create of a Workflow as an exceeded quota does, while it is full."""

    def __init__(self) -> None:
        self.full = True
        self.refused: set[str] = set()
        """The names of Workflows that were refused."""

    def refusal(self, name: str) -> web.Response:
        """Return the API server's answer for an exceeded quota."""
        self.refused.add(name)
        message = f'workflows.argoproj.io "{name}" is forbidden: exceeded quota: runs, used: 0'
        status = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": message}
        return web.json_response(status, status=403)


@contextlib.asynccontextmanager
async def quota_before(server: str, kubeconfig: Path) -> AsyncIterator[Quota]:
    """Serve the API of `server` under a quota on loopback; write the kubeconfig for it."""
    quota = Quota()
    async with aiohttp.ClientSession(server) as client:

        async def forward(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            if quota.full and request.method == "POST" and request.path.endswith("/workflows"):
                return quota.refusal(json.loads(body)["metadata"]["name"])
            kept = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
            async with client.request(
                request.method, request.path_qs, data=body, headers=kept
            ) as answer:
                return web.Response(
                    status=answer.status,
                    body=await answer.read(),
                    content_type=answer.content_type,
                )

        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", forward)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            await asyncio.to_thread(kubeconfig.write_text, _kubeconfig(runner.addresses[0][1]))
            yield quota
        finally:
            await runner.cleanup()


def _kubeconfig(port: int) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "a", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "a", "user": {}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            "current-context": "a",
        }
    )
