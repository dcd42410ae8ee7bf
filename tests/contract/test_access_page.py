"""docs/access.md does what it says: its commands are executed, in the order of the page."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from sluice_contracts.api_keys import PATTERN
from sluice_gateway.adapters.identification import opened_identification
from sluice_gateway.adapters.identity_files import read_grants, read_keys
from sluice_gateway.auth_settings import AuthSettings
from sluice_gateway.metrics import Metrics
from sluice_workflows.catalogue import Catalogue
from sluice_workflows.entries import Entry, TemplateRef
from tests.unit.gateway.harness import Gateway, GreetParameters, running_gateway

pytestmark = pytest.mark.contract

PAGE = Path(__file__).parents[2] / "docs" / "access.md"
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
ADDRESS = "http://localhost:8080/"
KUBECTL = """#!/bin/sh
# A stand-in: notes how it was called, and reads what it is given.
echo "$@" >>kubectl.log
[ "$1" = apply ] && cat >/dev/null
exit 0
"""

CATALOGUE = Catalogue(
    [
        Entry(
            name="hello",
            description="Greets somebody.",
            parameters=GreetParameters,
            template=TemplateRef(name="hello"),
        )
    ]
)


@asynccontextmanager
async def gateway_of_the_page(folder: Path) -> AsyncIterator[Gateway]:
    """Run a gateway with the files in the folder, at which it looks all the time."""
    auth = AuthSettings(
        mode="required", grants_file=folder / "grants.yaml", keys_file=folder / "keys.yaml"
    )
    async with opened_identification(auth, metrics=Metrics(CollectorRegistry())) as opened:
        often = timedelta(milliseconds=20)
        looking = asyncio.gather(*(file.run(every=often) for file in opened.files.values()))
        try:
            async with running_gateway(
                folder, identification=opened.identification, catalogue=CATALOGUE
            ) as gateway:
                yield gateway
        finally:
            looking.cancel()


async def execute(script: str, folder: Path) -> str:
    """Execute a script in the folder; the `kubectl` there is a stand-in."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", script),
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": "/nonexistent",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return printed.decode()


async def test_the_commands_of_the_page_add_a_tenant_and_rotate_its_key(tmp_path: Path) -> None:
    (tmp_path / "kubectl").write_text(KUBECTL)
    (tmp_path / "kubectl").chmod(0o755)
    (tmp_path / "grants.yaml").write_text("grants: []")
    (tmp_path / "keys.yaml").write_text("keys: []")
    assert len(COMMANDS) == 6
    async with gateway_of_the_page(tmp_path) as gateway:
        address = f"{gateway.client.make_url('/')}"
        script = "".join(COMMANDS).replace(ADDRESS, address)
        script += 'echo; printf "%s\\n" "$operator" "$acme" "$next"\n'
        printed = await execute(script, tmp_path)

        *_, operator, acme, following = printed.splitlines()
        assert all(re.fullmatch(PATTERN, key) for key in (operator, acme, following))
        [run] = gateway.requests()
        assert (run.key.tenant, run.key.run_id) == ("acme", "order-4711")
        for key, tenant, status in (
            (operator, "acme", 200),
            (following, "acme", 200),
            # Of another tenant it sees nothing.
            (following, "default", 404),
            (acme, "acme", 401),
        ):
            response = await gateway.client.get(
                f"/v1/runs/order-4711?tenant={tenant}", headers={"Authorization": f"Bearer {key}"}
            )
            assert response.status == status

    # What is written down has no key.
    for name in ("keys.yaml", "grants.yaml"):
        assert not re.search(PATTERN, (tmp_path / name).read_text())
    read_keys((tmp_path / "keys.yaml").read_bytes(), source="keys.yaml")
    assert len(read_grants((tmp_path / "grants.yaml").read_bytes(), source="g").grants) == 2
    assert [line.split()[0] for line in (tmp_path / "kubectl.log").read_text().splitlines()] in (
        ["--namespace", "apply"],
        ["apply", "--namespace"],
    )
