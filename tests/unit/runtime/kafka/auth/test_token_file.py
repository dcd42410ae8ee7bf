"""The current token of a file."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka import conn

from sluice_runtime.kafka.auth.token_file import TokenFile, patch_oauth_error_handling
from sluice_runtime.kafka.errors import CredentialsError
from sluice_runtime.kafka.settings import KafkaSettings, connection


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "token"


@pytest.fixture
def authenticator(monkeypatch: pytest.MonkeyPatch, file: Path) -> Any:
    """aiokafka's authenticator of a connection."""
    monkeypatch.setattr(conn, "OAuthAuthenticator", conn.OAuthAuthenticator)
    patch_oauth_error_handling()
    file.write_text("a.b.c")
    return conn.OAuthAuthenticator(sasl_oauth_token_provider=TokenFile(file))


def test_every_connection_reads_the_current_token(file: Path) -> None:
    file.write_text("a.first.token\n")
    settings = KafkaSettings(
        security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER", token_file=file
    )
    provider = connection(settings, client_id="me")["sasl_oauth_token_provider"]
    assert asyncio.run(provider.token()) == "a.first.token"
    file.write_text("a.renewed.token")
    assert asyncio.run(provider.token()) == "a.renewed.token"


async def test_a_removed_token_file_is_reported(file: Path) -> None:
    message = f"kafka.token_file: {file} cannot be used: No such file or directory."
    with pytest.raises(CredentialsError) as caught:
        await TokenFile(file).token()
    assert str(caught.value) == message


def test_a_missing_token_file_fails_the_start(file: Path) -> None:
    settings = KafkaSettings(
        security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER", token_file=file
    )
    with pytest.raises(CredentialsError, match=r"kafka\.token_file: .* No such file"):
        connection(settings, client_id="me")


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"a\x01auth=b", b"\xff\xfe"])
def test_invalid_tokens_are_neither_sent_nor_shown(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(CredentialsError) as caught:
        TokenFile(file).read()
    assert (
        str(caught.value) == f"kafka.token_file: {file} cannot be used: it holds no bearer token."
    )
    assert caught.value.__cause__ is None


async def test_an_accepted_token_ends_the_exchange(authenticator: Any) -> None:
    assert await authenticator.step(None) == (b"n,,\x01auth=Bearer a.b.c\x01\x01", True)
    assert await authenticator.step(b"") is None


async def test_a_refused_token_is_followed_by_one_byte(authenticator: Any) -> None:
    await authenticator.step(None)
    assert await authenticator.step(b'{"status":"invalid_token"}') == (b"\x01", True)
