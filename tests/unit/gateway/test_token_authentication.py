"""Tokens of OpenID Connect: each fault is refused, and nothing else is."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Principal, PrincipalKind
from sluice_gateway.domain.token_principals import (
    GitHubActions,
    KubernetesServiceAccounts,
    PrincipalRule,
    Users,
)
from sluice_gateway.domain.verifying_keys import ALGORITHMS
from sluice_gateway.identity_ports import CredentialKind, Credentials, UnauthenticatedError
from sluice_gateway.services.issuer_keys import IssuerKeys
from sluice_gateway.services.rare_fetch import FETCH_INTERVAL, REFRESH_AFTER
from sluice_gateway.services.token_authentication import TokenAuthenticator, VerifiedTokens
from sluice_gateway.services.trusted_issuer import TrustedIssuer
from tests.support.fake_issuer import (
    FakeIssuer,
    jwk,
    private_key,
    signed_as,
    signed_with_public_key,
    token,
    unsigned,
)
from tests.unit.runtime.clock import pause

pytestmark = pytest.mark.looptime

KUBERNETES = "https://kubernetes.default.svc"
GITHUB = "https://token.actions.githubusercontent.com"
PEOPLE = "https://accounts.example"
AUDIENCE = "https://runs.example"
NOW = datetime(2026, 9, 1, 12, 0, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
TIMES = {"iat": SECONDS - 60, "nbf": SECONDS - 60, "exp": SECONDS + 600}


def service_account(**changes: Any) -> dict[str, Any]:
    """Give claims as an API server signs them."""
    return {
        "iss": KUBERNETES,
        "aud": [AUDIENCE],
        "sub": "system:serviceaccount:shop:checkout",
        "kubernetes.io": {
            "namespace": "shop",
            "serviceaccount": {"name": "checkout", "uid": "0a1b"},
        },
        **TIMES,
        **changes,
    }


def github(**changes: Any) -> dict[str, Any]:
    """Give claims as GitHub documents them for a job of octocat/shop on main."""
    return {
        "iss": GITHUB,
        "aud": AUDIENCE,
        "sub": "repo:octocat@123456/shop@456789:ref:refs/heads/main",
        "repository": "octocat/shop",
        "repository_owner": "octocat",
        "repository_id": "456789",
        "repository_owner_id": "123456",
        "ref": "refs/heads/main",
        "ref_type": "branch",
        "environment": "production",
        "event_name": "push",
        "run_id": "17",
        **TIMES,
        **changes,
    }


def person(**changes: Any) -> dict[str, Any]:
    """Give claims of a person."""
    return {
        "iss": PEOPLE,
        "aud": AUDIENCE,
        "sub": "248289761001",
        "email": "Ada@Example.com",
        "email_verified": True,
        "groups": ["finance"],
        **TIMES,
        **changes,
    }


def without(claims: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in claims.items() if each != name}


@dataclass
class Verifier:
    """The authenticator under test; `now` is what its clock says."""

    issuers: dict[str, FakeIssuer]
    verified: VerifiedTokens
    now: datetime = NOW
    users: Users = field(default_factory=Users)

    def __post_init__(self) -> None:
        rules: dict[str, PrincipalRule] = {
            KUBERNETES: KubernetesServiceAccounts(),
            GITHUB: GitHubActions(owners=frozenset({"123456"})),
            PEOPLE: self.users,
        }
        self.keys = {name: self._keys(name) for name in rules}
        self._authenticator = TokenAuthenticator(
            (
                TrustedIssuer(issuer=name, audience=AUDIENCE, keys=self.keys[name], rule=rule)
                for name, rule in rules.items()
            ),
            verified=self.verified,
            now=lambda: self.now,
        )

    def _keys(self, name: str) -> IssuerKeys:
        return IssuerKeys(
            self.issuers[name],
            issuer=name,
            algorithms=ALGORITHMS,
            withdrawn=lambda: self.verified.forget(name),
            fetched=lambda _: None,
        )

    async def who(self, text: str) -> Principal:
        return await self._authenticator.authenticate(Credentials(CredentialKind.BEARER, text))

    async def refusal(self, text: str) -> str:
        """Give why a token is refused."""
        with pytest.raises(UnauthenticatedError) as raised:
            await self.who(text)
        assert not any(part in str(raised.value) for part in text.split(".") if len(part) > 1)
        return str(raised.value)


@pytest.fixture
async def verifier() -> AsyncIterator[Verifier]:
    made = Verifier(
        issuers={name: FakeIssuer("rsa-1") for name in (KUBERNETES, GITHUB, PEOPLE)},
        verified=VerifiedTokens(),
    )
    yield made
    for each in made.keys.values():
        await each.close()


async def test_a_service_account_is_known_by_namespace_and_name(verifier: Verifier) -> None:
    found = await verifier.who(token(service_account()))
    assert str(found) == "service_account:shop/checkout"
    assert found.claims["kubernetes.io"]["serviceaccount"]["uid"] == "0a1b"  # type: ignore[index, call-overload]


async def test_a_job_of_github_is_known_by_the_ids_that_no_rename_changes(
    verifier: Verifier,
) -> None:
    found = await verifier.who(token(github()))
    assert str(found) == "workload:github/123456/456789"
    assert found.claims["ref"] == "refs/heads/main"
    assert found.claims["environment"] == "production"
    # A name can be taken over by others.
    assert not {"sub", "repository", "repository_owner"} & set(found.claims)


async def test_a_person_is_known_by_sub_or_by_email(verifier: Verifier) -> None:
    assert str(await verifier.who(token(person()))) == "user:248289761001"
    by_email = Verifier(verifier.issuers, VerifiedTokens(), users=Users(id="email"))
    found = await by_email.who(token(person()))
    assert found.kind is PrincipalKind.USER
    assert found.id == "ada@example.com"
    assert found.claims["groups"] == ["finance"]


async def test_an_email_that_is_not_verified_is_refused(verifier: Verifier) -> None:
    by_email = Verifier(verifier.issuers, VerifiedTokens(), users=Users(id="email"))
    for verified in (False, "true", None):
        assert "verified" in await by_email.refusal(token(person(email_verified=verified)))
    unverified = await verifier.who(token(person(email_verified=False)))
    assert "email" not in unverified.claims


async def test_a_wrong_audience_is_refused(verifier: Verifier) -> None:
    for audience in ("https://other.example", ["https://other.example"], [], "", None, 7):
        await verifier.refusal(token(service_account(aud=audience)))
    await verifier.refusal(token(without(service_account(), "aud")))


async def test_an_expired_token_is_refused(verifier: Verifier) -> None:
    assert await verifier.refusal(token(service_account(exp=SECONDS - 31))) == "token: expired"
    assert (await verifier.who(token(service_account(exp=SECONDS - 29)))).id == "shop/checkout"


async def test_a_token_that_is_not_yet_valid_is_refused(verifier: Verifier) -> None:
    assert "not valid yet" in await verifier.refusal(token(service_account(nbf=SECONDS + 31)))
    assert "future" in await verifier.refusal(token(service_account(iat=SECONDS + 31)))
    soon = token(service_account(nbf=SECONDS + 29, iat=SECONDS + 29))
    assert (await verifier.who(soon)).id == "shop/checkout"


@pytest.mark.parametrize("name", ["exp", "iat", "sub", "aud", "iss"])
async def test_a_token_without_a_required_claim_is_refused(verifier: Verifier, name: str) -> None:
    await verifier.refusal(token(without(service_account(), name)))


@pytest.mark.parametrize(
    "moment", ["4102444800", True, None, [], float("inf"), float("nan"), 10**400]
)
async def test_a_time_that_is_not_a_moment_is_refused(verifier: Verifier, moment: object) -> None:
    for name in ("exp", "iat", "nbf"):
        await verifier.refusal(token(service_account(**{name: moment})))


async def test_a_swapped_algorithm_is_refused(verifier: Verifier) -> None:
    await verifier.refusal(unsigned(service_account()) + "x")
    await verifier.refusal(signed_with_public_key(service_account()))
    # The key says RS256; it could verify RS512 as well.
    claims = service_account()
    await verifier.refusal(
        jwt.encode(claims, private_key("rsa-1"), algorithm="RS512", headers={"kid": "rsa-1"})
    )


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["https://evil.example/is-admin"], "https://evil.example/is-admin": True},
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": "b64"},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
    ],
)
async def test_an_extension_that_is_critical_is_not_skipped(
    verifier: Verifier, header: dict[str, Any]
) -> None:
    """Who does not understand what the signer calls critical refuses (RFC 7515 section 4.1.11)."""
    await verifier.refusal(signed_as(service_account(), **header))


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
async def test_a_token_does_not_bring_its_own_key(verifier: Verifier, name: str) -> None:
    own = {"jwk": jwk("rsa-2"), "jku": "https://evil.example", "x5u": "https://evil.example"}
    header = {name: own.get(name, ["MIIB"])}
    await verifier.refusal(signed_as(service_account(), key="rsa-2", kid="rsa-2", **header))
    await verifier.refusal(signed_as(service_account(), key="rsa-2", kid="rsa-1", **header))


async def test_a_signature_by_another_key_is_refused(verifier: Verifier) -> None:
    await verifier.refusal(token(service_account(), key="rsa-2", kid="rsa-1"))
    good = token(service_account())
    await verifier.refusal(good[:-8] + ("AAAAAAAA" if good[-8:] != "AAAAAAAA" else "BBBBBBBB"))


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_key_of_1024_bits_is_refused(verifier: Verifier) -> None:
    verifier.issuers[KUBERNETES].keys.append(jwk("short-1"))
    await verifier.refusal(token(service_account(), key="short-1"))


async def test_an_issuer_that_is_not_trusted_is_refused_unasked(verifier: Verifier) -> None:
    assert "not trusted" in await verifier.refusal(
        token(service_account(iss="https://evil.example"))
    )
    assert "not trusted" in await verifier.refusal(token(service_account(iss=KUBERNETES + "/")))
    assert not any(each.fetches for each in verifier.issuers.values())


async def test_a_token_of_one_issuer_in_the_name_of_another_is_refused(verifier: Verifier) -> None:
    verifier.issuers[GITHUB].keys[:] = [jwk("rsa-2")]
    await verifier.refusal(token(service_account(), key="rsa-2"))


async def test_a_flood_of_unknown_keys_makes_one_fetch(verifier: Verifier) -> None:
    for number in range(100):
        await verifier.refusal(token(service_account(), kid=f"unknown-{number}"))
    assert len(verifier.issuers[KUBERNETES].fetches) == 1


async def test_another_repository_of_another_owner_is_refused(verifier: Verifier) -> None:
    assert "owner" in await verifier.refusal(token(github(repository_owner_id="999")))
    # The names are those of the one that is trusted.
    assert "owner" in await verifier.refusal(
        token(github(repository_owner_id="999", repository_id="456789"))
    )
    for name in ("repository_id", "repository_owner_id"):
        await verifier.refusal(token(without(github(), name)))
        await verifier.refusal(token(github(**{name: 123456})))
        await verifier.refusal(token(github(**{name: "123456\n"})))


async def test_another_repository_id_of_the_same_owner_is_another_principal(
    verifier: Verifier,
) -> None:
    found = await verifier.who(token(github(repository_id="456790")))
    assert str(found) == "workload:github/123456/456790"


async def test_a_token_is_taken_while_its_issuer_is_away(verifier: Verifier) -> None:
    first = await verifier.who(token(service_account(jti="1")))
    verifier.issuers[KUBERNETES].away = "out of order"
    assert await verifier.who(token(service_account(jti="2"))) == first


async def test_without_the_issuers_keys_the_answer_is_that_nobody_knows(verifier: Verifier) -> None:
    verifier.issuers[KUBERNETES].away = "out of order"
    with pytest.raises(ProblemError) as raised:
        await verifier.who(token(service_account()))
    assert raised.value.problem.type is ProblemType.UNAVAILABLE
    assert raised.value.retry_after == FETCH_INTERVAL


async def test_a_verified_token_is_not_verified_again_until_it_expires(verifier: Verifier) -> None:
    text = token(service_account())
    first = await verifier.who(text)
    verifier.issuers[KUBERNETES].keys.clear()
    assert await verifier.who(text) is first
    verifier.now = NOW + timedelta(seconds=600 + 30)
    assert await verifier.refusal(text) == "token: expired"
    assert len(verifier.verified) == 0


async def test_a_verified_token_ends_when_its_key_is_withdrawn(verifier: Verifier) -> None:
    text = token(service_account(exp=SECONDS + 86_400))
    await verifier.who(text)
    verifier.issuers[KUBERNETES].keys[:] = [jwk("rsa-2")]
    await pause(REFRESH_AFTER)
    # Nobody waits for keys that are only checked.
    await verifier.who(text)
    await pause(0.1)
    assert "key" in await verifier.refusal(text)


async def test_verified_tokens_are_bounded() -> None:
    verified = VerifiedTokens(max_tokens=2)
    ada = Principal(kind=PrincipalKind.USER, id="ada")
    for digest in (b"1", b"2"):
        verified.keep(digest, ada, issuer=PEOPLE, until=10)
    assert verified.find(b"1", now=0) == (PEOPLE, ada)
    verified.keep(b"3", ada, issuer=PEOPLE, until=10)
    assert [verified.find(each, now=0) is None for each in (b"1", b"2", b"3")] == [
        False,
        True,
        False,
    ]
    assert len(verified) == 2


async def test_tokens_of_an_issuer_that_withdraws_a_key_are_verified_again(
    verifier: Verifier,
) -> None:
    text, other = token(service_account()), token(github())
    await verifier.who(text)
    github_job = await verifier.who(other)
    verifier.verified.forget(KUBERNETES)
    assert len(verifier.verified) == 1
    assert await verifier.who(other) is github_job


@pytest.mark.parametrize(
    "sub",
    [
        "system:serviceaccount:shop:checkout:x",
        "system:serviceaccount:shop/other:checkout",
        "system:serviceaccount:shop:",
        "system:node:a",
        "system:serviceaccount:shop:checkout\n",
        "",
    ],
)
async def test_a_sub_that_is_not_a_service_accounts_is_refused(
    verifier: Verifier, sub: str
) -> None:
    await verifier.refusal(token(service_account(sub=sub)))


@pytest.mark.parametrize("sub", ["", "a b", "a\r\nx: y", "ä", "a" * 256])
async def test_a_sub_that_cannot_go_into_a_header_is_refused(verifier: Verifier, sub: str) -> None:
    await verifier.refusal(token(person(sub=sub)))


@pytest.mark.parametrize(
    "text",
    [
        "abc.def.ghi",
        "..",
        "eyJhbGciOiJSUzI1NiJ9.e30.x",
        "a" * 9000 + ".b.c",
        "W10.W10.W10",
        "[" * 5000 + ".e30.x",
    ],
)
async def test_what_is_not_a_token_is_refused(verifier: Verifier, text: str) -> None:
    assert await verifier.refusal(text)


async def test_deep_nesting_is_refused(verifier: Verifier) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 3000).decode().rstrip("=")
    assert await verifier.refusal(f"{deep}.{deep}.x")
