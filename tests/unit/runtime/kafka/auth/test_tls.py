"""Certificates that are renewed between connections."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
import uvloop

from sluice_runtime.kafka.auth.tls import ReloadingSSLContext
from sluice_runtime.kafka.errors import CredentialsError
from tests.support.secured_kafka import TLS

Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """asyncio and uvloop begin connections in different ways."""

    def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(body())

    return run


@dataclass(frozen=True)
class Mounted:
    """A folder with mounted certificates."""

    folder: Path

    def put(self, *, ca: str = "ours", who: str = "first", key: str = "") -> None:
        """Replace the files like the kubelet."""
        for name, source in {
            "ca.crt": f"{ca}.crt",
            "tls.crt": f"{who}.crt",
            "tls.key": f"{key or who}.key",
        }.items():
            shutil.copy(TLS / source, self.folder / "new")
            (self.folder / "new").replace(self.folder / name)

    def context(self) -> ReloadingSSLContext:
        return ReloadingSSLContext.of(
            ca_file=self.folder / "ca.crt",
            certificate_file=self.folder / "tls.crt",
            key_file=self.folder / "tls.key",
        )


@pytest.fixture
def mounted(tmp_path: Path) -> Mounted:
    made = Mounted(tmp_path)
    made.put()
    return made


def wants_certificates() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=TLS / "ours.crt")
    context.load_cert_chain(TLS / "broker.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def who_am_i(port: int, context: ssl.SSLContext) -> str:
    """Connect, and return the subject of the certificate that the server got."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        return (await reader.read()).decode()
    finally:
        writer.close()


async def serve() -> AsyncIterator[int]:
    """A server that requires a certificate, and sends its subject."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        [[(_, name)]] = writer.get_extra_info("peercert")["subject"]
        writer.write(name.encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=wants_certificates())
    async with server:
        yield server.sockets[0].getsockname()[1]


def test_the_next_connection_uses_a_renewed_certificate(run: Run, mounted: Mounted) -> None:
    async def body() -> None:
        context = mounted.context()
        async for port in serve():
            assert await who_am_i(port, context) == "first"
            mounted.put(who="renewed")
            assert await who_am_i(port, context) == "renewed"

    run(body)


def test_a_removed_authority_is_no_longer_trusted(run: Run, mounted: Mounted) -> None:
    async def body() -> None:
        context = mounted.context()
        async for port in serve():
            assert await who_am_i(port, context) == "first"
            mounted.put(ca="theirs")
            with pytest.raises(ssl.SSLCertVerificationError):
                await who_am_i(port, context)
            mounted.put(ca="ours")
            assert await who_am_i(port, context) == "first"

    run(body)


def test_half_a_renewal_is_logged_and_changes_nothing(run: Run, mounted: Mounted) -> None:
    async def body() -> None:
        context = mounted.context()
        async for port in serve():
            mounted.put(who="renewed", key="first")
            with structlog.testing.capture_logs() as logs:
                assert await who_am_i(port, context) == "first"
            assert [log["log_level"] for log in logs] == ["warning"]
            assert "kafka.certificate_file" in logs[0]["error"]
            (mounted.folder / "tls.key").unlink()
            assert await who_am_i(port, context) == "first"
            mounted.put(who="renewed")
            assert await who_am_i(port, context) == "renewed"

    run(body)


def test_unchanged_files_are_read_once(mounted: Mounted, monkeypatch: pytest.MonkeyPatch) -> None:
    context = mounted.context()
    monkeypatch.delattr(ssl, "create_default_context")
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="127.0.0.1")


def test_a_missing_client_certificate_is_logged() -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = wants_certificates().wrap_bio(to_server, to_client, server_side=True)
    context = ReloadingSSLContext.of(ca_file=TLS / "ours.crt", certificate_file=None, key_file=None)
    client = context.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    for each in (client, server):
        with pytest.raises(ssl.SSLWantReadError):
            each.do_handshake()
    client.do_handshake()
    with pytest.raises(ssl.SSLError, match="did not return a certificate"):
        server.do_handshake()
    with structlog.testing.capture_logs() as logs, pytest.raises(ssl.SSLError):
        client.read()
    assert [log["alert"] for log in logs] == ["TLSV13_ALERT_CERTIFICATE_REQUIRED"]


@pytest.mark.parametrize("name", ["ca.crt", "tls.crt", "tls.key"])
def test_a_missing_file_is_named(mounted: Mounted, name: str) -> None:
    file = mounted.folder / name
    file.unlink()
    with pytest.raises(CredentialsError) as caught:
        mounted.context()
    setting = {"ca.crt": "ca_file", "tls.crt": "certificate_file", "tls.key": "key_file"}[name]
    assert str(caught.value) == (
        f"kafka.{setting}: {file} cannot be used: No such file or directory."
    )


@pytest.mark.parametrize("content", [b"", b"no PEM", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\n"])
@pytest.mark.parametrize("name", ["ca.crt", "tls.crt", "tls.key"])
def test_a_file_of_another_kind_is_named(mounted: Mounted, name: str, content: bytes) -> None:
    file = mounted.folder / name
    file.write_bytes(content)
    with pytest.raises(CredentialsError) as caught:
        mounted.context()
    assert str(file) in str(caught.value)


def test_a_key_of_another_certificate_is_refused(mounted: Mounted) -> None:
    mounted.put(who="first", key="renewed")
    with pytest.raises(CredentialsError, match=r"not that of the key in .*tls\.key"):
        mounted.context()


def test_an_encrypted_key_is_refused_without_a_prompt(mounted: Mounted) -> None:
    mounted.put(who="first", key="encrypted")
    with pytest.raises(CredentialsError, match=r"kafka\.key_file: .* it is encrypted"):
        mounted.context()


def test_a_ca_file_may_have_comments_in_any_language(mounted: Mounted) -> None:
    file = mounted.folder / "ca.crt"
    file.write_text("# Főtanúsítvány\n" + file.read_text(), "utf-8")
    assert mounted.context().check_hostname
