"""A gateway whose files cannot work does not start, and says which one it is."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from sluice_gateway.adapters.identification import opened_identification
from sluice_gateway.auth_settings import AuthSettings
from sluice_gateway.metrics import Metrics
from sluice_runtime.service import StartupError
from tests.support.fake_issuer import jwk

RING = f"keys: [{{id: a, secret: {base64.b64encode(b'a' * 32).decode()}}}]"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write files that work."""
    (tmp_path / "grants.yaml").write_text("grants: []")
    (tmp_path / "ring.yaml").write_text(RING)
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [jwk("rsa-1")]}))
    return tmp_path


async def opened(folder: Path, **changes: Any) -> dict[str, bool]:
    """Open identities by all of the files; give what there is."""
    issuer = {
        "issuer": "https://kubernetes.default.svc",
        "audience": "sluice",
        "kind": "kubernetes",
        "jwks_file": folder / "keys.json",
        **changes.pop("issuer", {}),
    }
    sign_in = {
        "issuer": "https://accounts.example",
        "client_id": "sluice",
        "client_secret_file": folder / "secret",
        "public_origin": "https://runs.example.com",
        **changes.pop("sign_in", {}),
    }
    auth = AuthSettings.model_validate(
        {
            "mode": "required",
            "grants_file": folder / "grants.yaml",
            "key_ring_file": folder / "ring.yaml",
            "oidc": {"issuers": [issuer]},
            "sign_in": sign_in,
            "watch_links": {"enabled": True},
        }
    )
    async with opened_identification(auth, metrics=Metrics(CollectorRegistry())) as found:
        return {
            "sign_in": found.sign_in is not None,
            "watch_links": found.watch_links is not None,
            "ring": "key_ring_file" in found.files,
        }


async def test_everything_is_there_that_the_settings_ask_for(folder: Path) -> None:
    assert await opened(folder) == {"sign_in": True, "watch_links": True, "ring": True}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("grants.yaml", "grants: {}"),
        ("ring.yaml", "keys: []"),
        ("keys.json", '{"keys": []}'),
        ("keys.json", "<html>"),
    ],
)
async def test_a_file_that_cannot_be_used_is_named(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content)
    with pytest.raises(StartupError, match=name):
        await opened(folder)


@pytest.mark.parametrize("name", ["grants.yaml", "ring.yaml", "secret", "keys.json"])
async def test_a_file_that_is_missing_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(StartupError, match=name):
        await opened(folder)


@pytest.mark.parametrize("content", [None, "not a certificate"])
async def test_authorities_that_cannot_be_used_are_named(folder: Path, content: str | None) -> None:
    file = folder / "ca.crt"
    if content is not None:
        file.write_text(content)
    with pytest.raises(StartupError, match=r"ca\.crt"):
        await opened(folder, issuer={"jwks_file": None, "ca_file": file})
    with pytest.raises(StartupError, match=r"ca\.crt"):
        await opened(folder, sign_in={"ca_file": file})
