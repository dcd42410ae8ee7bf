"""How connections to PostgreSQL are made: the password, and whom they trust."""

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from pydantic import ValidationError

from sluice_runtime.kafka.errors import CredentialsError
from sluice_runtime.postgres.connections import connect
from sluice_runtime.postgres.settings import PostgresSettings


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what asyncpg is given; nothing is connected."""
    arguments: dict[str, Any] = {}

    async def keep(**more: Any) -> None:
        arguments.update(more)

    monkeypatch.setattr(asyncpg, "connect", keep)
    return arguments


async def test_a_file_is_read_for_every_connection(given: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    await connect(PostgresSettings(password_file=file))
    assert await given["password"]() == "first"
    file.write_text("second")
    assert await given["password"]() == "second"
    file.unlink()
    with pytest.raises(CredentialsError, match=r"store\.postgres\.password_file: .* cannot be"):
        await given["password"]()


async def test_rds_takes_a_signed_request_as_a_password(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    await connect(PostgresSettings(host="db.example.com", aws_region="eu-central-1"))
    token = await given["password"]()
    parts = urlsplit(f"https://{token}")
    query = parse_qs(parts.query)
    assert (parts.netloc, parts.path) == ("db.example.com:5432", "/")
    assert (query["Action"], query["DBUser"]) == (["connect"], ["sluice"])
    assert query["X-Amz-Expires"] == ["900"]
    assert query["X-Amz-Credential"][0].endswith("/eu-central-1/rds-db/aws4_request")
    # A token is text of its own: what is not reserved in it stays as it is.
    assert "secret" not in token


@pytest.mark.parametrize(
    ("tls", "verifies"), [("verify-full", True), ("require", False), ("disable", None)]
)
async def test_the_server_proves_who_it_is_unless_that_is_switched_off(
    given: dict[str, Any], tls: Any, verifies: bool | None
) -> None:
    await connect(PostgresSettings(tls=tls))
    context = given["ssl"]
    if verifies is None:
        assert context is False
    else:
        assert isinstance(context, ssl.SSLContext)
        assert context.check_hostname == verifies
        assert (context.verify_mode == ssl.CERT_REQUIRED) == verifies


@pytest.mark.usefixtures("given")
async def test_an_unusable_authority_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"store\.postgres\.ca_file: .* cannot be used"):
        await connect(PostgresSettings(ca_file=tmp_path / "missing.pem"))


def test_a_password_has_one_source(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="Only one of password, password_file and"):
        PostgresSettings(password="a", password_file=tmp_path / "b")
    with pytest.raises(ValidationError, match="Amazon RDS accepts IAM over TLS only"):
        PostgresSettings(aws_region="eu-central-1", tls="disable")


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in repr(PostgresSettings(password="hunter2"))
