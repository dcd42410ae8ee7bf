"""Signing people in, by a stand-in for an identity provider; tests/contract has a real one."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Principal
from sluice_gateway.domain.key_ring import KeyRing, RingKey
from sluice_gateway.domain.token_principals import Users
from sluice_gateway.identity_ports import (
    CredentialKind,
    Credentials,
    FetchError,
    ProviderEndpoints,
    UnauthenticatedError,
)
from sluice_gateway.services.issuer_keys import IssuerKeys
from sluice_gateway.services.rare_fetch import FETCH_INTERVAL
from sluice_gateway.services.sessions import MAX_COOKIE_BYTES, Sessions
from sluice_gateway.services.sign_in import (
    ATTEMPT,
    Begun,
    Returned,
    SignedIn,
    SignIn,
    SignInConfig,
    SignInError,
)
from sluice_gateway.services.sign_in_limits import SignInLimits
from sluice_gateway.services.trusted_issuer import TrustedIssuer
from tests.support.fake_issuer import FakeIssuer, token

pytestmark = pytest.mark.looptime

ISSUER = "https://accounts.example"
CLIENT = "sluice"
REDIRECT = "https://runs.example/sign-in/callback"
NOW = datetime(2026, 9, 1, 12, 0, 0, tzinfo=UTC)
KEY = RingKey(id="a", secret=b"a" * 32)


@dataclass
class FakeProvider:
    """Gives an ID token for every code; `claims` are added, and `away` is why it gives none."""

    claims: dict[str, Any] = field(default_factory=dict)
    nonce: str = ""
    away: str | None = None
    asked_for_endpoints: int = 0
    redeemed: list[dict[str, str]] = field(default_factory=list)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        self.answers.set()

    async def endpoints(self) -> ProviderEndpoints:
        self.asked_for_endpoints += 1
        if self.away is not None:
            raise FetchError(self.away)
        return ProviderEndpoints(
            authorization=f"{ISSUER}/authorize", token=f"{ISSUER}/token", secret_in_body=False
        )

    async def redeem(self, endpoints: ProviderEndpoints, **asked: str) -> str:
        self.redeemed.append(asked)
        self.arrived.put_nowait(None)
        await self.answers.wait()
        if self.away is not None:
            raise FetchError(self.away)
        seconds = int(NOW.timestamp())
        common = {"iss": ISSUER, "aud": CLIENT, "sub": "ada", "iat": seconds, "exp": seconds + 60}
        return token({**common, "nonce": self.nonce, **self.claims})


@dataclass
class Browser:
    """What the test has of the gateway, with a clock that stands still."""

    provider: FakeProvider
    keys: FakeIssuer
    ring: list[RingKey]
    now: datetime = NOW

    def __post_init__(self) -> None:
        numbers = count()

        def random(size: int) -> bytes:
            return next(numbers).to_bytes(size, "big")

        def seconds() -> float:
            return self.now.timestamp()

        self.sessions = Sessions(
            ring=lambda: KeyRing(tuple(self.ring)),
            lifetime=timedelta(hours=8),
            now=lambda: self.now,
            random=random,
        )
        self.sign_in = SignIn(
            SignInConfig(redirect_uri=REDIRECT, scopes=("openid", "email")),
            provider=self.provider,
            issuer=TrustedIssuer(
                issuer=ISSUER,
                audience=CLIENT,
                keys=IssuerKeys(
                    self.keys,
                    issuer=ISSUER,
                    algorithms=("RS256",),
                    withdrawn=lambda: None,
                    fetched=lambda _: None,
                ),
                rule=Users(),
            ),
            sessions=self.sessions,
            ring=lambda: KeyRing(tuple(self.ring)),
            limits=SignInLimits(clock=seconds),
            now=lambda: self.now,
            random=random,
        )

    async def begin(self) -> tuple[Begun, dict[str, str]]:
        """Begin, and give what the identity provider is asked; it notes the nonce."""
        begun = await self.sign_in.begin("/docs")
        asked = {name: value for name, [value] in parse_qs(urlsplit(begun.location).query).items()}
        self.provider.nonce = asked["nonce"]
        return begun, asked

    async def signed_in(self, **claims: Any) -> SignedIn:
        self.provider.claims = claims
        begun, asked = await self.begin()
        return await self.sign_in.finish(
            Returned(cookie=begun.cookie, state=asked["state"], code="c")
        )

    async def refusal(self, **claims: Any) -> str:
        with pytest.raises(SignInError) as raised:
            await self.signed_in(**claims)
        return str(raised.value)

    async def who(self, cookie: str) -> Principal:
        return await self.sessions.authenticate(Credentials(CredentialKind.SESSION, cookie))


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    made = Browser(FakeProvider(), FakeIssuer("rsa-1"), [KEY])
    yield made
    await made.sign_in.close()


async def test_the_provider_is_asked_by_code_and_pkce(browser: Browser) -> None:
    begun, asked = await browser.begin()
    assert begun.location.startswith(f"{ISSUER}/authorize?")
    assert {name: asked[name] for name in ("response_type", "client_id", "redirect_uri")} == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": REDIRECT,
    }
    assert (asked["scope"], asked["code_challenge_method"]) == ("openid email", "S256")
    await browser.sign_in.finish(Returned(cookie=begun.cookie, state=asked["state"], code="c"))
    [redeemed] = browser.provider.redeemed
    digest = hashlib.sha256(redeemed["verifier"].encode()).digest()
    assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert redeemed["redirect_uri"] == REDIRECT


async def test_no_secret_of_an_attempt_leaves_the_gateway_readable(browser: Browser) -> None:
    begun, asked = await browser.begin()
    await browser.sign_in.finish(Returned(cookie=begun.cookie, state=asked["state"], code="c"))
    assert browser.provider.redeemed[0]["verifier"] not in begun.location + begun.cookie
    assert begun.cookie not in repr(begun)


async def test_two_attempts_share_nothing(browser: Browser) -> None:
    (_, first), (_, second) = await browser.begin(), await browser.begin()
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]
        assert len(first[name]) == 43
    assert browser.provider.asked_for_endpoints == 1


async def test_who_has_signed_in_is_known_by_the_cookie_until_it_expires(browser: Browser) -> None:
    signed_in = await browser.signed_in(groups=["finance"])
    assert signed_in.return_to == "/docs"
    found = await browser.who(signed_in.cookie)
    assert found == signed_in.user
    assert str(found) == "user:ada"
    assert found.claims == {"iss": ISSUER, "sub": "ada", "groups": ["finance"]}
    browser.now = NOW + timedelta(hours=7, minutes=59)
    assert await browser.who(signed_in.cookie) == found
    browser.now = NOW + timedelta(hours=8)
    with pytest.raises(UnauthenticatedError, match="expired"):
        await browser.who(signed_in.cookie)


async def test_a_session_ends_with_its_key(browser: Browser) -> None:
    signed_in = await browser.signed_in()
    browser.ring[:] = [RingKey(id="b", secret=b"b" * 32), KEY]
    assert await browser.who(signed_in.cookie) == signed_in.user
    browser.ring.remove(KEY)
    with pytest.raises(UnauthenticatedError):
        await browser.who(signed_in.cookie)


async def test_the_cookie_of_an_attempt_is_not_a_session(browser: Browser) -> None:
    begun, _ = await browser.begin()
    with pytest.raises(UnauthenticatedError):
        await browser.who(begun.cookie)


@pytest.mark.parametrize(
    "change", [{"state": "x"}, {"state": "ä"}, {"cookie": "a.x"}, {"cookie": ""}]
)
async def test_an_answer_to_another_attempt_is_refused(
    browser: Browser, change: dict[str, str]
) -> None:
    begun, asked = await browser.begin()
    returned = {"cookie": begun.cookie, "state": asked["state"], "code": "c"}
    with pytest.raises(SignInError):
        await browser.sign_in.finish(Returned(**{**returned, **change}))
    assert not browser.provider.redeemed


async def test_an_answer_with_another_browsers_state_is_refused(browser: Browser) -> None:
    (_, theirs), (ours, _) = await browser.begin(), await browser.begin()
    with pytest.raises(SignInError, match="than this browser's last one"):
        await browser.sign_in.finish(Returned(cookie=ours.cookie, state=theirs["state"], code="c"))
    assert not browser.provider.redeemed


async def test_an_answer_that_comes_too_late_is_refused(browser: Browser) -> None:
    begun, asked = await browser.begin()
    browser.now = NOW + ATTEMPT
    with pytest.raises(SignInError, match="too long ago"):
        await browser.sign_in.finish(Returned(cookie=begun.cookie, state=asked["state"], code="c"))


async def test_an_answer_of_another_provider_is_refused(browser: Browser) -> None:
    begun, asked = await browser.begin()
    returned = Returned(cookie=begun.cookie, state=asked["state"], code="c", issuer="https://b")
    with pytest.raises(SignInError, match="another identity provider"):
        await browser.sign_in.finish(returned)
    assert not browser.provider.redeemed


@pytest.mark.parametrize("nonce", ["of another attempt", None, 7])
async def test_a_token_with_another_nonce_is_refused(browser: Browser, nonce: object) -> None:
    assert "nonce" in await browser.refusal(nonce=nonce)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"azp": "another"},
        {"iss": "https://evil.example"},
        {"exp": int(NOW.timestamp()) - 60},
        {"sub": "a b"},
    ],
)
async def test_a_token_that_is_not_for_us_is_refused(
    browser: Browser, claims: dict[str, Any]
) -> None:
    await browser.refusal(**claims)


async def test_a_token_for_several_clients_names_ours(browser: Browser) -> None:
    signed_in = await browser.signed_in(aud=[CLIENT, "another"], azp=CLIENT)
    assert signed_in.user.id == "ada"


async def test_a_token_by_another_key_is_refused(browser: Browser) -> None:
    browser.keys.keys[0]["kid"] = "rsa-2"
    assert "key" in await browser.refusal()


async def test_claims_that_do_not_fit_into_a_cookie_are_refused(browser: Browser) -> None:
    few = await browser.signed_in(groups=["g" * 64] * 30)
    assert len(few.cookie) <= MAX_COOKIE_BYTES
    assert "fewer groups" in await browser.refusal(groups=["g" * 64] * 60)


async def test_a_provider_that_is_away_is_asked_every_30_seconds(browser: Browser) -> None:
    browser.provider.away = "out of order"
    for _ in range(10):
        with pytest.raises(ProblemError) as raised:
            await browser.begin()
        assert raised.value.problem.type is ProblemType.UNAVAILABLE
        assert raised.value.retry_after == FETCH_INTERVAL
    assert browser.provider.asked_for_endpoints == 1


async def test_a_code_that_the_provider_refuses_signs_nobody_in(browser: Browser) -> None:
    begun, asked = await browser.begin()
    browser.provider.away = "invalid_grant"
    with pytest.raises(SignInError):
        await browser.sign_in.finish(Returned(cookie=begun.cookie, state=asked["state"], code="c"))


async def _refused(browser: Browser, returned: Returned) -> ProblemError:
    """Come back with it, and give why the identity provider is not asked."""
    asked = len(browser.provider.redeemed)
    with pytest.raises(ProblemError) as raised:
        await browser.sign_in.finish(returned)
    assert len(browser.provider.redeemed) == asked
    return raised.value


async def test_codes_that_are_made_up_are_redeemed_at_a_bounded_rate(browser: Browser) -> None:
    begun, asked = await browser.begin()
    returned = Returned(cookie=begun.cookie, state=asked["state"], code="made up", client="a")
    browser.provider.away = "invalid_grant"
    for _ in range(30):
        with pytest.raises(SignInError):
            await browser.sign_in.finish(returned)
    refused = await _refused(browser, returned)
    assert (refused.problem.type, refused.retry_after) == (ProblemType.RATE_LIMITED, 2)
    # Others sign in meanwhile, and so does this one after a while.
    browser.provider.away = None
    await browser.sign_in.finish(replace(returned, client="b"))
    browser.now += timedelta(seconds=2)
    await browser.sign_in.finish(returned)


async def test_only_some_codes_are_redeemed_at_a_time(browser: Browser) -> None:
    begun, asked = await browser.begin()
    returned = Returned(cookie=begun.cookie, state=asked["state"], code="c", client="a")
    browser.provider.answers.clear()
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(browser.sign_in.finish(returned))
            await browser.provider.arrived.get()
        refused = await _refused(browser, returned)
        assert refused.problem.type is ProblemType.OVERLOADED
        for name in ("b", "b", "b", "b"):
            group.create_task(browser.sign_in.finish(replace(returned, client=name)))
            await browser.provider.arrived.get()
        browser.provider.answers.set()
    # All places are given back.
    await browser.sign_in.finish(returned)
