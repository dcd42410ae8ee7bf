"""Signing in by a real OpenID provider, mockoidc, as a browser does it."""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientResponse, ClientSession
from prometheus_client import CollectorRegistry
from yarl import URL

from sluice_gateway.adapters.identification import opened_identification
from sluice_gateway.auth_settings import AuthSettings
from sluice_gateway.domain.browser_access import BrowserAccess
from sluice_gateway.metrics import Metrics
from tests.support.mockoidc import MockOidc, mockoidc
from tests.unit.gateway.harness import GREET, Gateway, running_gateway

pytestmark = pytest.mark.charts

# What a proxy with TLS would be; the test goes to the gateway behind it.
PUBLIC = "https://runs.example.com"
GRANTS = """
grants:
- principals: ["user:ada@example.com"]
  tenants: ["*"]
  workflows: ["*"]
  scopes: ["runs:start", "runs:read"]
"""
ADA = {"Subject": "1", "Email": "Ada@example.com", "EmailVerified": True}


@dataclass
class Browser:
    """Keeps cookies and follows nothing by itself, so that each step can be looked at."""

    gateway: Gateway
    cookies: dict[str, Morsel[str]] = field(default_factory=dict)

    async def ask(
        self, method: str, path: str, *, page: bool = True, **options: Any
    ) -> ClientResponse:
        """Ask the gateway, by default for a page of its own."""
        headers = {"Sec-Fetch-Site": "same-origin" if page else "cross-site"}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{n}={m.value}" for n, m in self.cookies.items())
        response = await self.gateway.client.request(
            method, path, headers=headers, allow_redirects=False, **options
        )
        for header in response.headers.getall("Set-Cookie", []):
            for name, morsel in SimpleCookie(header).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel
        return response

    async def begin(self, return_to: str = "/docs") -> str:
        """Begin to sign in; give the address at the provider."""
        response = await self.ask("GET", "/sign-in", params={"return_to": return_to})
        assert response.status == 303
        return response.headers["Location"]

    async def come_back(self, address: str) -> ClientResponse:
        """Go to the provider, who signs everybody in, and back to the gateway."""
        async with ClientSession() as outside:
            response = await outside.get(URL(address, encoded=True), allow_redirects=False)
            assert response.status == 302
            back = response.headers["Location"]
        assert back.startswith(f"{PUBLIC}/sign-in/callback?")
        return await self.ask("GET", back.removeprefix(PUBLIC), page=False)

    async def sign_in(self) -> ClientResponse:
        return await self.come_back(await self.begin())


@pytest.fixture
async def provider() -> AsyncIterator[MockOidc]:
    async with mockoidc() as provider:
        yield provider


@asynccontextmanager
async def gateway_with(provider: MockOidc, folder: Path) -> AsyncIterator[Browser]:
    """Run a gateway that signs in by the provider; give a browser without cookies."""
    ring, secret, grants = folder / "ring.yaml", folder / "secret", folder / "grants.yaml"
    ring.write_text(f"keys: [{{id: a, secret: {base64.b64encode(b'a' * 32).decode()}}}]")
    secret.write_text(f"{provider.client_secret}\n")
    grants.write_text(GRANTS)
    machines = {"audience": provider.client_id, "kind": "users", "user_id": "email"}
    auth = AuthSettings.model_validate(
        {
            "mode": "required",
            "grants_file": grants,
            "key_ring_file": ring,
            "oidc": {"issuers": [{"issuer": provider.issuer, **machines}]},
            "sign_in": {
                "issuer": provider.issuer,
                "client_id": provider.client_id,
                "client_secret_file": secret,
                "public_origin": PUBLIC,
                "scopes": "openid, email, groups",
                "user_id": "email",
            },
        }
    )
    async with (
        opened_identification(auth, metrics=Metrics(CollectorRegistry())) as opened,
        running_gateway(
            folder,
            identification=opened.identification,
            browser_access=BrowserAccess(public_origin=PUBLIC),
            sign_in=opened.sign_in,
        ) as gateway,
    ):
        yield Browser(gateway)


@pytest.fixture
async def browser(provider: MockOidc, tmp_path: Path) -> AsyncIterator[Browser]:
    async with gateway_with(provider, tmp_path) as browser:
        yield browser


async def test_somebody_signs_in_starts_a_run_and_signs_out(
    browser: Browser, provider: MockOidc
) -> None:
    await provider.expect(**ADA)
    assert (await browser.ask("GET", "/v1/runs")).status == 401
    response = await browser.sign_in()
    assert (response.status, response.headers["Location"]) == (303, "/docs")
    assert response.headers["Cache-Control"] == "no-store"

    assert list(browser.cookies) == ["__Host-sluice"]
    cookie = browser.cookies["__Host-sluice"]
    assert cookie["secure"] and cookie["httponly"]  # noqa: PT018 - two flags
    assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Lax", "/", "")
    assert int(cookie["max-age"]) == 8 * 3600
    assert "ada" not in cookie.value.lower()

    assert (await browser.ask("GET", "/v1/runs")).status == 200
    assert (await browser.ask("POST", "/v1/runs", json=GREET)).status == 202
    assert (await browser.ask("POST", "/v1/runs", json=GREET, page=False)).status == 403

    assert (await browser.ask("POST", "/sign-out", page=False)).status == 403
    assert (await browser.ask("POST", "/sign-out")).status == 204
    assert not browser.cookies
    assert (await browser.ask("GET", "/v1/runs")).status == 401


async def test_somebody_without_a_grant_signs_in_and_may_do_nothing(
    browser: Browser, provider: MockOidc
) -> None:
    await provider.expect(**{**ADA, "Email": "eve@example.com"})
    assert (await browser.sign_in()).status == 303
    assert (await browser.ask("GET", "/v1/runs")).status == 403


async def test_an_email_that_is_not_verified_signs_nobody_in(
    browser: Browser, provider: MockOidc
) -> None:
    await provider.expect(**{**ADA, "EmailVerified": False})
    response = await browser.sign_in()
    assert response.status == 403
    assert "verified" in (await response.json(content_type=None))["detail"]
    assert "__Host-sluice" not in browser.cookies


async def test_a_code_works_once(browser: Browser, provider: MockOidc) -> None:
    await provider.expect(**ADA)
    address = await browser.begin()
    attempt = dict(browser.cookies)
    first = await browser.come_back(address)
    assert first.status == 303
    browser.cookies = attempt
    again = await browser.ask("GET", str(first.url.relative()))
    assert again.status == 403


async def test_another_browsers_code_signs_nobody_in(browser: Browser) -> None:
    address = await browser.begin()
    victim = Browser(browser.gateway)
    assert (await victim.come_back(address)).status == 403
    # Not even while the victim is about to sign in.
    await victim.begin()
    assert (await victim.come_back(address)).status == 403
    assert "__Host-sluice" not in victim.cookies


async def test_the_provider_compares_the_verifier_with_the_challenge(browser: Browser) -> None:
    address = await browser.begin()
    asked = parse_qs(urlsplit(address).query)
    assert asked["code_challenge_method"] == ["S256"]
    forged = address.replace(asked["code_challenge"][0], "x" * 43)
    assert (await browser.come_back(forged)).status == 403


async def test_a_wrong_client_secret_signs_nobody_in(provider: MockOidc, tmp_path: Path) -> None:
    async with gateway_with(provider, tmp_path) as browser:
        (tmp_path / "secret").write_text("wrong")
        assert (await browser.sign_in()).status == 403
        (tmp_path / "secret").write_text(provider.client_secret)
        await provider.expect(**ADA)
        assert (await browser.sign_in()).status == 303


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"code": "c", "state": "s"},
        {"error": "access_denied", "error_description": "<script>alert(1)</script>"},
        {"error": "<script>"},
    ],
)
async def test_an_answer_without_an_attempt_signs_nobody_in(
    browser: Browser, query: Mapping[str, str]
) -> None:
    response = await browser.ask("GET", "/sign-in/callback", params=query)
    assert response.status == 403
    assert "script" not in await response.text()
    assert response.content_type == "application/problem+json"


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", ""])
async def test_nobody_is_sent_to_another_site(browser: Browser, path: str) -> None:
    response = await browser.ask("GET", "/sign-in", params={"return_to": path})
    assert response.status == 422


async def test_a_token_of_the_provider_lets_a_program_in(
    browser: Browser, provider: MockOidc
) -> None:
    token = await id_token(provider)
    response = await browser.gateway.client.get(
        "/v1/runs", headers={"Authorization": f"Bearer {token}"}
    )
    assert response.status == 200


async def test_a_provider_that_has_gone_leaves_sessions_and_known_keys(
    browser: Browser, provider: MockOidc
) -> None:
    first, second = await id_token(provider), await id_token(provider)
    client = browser.gateway.client
    assert (await client.get("/v1/runs", headers=bearer(first))).status == 200
    await provider.expect(**ADA)
    assert (await browser.sign_in()).status == 303
    provider.process.kill()
    await provider.process.wait()
    assert (await client.get("/v1/runs", headers=bearer(second))).status == 200
    assert (await browser.ask("GET", "/v1/runs")).status == 200


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def id_token(provider: MockOidc) -> str:
    """Let Ada have a token of the provider, as a program of hers would."""
    await provider.expect(**ADA)
    client = {"client_id": provider.client_id, "client_secret": provider.client_secret}
    query = {
        "response_type": "code",
        "scope": "openid email",
        "state": "s",
        "client_id": provider.client_id,
        "redirect_uri": PUBLIC,
    }
    async with ClientSession() as outside:
        back = await outside.get(
            f"{provider.issuer}/authorize", params=query, allow_redirects=False
        )
        code = URL(back.headers["Location"]).query["code"]
        form = {**client, "grant_type": "authorization_code", "code": code}
        answer = await outside.post(f"{provider.issuer}/token", data=form)
        token: str = (await answer.json())["id_token"]
        return token
