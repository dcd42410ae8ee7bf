"""From a key and a grant in files to an answer over HTTP, without a restart."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from sluice_contracts.api_keys import digest, write_key
from sluice_gateway.adapters.identification import OpenIdentification, opened_identification
from sluice_gateway.auth_settings import AuthSettings
from sluice_gateway.metrics import Metrics
from tests.unit.gateway.harness import Gateway, running_gateway

ID = "4fT9kQ2mZx8B"
KEY = write_key(ID, b"\x01" * 32)
NEXT_KEY = write_key(ID, b"\x02" * 32)
METRIC = "sluice_gateway_identity_file_refused"


@dataclass(kw_only=True)
class Files:
    """The files of a gateway."""

    folder: Path
    registry: CollectorRegistry
    open: OpenIdentification
    gateway: Gateway

    def write(self, name: str, content: str) -> None:
        """Put another version in place, and let the gateway look at it."""
        write(self.folder / name, content)
        for each in self.open.files.values():
            each.look()

    def refused(self, setting: str) -> float | None:
        """Return whether the metric says that the newest version is refused."""
        return self.registry.get_sample_value(METRIC, {"setting": setting})

    async def status(self, key: str = KEY, path: str = "/v1/runs") -> int:
        """Return the status of an answer to a client with that key."""
        headers = {"Authorization": f"Bearer {key}"}
        return (await self.gateway.client.get(path, headers=headers)).status


def write(path: Path, content: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(content)
    new.replace(path)


def keys(*keys: str) -> str:
    secrets = "".join(f'\n      - sha256: "{digest(key).hex()}"' for key in keys)
    return f"keys:\n  - id: {ID}\n    principal: ci\n    secrets:{secrets}"


def grants(*scopes: str) -> str:
    return (
        "grants:\n  - principals: [api_key:ci]\n    tenants: [default]\n    workflows: [greet]\n"
        f"    scopes: [{', '.join(scopes)}]\n"
    )


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[Files]:
    write(tmp_path / "keys.yaml", keys(KEY))
    write(tmp_path / "grants.yaml", grants("runs:read"))
    registry = CollectorRegistry()
    auth = AuthSettings(
        mode="required",
        keys_file=tmp_path / "keys.yaml",
        grants_file=tmp_path / "grants.yaml",
    )
    async with (
        opened_identification(auth, metrics=Metrics(registry)) as opened,
        running_gateway(tmp_path, identification=opened.identification) as gateway,
    ):
        yield Files(folder=tmp_path, registry=registry, open=opened, gateway=gateway)


async def test_a_key_is_let_in_to_what_its_principal_has_been_granted(files: Files) -> None:
    assert await files.status() == 200
    assert await files.status(NEXT_KEY) == 401
    assert await files.status(KEY[:-1] + "0") == 401


async def test_a_rotation_has_no_pause(files: Files) -> None:
    files.write("keys.yaml", keys(KEY, NEXT_KEY))
    assert (await files.status(KEY), await files.status(NEXT_KEY)) == (200, 200)
    files.write("keys.yaml", keys(NEXT_KEY))
    assert (await files.status(KEY), await files.status(NEXT_KEY)) == (401, 200)


async def test_a_grant_counts_and_ends_without_a_restart(files: Files) -> None:
    files.write("grants.yaml", grants("runs:start"))
    assert await files.status() == 403
    files.write("grants.yaml", grants("runs:start", "runs:read"))
    assert await files.status() == 200
    files.write("grants.yaml", "grants: []")
    assert await files.status() == 403


@pytest.mark.parametrize("name", ["keys", "grants"])
async def test_a_broken_version_changes_nothing_and_is_an_alert(files: Files, name: str) -> None:
    setting = f"{name}_file"
    assert files.refused(setting) == 0
    files.write(f"{name}.yaml", f"{name}: [{{}}]")
    assert await files.status() == 200
    assert files.refused(setting) == 1
    files.write(f"{name}.yaml", keys(KEY) if name == "keys" else grants("runs:read"))
    assert files.refused(setting) == 0


async def test_no_key_is_in_the_logs_of_a_gateway_that_refuses_it(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    files.write("keys.yaml", f"keys: [{{id: {KEY}, principal: {KEY}}}]")
    for key in (KEY, NEXT_KEY, KEY[:-1], f"{KEY[:-1]}!"):
        for path in ("/v1/runs", "/v1/runs/order-1"):
            await files.status(key, path)
    logs = "".join(capsys.readouterr())
    assert "unauthenticated" in logs
    for key in (KEY, NEXT_KEY):
        # Not even the part of it that is the secret.
        assert key[17:-7] not in logs


async def test_without_identities_everybody_is_let_in_and_the_log_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    auth, metrics = AuthSettings(mode="none"), Metrics(CollectorRegistry())
    async with opened_identification(auth, metrics=metrics) as opened:
        assert not opened.files
    assert "any client may do everything" in capsys.readouterr().out
