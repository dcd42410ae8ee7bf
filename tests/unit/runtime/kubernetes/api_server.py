"""A fake Kubernetes API server on loopback: it sends given responses and records requests."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from sluice_runtime.kubernetes.client import KubernetesClient
from sluice_runtime.kubernetes.settings import KubernetesSettings
from tests.unit.runtime.kafka.auth.certificate import AUTHORITY, CERTIFICATE, KEY

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A received request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    client_certificate: bool


@dataclass
class ApiServer:
    """The received requests, and the next response."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    handler: Handler | None = None

    def answers(
        self, body: Any = None, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        """Send this response from now on: bytes unchanged, other values as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(body=data, status=status, headers=headers)

        self.handler = answer

    def refuses(self, status: int, reason: str, message: str = "no") -> None:
        """Send a Status from now on."""
        self.answers(
            {"kind": "Status", "code": status, "reason": reason, "message": message},
            status=status,
        )

    async def handle(self, request: web.Request) -> web.StreamResponse:
        data = await request.read()
        transport = request.transport
        assert transport is not None
        self.asked.append(
            Asked(
                method=request.method,
                path=request.path,
                query=dict(request.query),
                headers={name.lower(): value for name, value in request.headers.items()},
                body=json.loads(data) if data else None,
                client_certificate=bool(transport.get_extra_info("peercert")),
            )
        )
        assert self.handler is not None, "the test has not said what to answer"
        return await self.handler(request)


@contextlib.asynccontextmanager
async def api_server(*, tls_in: Path | None = None) -> AsyncIterator[ApiServer]:
    """Serve on a free port, with TLS if there is a folder for the certificate."""
    server = ApiServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        context = None if tls_in is None else _context(tls_in)
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        scheme = "http" if context is None else "https"
        server.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
        server.answers({})
        yield server
    finally:
        await runner.cleanup()


def _context(folder: Path) -> ssl.SSLContext:
    certificate, key = folder / "tls.crt", folder / "tls.key"
    certificate.write_text(CERTIFICATE)
    key.write_text(KEY)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=AUTHORITY)
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def kubeconfig(
    url: str, *, user: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None
) -> str:
    """Return the text of a kubeconfig with one context, `local`."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": url, **(cluster or {})}}],
            "users": [{"name": "u", "user": user or {}}],
            "contexts": [{"name": "local", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "local",
        }
    )


@contextlib.asynccontextmanager
async def connected(server: ApiServer, file: Path, **more: Any) -> AsyncIterator[KubernetesClient]:
    """Connect to the server by a kubeconfig written to the file."""
    await asyncio.to_thread(file.write_text, kubeconfig(server.url, **more))
    async with KubernetesClient.connect(KubernetesSettings(kubeconfig=file)) as client:
        yield client
