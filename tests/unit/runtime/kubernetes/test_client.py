"""The client against a server on loopback: its requests, and the error for each failure."""

import asyncio
import base64
import json
import socket
import ssl
import sys
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sluice_runtime.deadlines import Deadline
from sluice_runtime.kubernetes.client import ClusterConfigurationError, KubernetesClient
from sluice_runtime.kubernetes.errors import (
    ApiError,
    ApiUnavailableError,
    GoneError,
    NotFoundError,
)
from sluice_runtime.kubernetes.kubernetes_asyncio_loader import import_without_models
from sluice_runtime.kubernetes.settings import KubernetesSettings
from testbed.waiting import wait_until
from tests.unit.runtime.kafka.auth.certificate import AUTHORITY, CERTIFICATE, KEY
from tests.unit.runtime.kubernetes.api_server import ApiServer, api_server, connected, kubeconfig


def soon(seconds: float = 30) -> Deadline:
    return Deadline("a call", timedelta(seconds=seconds))


TRUSTING = {"certificate-authority-data": base64.b64encode(AUTHORITY.encode()).decode()}


async def test_requests_and_responses_are_json(tmp_path: Path) -> None:
    async with api_server() as server, connected(server, tmp_path / "k") as client:
        server.answers({"kind": "Pod", "ü": [1]})
        answer = await client.call(
            "POST", "/api/x", body={"text": "ä\n"}, query={"dryRun": "All"}, deadline=soon()
        )
        assert answer == {"kind": "Pod", "ü": [1]}
        (asked,) = server.asked
        assert (asked.method, asked.path, asked.query) == ("POST", "/api/x", {"dryRun": "All"})
        assert asked.body == {"text": "ä\n"}
        assert asked.headers["content-type"] == "application/json"
        assert asked.headers["user-agent"] == "sluice"
        assert "authorization" not in asked.headers


async def test_a_trailing_slash_of_the_server_is_ignored(tmp_path: Path) -> None:
    async with api_server() as server:
        server.url += "/"
        async with connected(server, tmp_path / "k") as client:
            await client.call("GET", "/api/x", deadline=soon())
        assert server.asked[0].path == "/api/x"


async def test_a_status_becomes_an_api_error(tmp_path: Path) -> None:
    async with api_server() as server, connected(server, tmp_path / "k") as client:
        server.refuses(404, "NotFound")
        with pytest.raises(NotFoundError, match=r"GET /api/x: 404 NotFound$"):
            await client.call("GET", "/api/x", deadline=soon())


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'"text"', b"\xff", b"[" * 100_000]
)
async def test_a_success_without_a_json_object_is_unavailable(tmp_path: Path, body: bytes) -> None:
    async with api_server() as server, connected(server, tmp_path / "k") as client:
        server.answers(body)
        with pytest.raises(ApiUnavailableError, match=r"the response is not (a )?JSON"):
            await client.call("GET", "/api/x", deadline=soon())


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(tmp_path: Path, status: int) -> None:
    """A redirected POST would become a GET, whose list would look like success."""
    async with api_server() as server, connected(server, tmp_path / "k") as client:
        server.answers({}, status=status, headers={"Location": "/elsewhere"})
        with pytest.raises(ApiUnavailableError, match=str(status)):
            await client.call("POST", "/api/x", body={}, deadline=soon())
        with pytest.raises(ApiUnavailableError, match=str(status)):
            async with client.stream("/api/x", query={}, deadline=soon()):
                pass
        assert [asked.path for asked in server.asked] == ["/api/x"] * 2


async def test_no_server_is_unavailable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    nobody = ApiServer(url=f"http://127.0.0.1:{port}")
    async with connected(nobody, tmp_path / "k") as client:
        with pytest.raises(ApiUnavailableError, match="GET /x: ClientConnectorError"):
            await client.call("GET", "/x", deadline=soon())
        with pytest.raises(ApiUnavailableError, match="WATCH /x: ClientConnectorError"):
            async with client.stream("/x", query={}, deadline=soon()):
                pass


async def test_a_late_response_is_unavailable(tmp_path: Path) -> None:
    async with api_server() as server, connected(server, tmp_path / "k") as client:
        hold = asyncio.Event()

        async def silence(_: web.Request) -> web.StreamResponse:
            await hold.wait()
            return web.Response()

        server.handler = silence
        with pytest.raises(ApiUnavailableError, match=r"a call: not done within 0\.05 s"):
            await client.call("GET", "/x", deadline=soon(0.05))
        with pytest.raises(ApiUnavailableError, match=r"a call: not done within 0\.05 s"):
            async with client.stream("/x", query={}, deadline=soon(0.05)):
                pass
        hold.set()


async def test_a_broken_connection_is_unavailable(tmp_path: Path) -> None:
    async with api_server() as server, connected(server, tmp_path / "k") as client:

        async def half(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b'{"half":')
            assert request.transport is not None
            request.transport.close()
            return response

        server.handler = half
        with pytest.raises(ApiUnavailableError, match="GET /x: ClientPayloadError"):
            await client.call("GET", "/x", deadline=soon())
        async with client.stream("/x", query={}, deadline=soon()) as chunks:
            assert await anext(chunks) == b'{"half":'
            with pytest.raises(ApiUnavailableError, match="WATCH /x: ClientPayloadError"):
                await anext(chunks)


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{"name":"hunter2"}\r\n',
        b'HTTP/1.1 200 OK\r\n{"name":"hunter2"}\r\n\r\n',
        b'{"name":"hunter2"}\r\n\r\n',
    ],
)
async def test_a_response_that_is_not_http_is_not_quoted(tmp_path: Path, answer: bytes) -> None:
    """aiohttp quotes bytes that it cannot parse, and they may be a Workflow's."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as listening:
        server = ApiServer(url=f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
        async with connected(server, tmp_path / "k") as client:
            with pytest.raises(ApiUnavailableError) as caught:
                await client.call("GET", "/x", deadline=soon())
            assert str(caught.value) == "GET /x: ClientResponseError"
            assert "hunter2" not in "".join(traceback.format_exception(caught.value))


async def test_a_stream_outlives_the_deadline_for_opening_it(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with api_server() as server, connected(server, tmp_path / "k") as client:

        async def events(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"one\n")
            await go_on.wait()
            await response.write(b"two\n")
            return response

        server.handler = events
        deadline = soon(0.2)
        async with client.stream("/x", query={"watch": "true"}, deadline=deadline) as chunks:
            assert await anext(chunks) == b"one\n"
            passed = asyncio.Event()
            asyncio.get_running_loop().call_later(0.2 + 0.01, passed.set)
            await passed.wait()
            go_on.set()
            assert [chunk async for chunk in chunks] == [b"two\n"]
        assert server.asked[0].query == {"watch": "true"}


async def test_a_refused_stream_raises(tmp_path: Path) -> None:
    async with api_server() as server, connected(server, tmp_path / "k") as client:
        server.refuses(410, "Expired")
        with pytest.raises(GoneError):
            async with client.stream("/x", query={}, deadline=soon()):
                pass
        server.answers(b"", status=429, headers={"Retry-After": "3"})
        with pytest.raises(ApiUnavailableError) as caught:
            async with client.stream("/x", query={}, deadline=soon()):
                pass
        assert caught.value.retry_after == 3


async def test_a_stream_left_early_is_closed(tmp_path: Path) -> None:
    left = asyncio.Event()
    async with api_server() as server, connected(server, tmp_path / "k") as client:

        async def endless(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            try:
                while True:
                    await response.write(b"more\n")
                    await asyncio.sleep(0)
            except ConnectionError:
                left.set()
            return response

        server.handler = endless
        async with client.stream("/x", query={}, deadline=soon()) as chunks:
            await anext(chunks)
        await left.wait()


async def test_a_stream_left_early_does_not_wait_for_the_server(tmp_path: Path) -> None:
    opened: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
    hold = asyncio.Event()

    async def deaf(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        assert isinstance(request.transport, asyncio.Transport)
        request.transport.pause_reading()
        opened.set_result(request.transport.get_extra_info("socket"))
        await hold.wait()
        request.transport.abort()
        return response

    async with (
        api_server(tls_in=tmp_path) as server,
        connected(server, tmp_path / "k", cluster=TRUSTING) as client,
    ):
        server.handler = deaf
        async with client.stream("/x", query={}, deadline=soon()) as chunks:
            await anext(chunks)
        connection = await opened
        await asyncio.to_thread(
            wait_until, lambda: not _is_established(connection), what="The end", seconds=10
        )
        hold.set()


def _is_established(connection: socket.socket) -> bool:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x01"


async def test_a_token_of_the_kubeconfig(tmp_path: Path) -> None:
    async with (
        api_server() as server,
        connected(server, tmp_path / "k", user={"token": "t0ken"}) as client,
    ):
        await client.call("GET", "/x", deadline=soon())
        assert server.asked[0].headers["authorization"] == "Bearer t0ken"


async def test_a_client_certificate_of_the_kubeconfig(tmp_path: Path) -> None:
    certificate, key = (base64.b64encode(text.encode()).decode() for text in (CERTIFICATE, KEY))
    async with (
        api_server(tls_in=tmp_path) as server,
        connected(
            server,
            tmp_path / "k",
            user={"client-certificate-data": certificate, "client-key-data": key},
            cluster=TRUSTING,
        ) as client,
    ):
        await client.call("GET", "/x", deadline=soon())
        assert server.asked[0].client_certificate


async def test_an_authority_without_all_extensions_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default_context = ssl.create_default_context

    def strict_context(**named: Any) -> ssl.SSLContext:
        """Return a context as in Python 3.13."""
        context = default_context(**named)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    async with api_server(tls_in=tmp_path) as server:
        monkeypatch.setattr(ssl, "create_default_context", strict_context)
        async with connected(server, tmp_path / "k", cluster=TRUSTING) as client:
            await client.call("GET", "/x", deadline=soon())
        assert [asked.path for asked in server.asked] == ["/x"]


async def test_an_untrusted_server_is_unavailable(tmp_path: Path) -> None:
    async with api_server(tls_in=tmp_path) as server, connected(server, tmp_path / "k") as client:
        with pytest.raises(ApiUnavailableError, match="CertificateError"):
            await client.call("GET", "/x", deadline=soon())
        assert server.asked == []


_PLUGIN = """
import json, pathlib, sys
counter = pathlib.Path(sys.argv[1])
count = int(counter.read_text() or 0) + 1 if counter.exists() else 1
counter.write_text(str(count))
expires = "2001-01-01T00:00:00Z" if sys.argv[2] == "at-once" else "2999-01-01T00:00:00Z"
print(json.dumps({
    "apiVersion": "client.authentication.k8s.io/v1beta1",
    "kind": "ExecCredential",
    "status": {"token": f"token-{count}", "expirationTimestamp": expires},
}))
"""


@pytest.mark.parametrize(
    ("expires", "tokens"),
    [("at-once", ["token-2", "token-3"]), ("never", ["token-1", "token-1"])],
)
async def test_a_plugin_s_token_is_renewed_when_it_expires(
    tmp_path: Path, expires: str, tokens: list[str]
) -> None:
    """Tokens of EKS are valid for 15 minutes; a service lives longer."""
    plugin = tmp_path / "plugin.py"
    plugin.write_text(_PLUGIN)
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": sys.executable,
            "args": [str(plugin), str(tmp_path / "count"), expires],
        }
    }
    async with api_server() as server, connected(server, tmp_path / "k", user=user) as client:
        for _ in range(2):
            await client.call("GET", "/x", deadline=soon())
        sent = [asked.headers["authorization"] for asked in server.asked]
        assert sent == [f"Bearer {token}" for token in tokens]


class Pod:
    """The files and variables by which a pod finds the API server."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.token = folder / "token"
        self.token.write_text("first")
        authority = folder / "ca.crt"
        authority.write_text(AUTHORITY)
        self._monkeypatch = monkeypatch
        config = import_without_models().config.incluster_config
        monkeypatch.setattr(config, "SERVICE_TOKEN_FILENAME", str(self.token))
        monkeypatch.setattr(config, "SERVICE_CERT_FILENAME", str(authority))

    def runs_beside(self, server: ApiServer) -> None:
        host, _, port = server.url.removeprefix("https://").partition(":")
        self._monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
        self._monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)

    def token_expires(self) -> None:
        config = import_without_models().config.incluster_config
        self._monkeypatch.setattr(config, "TOKEN_REFRESH_PERIOD", timedelta(seconds=-1))


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    return Pod(tmp_path, monkeypatch)


async def test_a_pod_uses_its_serviceaccount_and_its_current_token(
    tmp_path: Path, pod: Pod
) -> None:
    pod.token_expires()
    async with api_server(tls_in=tmp_path) as server:
        pod.runs_beside(server)
        async with KubernetesClient.connect(KubernetesSettings()) as client:
            await client.call("GET", "/x", deadline=soon())
            pod.token.write_text("second")
            await client.call("GET", "/x", deadline=soon())
        sent = [asked.headers["authorization"] for asked in server.asked]
        assert sent == ["Bearer first", "Bearer second"]


async def test_a_temporarily_unreadable_token_is_unavailable(tmp_path: Path, pod: Pod) -> None:
    pod.token_expires()
    async with api_server(tls_in=tmp_path) as server:
        pod.runs_beside(server)
        async with KubernetesClient.connect(KubernetesSettings()) as client:
            pod.token.write_text("")
            with pytest.raises(ApiUnavailableError, match="There is no token for authentication"):
                await client.call("GET", "/x", deadline=soon())
            pod.token.unlink()
            with pytest.raises(ApiUnavailableError, match="There is no token for authentication"):
                async with client.stream("/x", query={}, deadline=soon()):
                    pass
            pod.token.write_text("again")
            await client.call("GET", "/x", deadline=soon())
        assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer again"]


async def test_a_named_kubeconfig_takes_precedence_over_the_serviceaccount(
    tmp_path: Path, pod: Pod
) -> None:
    async with api_server() as server:
        pod.runs_beside(ApiServer(url="https://127.0.0.1:1"))
        async with connected(server, tmp_path / "k") as client:
            await client.call("GET", "/x", deadline=soon())
        assert len(server.asked) == 1


async def test_the_users_kubeconfig_is_the_last_resort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    file = tmp_path / "config"
    monkeypatch.setattr(
        import_without_models().config.kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(file)
    )
    async with api_server() as server:
        file.write_text(kubeconfig(server.url))
        async with KubernetesClient.connect(KubernetesSettings()) as client:
            await client.call("GET", "/x", deadline=soon())
        assert len(server.asked) == 1


_GOOD = kubeconfig("https://127.0.0.1:1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: [",
        "[]",
        '"text"',
        "current-context: x",
        "\0",
        json.dumps(json.loads(_GOOD) | {"contexts": []}),
        json.dumps(json.loads(_GOOD) | {"current-context": "other"}),
        kubeconfig("https://127.0.0.1:1", cluster={"certificate-authority-data": "%%%"}),
        kubeconfig("https://127.0.0.1:1", cluster={"certificate-authority-data": "eHg="}),
        kubeconfig("https://127.0.0.1:1", cluster={"certificate-authority": "none.crt"}),
        kubeconfig("https://127.0.0.1:1", user={"exec": {"command": "no-such-command"}}),
    ],
)
async def test_an_invalid_kubeconfig_is_a_configuration_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    with pytest.raises(ClusterConfigurationError, match="Set SLUICE_KUBERNETES__KUBECONFIG"):
        await _connect(KubernetesSettings(kubeconfig=file))


async def test_a_missing_kubeconfig_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ClusterConfigurationError, match="There is no usable configuration"):
        await _connect(KubernetesSettings(kubeconfig=tmp_path / "none"))


async def test_a_missing_context_is_a_configuration_error(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(_GOOD)
    with pytest.raises(ClusterConfigurationError, match="other"):
        await _connect(KubernetesSettings(kubeconfig=file, context="other"))


async def _connect(settings: KubernetesSettings) -> None:
    async with KubernetesClient.connect(settings):
        pass


def test_refusals_and_missing_answers_are_different_errors() -> None:
    assert not issubclass(ApiUnavailableError, ApiError)
