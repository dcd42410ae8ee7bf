"""Signing in by a real OpenID provider, mockoidc, as a browser does it."""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from aiohttp import ClientResponse, ClientSession
from jwt import PyJWK
from prometheus_client import CollectorRegistry
from yarl import URL

from sluice_gateway.adapters.identification import opened_identification
from sluice_gateway.auth_settings import AuthSettings
from sluice_gateway.domain.browser_access import BrowserAccess
from sluice_gateway.metrics import Metrics
from tests.support.fake_issuer import signed_with_public_key, unsigned
from tests.support.fake_issuer import token as forged_token
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
- claims: {iss: ISSUER, groups: finance}
  tenants: ["*"]
  workflows: ["*"]
  scopes: ["runs:read"]
"""
ADA = {"Subject": "1", "Email": "Ada@example.com", "EmailVerified": True}


@dataclass
class Browser:
    """Keeps cookies and follows nothing by itself, so that each step can be looked at."""

    gateway: Gateway
    registry: CollectorRegistry
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
async def gateway_with(
    provider: MockOidc, folder: Path, *, audience: str | None = None
) -> AsyncIterator[Browser]:
    """Run a gateway that signs in by the provider; give a browser without cookies.

    The audience is that of programs, by default the same as of browsers.
    """
    ring, secret, grants = folder / "ring.yaml", folder / "secret", folder / "grants.yaml"
    ring.write_text(f"keys: [{{id: a, secret: {base64.b64encode(b'a' * 32).decode()}}}]")
    secret.write_text(f"{provider.client_secret}\n")
    grants.write_text(GRANTS.replace("ISSUER", provider.issuer))
    machines = {"audience": audience or provider.client_id, "kind": "users", "user_id": "email"}
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
        opened_identification(auth, metrics=Metrics(registry := CollectorRegistry())) as opened,
        running_gateway(
            folder,
            identification=opened.identification,
            browser_access=BrowserAccess(public_origin=PUBLIC),
            sign_in=opened.sign_in,
        ) as gateway,
    ):
        yield Browser(gateway, registry)


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


async def test_a_group_of_the_provider_has_what_its_grant_says(
    browser: Browser, provider: MockOidc
) -> None:
    await provider.expect(**{**ADA, "Email": "bob@example.com", "Groups": ["hr", "finance"]})
    assert (await browser.sign_in()).status == 303
    assert (await browser.ask("GET", "/v1/runs")).status == 200
    assert (await browser.ask("POST", "/v1/runs", json=GREET)).status == 403


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
    victim = Browser(browser.gateway, browser.registry)
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


class TestTokensOfPrograms:
    """Each fault with tokens that a real provider has signed, or would not have."""

    async def test_a_good_one_is_taken(self, browser: Browser, provider: MockOidc) -> None:
        assert await listed(browser, await id_token(provider)) == 200

    async def test_a_wrong_audience_is_refused(self, provider: MockOidc, tmp_path: Path) -> None:
        async with gateway_with(provider, tmp_path, audience="https://other.example") as browser:
            assert await listed(browser, await id_token(provider)) == 401

    async def test_an_expired_one_is_refused(self, browser: Browser, provider: MockOidc) -> None:
        await provider.move_clock(seconds=-3600)
        assert await listed(browser, await id_token(provider)) == 401

    async def test_one_that_is_not_valid_yet_is_refused(
        self, browser: Browser, provider: MockOidc
    ) -> None:
        await provider.move_clock(seconds=3600)
        assert await listed(browser, await id_token(provider)) == 401

    async def test_a_swapped_algorithm_is_refused(
        self, browser: Browser, provider: MockOidc
    ) -> None:
        token = await id_token(provider)
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
        async with ClientSession() as outside:
            answer = await outside.get(f"{provider.issuer}/.well-known/jwks.json")
            [key] = (await answer.json())["keys"]
        public = PyJWK(key).key
        for forged in (
            unsigned(claims, key=header["kid"]),
            f"{unsigned(claims, key=header['kid'])}{token.rpartition('.')[2]}",
            signed_with_public_key(claims, key=header["kid"], public=public),
        ):
            assert await listed(browser, forged) == 401
        assert await listed(browser, token) == 200

    async def test_a_flood_of_unknown_keys_makes_one_fetch(
        self, browser: Browser, provider: MockOidc
    ) -> None:
        claims = jwt.decode(await id_token(provider), options={"verify_signature": False})
        for number in range(100):
            forged = forged_token(claims, kid=f"unknown-{number}")
            assert await listed(browser, forged) == 401
        assert fetches(browser, provider) == 1

    async def test_a_rotated_key_is_taken(
        self, browser: Browser, provider: MockOidc, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = await id_token(provider)
        assert await listed(browser, old) == 200
        await provider.rotate()
        new = await id_token(provider)
        # Within 30 s of the last fetch it is not known.
        assert await listed(browser, new) == 401
        monkeypatch.setattr("sluice_gateway.services.rare_fetch.FETCH_INTERVAL", 0.0)
        assert await listed(browser, new) == 200
        # The old key is not published any more, so what it has signed is worth nothing.
        assert await listed(browser, old) == 401


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


async def listed(browser: Browser, token: str) -> int:
    """List runs as a program, and give the status."""
    response = await browser.gateway.client.get("/v1/runs", headers=bearer(token))
    return response.status


def fetches(browser: Browser, provider: MockOidc) -> float | None:
    """Give how often the provider's keys were fetched."""
    labels = {"issuer": provider.issuer, "result": "success"}
    return browser.registry.get_sample_value("sluice_gateway_key_fetches_total", labels)


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
