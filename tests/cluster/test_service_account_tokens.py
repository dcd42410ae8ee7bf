"""Tokens that a real API server signs let ServiceAccounts in, as docs/oidc.md says."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from sluice_gateway.adapters.identification import opened_identification
from sluice_gateway.auth_settings import AuthSettings
from sluice_gateway.metrics import Metrics
from testbed.cluster.certificates import Authority
from testbed.machine.addresses import API_URL
from testbed.testbed import Testbed
from tests.support.fake_issuer import token as forged_token
from tests.support.oidc_page import commands, documents
from tests.unit.gateway.harness import Gateway, running_gateway

pytestmark = pytest.mark.cluster

SECTION = "A pod on Kubernetes"
ADDRESS = "http://localhost:8080"
# What the page has for a namespace, a tenant and a folder; the test has others.
SHOP = "shop"


@dataclass(frozen=True)
class Shop:
    """A namespace with the ServiceAccount of the page, and the folder that its reader is in."""

    testbed: Testbed
    namespace: str
    folder: Path

    def token(self, account: str, *options: str) -> str:
        """Give a token of an account, as the API server signs it."""
        return (
            self.testbed.kubectl()
            .within(self.namespace)("create", "token", account, "--duration=10m", *options)
            .strip()
        )

    async def execute(self, command: str) -> tuple[int, str]:
        """Execute a command of the page with this cluster's kubectl."""
        kubectl = self.testbed.kubectl()
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", command),
            cwd=self.folder,
            env={
                "PATH": f"{kubectl.program.parent}:{os.environ['PATH']}",
                "KUBECONFIG": str(kubectl.kubeconfig),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await process.communicate()
        return process.returncode or 0, printed.decode()

    def of_the_page(self) -> dict[str, Any]:
        """Give the documents of the page for this namespace."""
        text = yaml.safe_dump(documents(SECTION)).replace(SHOP, self.namespace)
        found: dict[str, Any] = yaml.safe_load(text)
        return found


@pytest.fixture
def shop(testbed: Testbed, namespace: str, tmp_path: Path) -> Shop:
    for account in ("checkout", "other"):
        testbed.kubectl().within(namespace)("create", "serviceaccount", account)
    return Shop(testbed, namespace, tmp_path)


@asynccontextmanager
async def gateway_of(shop: Shop, **changes: Any) -> AsyncIterator[Gateway]:
    """Run a gateway with the settings and grants of the page, and maybe others for the issuer."""
    page = shop.of_the_page()
    [issuer] = page["auth"]["auth"]["oidc"]["issuers"]
    issuer = {**issuer, "jwks_file": shop.folder / issuer["jwks_file"], **changes}
    grants = shop.folder / "grants.yaml"
    grants.write_text(yaml.safe_dump(page["grants"]))
    auth = AuthSettings.model_validate(
        {"mode": "required", "grants_file": grants, "oidc": {"issuers": [issuer]}}
    )
    async with (
        opened_identification(auth, metrics=Metrics(CollectorRegistry())) as opened,
        running_gateway(shop.folder, identification=opened.identification) as gateway,
    ):
        yield gateway


@pytest.fixture
async def gateway(shop: Shop) -> AsyncIterator[Gateway]:
    """A gateway that has the cluster's keys, saved by the commands of the page."""
    status, printed = await shop.execute(commands(SECTION)[0])
    assert status == 0, printed
    [issuer] = shop.of_the_page()["auth"]["auth"]["oidc"]["issuers"]
    assert issuer["issuer"] in printed
    async with gateway_of(shop) as gateway:
        yield gateway


async def listed(gateway: Gateway, token: str) -> int:
    """List runs and give the status."""
    response = await gateway.client.get("/v1/runs", headers={"Authorization": f"Bearer {token}"})
    return response.status


async def test_a_token_starts_a_run_by_the_commands_of_the_page(
    shop: Shop, gateway: Gateway
) -> None:
    command = commands(SECTION)[1].replace(SHOP, shop.namespace)
    assert ADDRESS in command
    status, printed = await shop.execute(
        command.replace(ADDRESS, str(gateway.client.make_url("/")).rstrip("/"))
    )
    assert status == 0, printed
    [received] = gateway.requests()
    assert str(received.key) == f"{shop.namespace}/order-4711"


def test_the_pod_of_the_page_is_valid(shop: Shop) -> None:
    page = shop.of_the_page()
    pod = yaml.safe_dump(page["apiVersion"])
    shop.testbed.kubectl()("create", "--dry-run=server", "-f", "-", stdin=pod)


async def test_a_wrong_audience_is_refused(shop: Shop, gateway: Gateway) -> None:
    assert await listed(gateway, shop.token("checkout", "--audience=sluice")) == 200
    assert await listed(gateway, shop.token("checkout", "--audience=another")) == 401
    # The API server's own, which every pod has by default.
    assert await listed(gateway, shop.token("checkout")) == 401


async def test_another_account_has_no_grant(shop: Shop, gateway: Gateway) -> None:
    assert await listed(gateway, shop.token("other", "--audience=sluice")) == 403


async def test_a_token_that_was_changed_is_refused(shop: Shop, gateway: Gateway) -> None:
    token = shop.token("other", "--audience=sluice")
    wanted = shop.token("checkout", "--audience=sluice").split(".")[1]
    header, _, signature = token.split(".")
    assert await listed(gateway, f"{header}.{wanted}.{signature}") == 401
    assert await listed(gateway, forged_token({"iss": "https://kubernetes.default.svc"})) == 401


async def test_keys_that_ask_for_credentials_are_unavailable_until_they_are_public(
    shop: Shop,
) -> None:
    authority = Authority(shop.testbed.folders.state / "certificates").certificate
    address = {
        "jwks_file": None,
        "jwks_url": f"{API_URL}/openid/v1/jwks",
        "ca_file": authority,
    }
    token, kubectl = shop.token("checkout", "--audience=sluice"), shop.testbed.kubectl()
    async with gateway_of(shop, **address) as gateway:
        assert await listed(gateway, token) == 503
    binding = f"public-keys-{shop.namespace}"
    kubectl(
        *("create", "clusterrolebinding", binding, "--group=system:unauthenticated"),
        "--clusterrole=system:service-account-issuer-discovery",
    )
    try:
        async with gateway_of(shop, **address) as gateway:
            assert await listed(gateway, token) == 200
    finally:
        kubectl("delete", "clusterrolebinding", binding)
