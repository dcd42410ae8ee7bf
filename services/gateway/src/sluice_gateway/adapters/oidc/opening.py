"""Opens what knows tokens, sessions and watch links, as the settings say."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import aiohttp

from sluice_gateway.adapters.oidc.key_sources import (
    DiscoveredKeys,
    KeysAtAddress,
    KeysInFile,
    client_session,
)
from sluice_gateway.adapters.oidc.provider import OpenIdProvider
from sluice_gateway.auth_settings import (
    IssuerSettings,
    OidcSettings,
    SignInSettings,
    WatchLinkSettings,
)
from sluice_gateway.domain.key_ring import KeyRing
from sluice_gateway.domain.token_principals import (
    GitHubActions,
    KubernetesServiceAccounts,
    PrincipalRule,
    Users,
)
from sluice_gateway.domain.verifying_keys import KeySetError, key_set
from sluice_gateway.handlers.sign_in import CALLBACK
from sluice_gateway.identity_ports import KeySource
from sluice_gateway.metrics import Metrics
from sluice_gateway.services.issuer_keys import IssuerKeys
from sluice_gateway.services.sessions import Sessions
from sluice_gateway.services.sign_in import SignIn, SignInConfig
from sluice_gateway.services.sign_in_limits import SignInLimits
from sluice_gateway.services.token_authentication import TokenAuthenticator, VerifiedTokens
from sluice_gateway.services.trusted_issuer import TrustedIssuer
from sluice_gateway.services.watch_links import WatchLinks
from sluice_runtime.service import StartupError

__all__ = ["OpenIdentities", "opened_identities"]


@dataclass(frozen=True, kw_only=True)
class OpenIdentities:
    """What knows each form of credentials; None knows none of that form."""

    tokens: TokenAuthenticator | None
    sessions: Sessions | None
    sign_in: SignIn | None
    watch_links: WatchLinks | None


@asynccontextmanager
async def opened_identities(
    *,
    oidc: OidcSettings,
    sign_in: SignInSettings,
    watch_links: WatchLinkSettings,
    ring: Callable[[], KeyRing] | None,
    metrics: Metrics,
) -> AsyncIterator[OpenIdentities]:
    """Open them; `ring` is needed for sessions and watch links.

    Raises:
        StartupError: a file that the settings name cannot be used.
    """
    async with AsyncExitStack() as stack:
        tokens = await _tokens(stack, oidc, metrics=metrics) if oidc.issuers else None
        sessions = (
            None
            if ring is None or sign_in.issuer is None
            else Sessions(
                ring=ring, lifetime=sign_in.lifetime, now=_now, random=secrets.token_bytes
            )
        )
        yield OpenIdentities(
            tokens=tokens,
            sessions=sessions,
            sign_in=(
                None
                if ring is None or sessions is None
                else await _sign_in(stack, sign_in, sessions=sessions, ring=ring, metrics=metrics)
            ),
            watch_links=(
                None
                if ring is None or not watch_links.enabled
                else WatchLinks(ring=ring, lifetime=watch_links.lifetime, now=_now)
            ),
        )


async def _tokens(
    stack: AsyncExitStack, oidc: OidcSettings, *, metrics: Metrics
) -> TokenAuthenticator:
    verified = VerifiedTokens()
    issuers = []
    for each in oidc.issuers:
        keys = IssuerKeys(
            await _source(stack, each),
            issuer=each.issuer,
            algorithms=each.algorithms,
            withdrawn=partial(verified.forget, each.issuer),
            fetched=partial(metrics.count_key_fetch, each.issuer),
        )
        stack.push_async_callback(keys.close)
        issuers.append(
            TrustedIssuer(issuer=each.issuer, audience=each.audience, keys=keys, rule=_rule(each))
        )
    return TokenAuthenticator(issuers, verified=verified, now=_now)


async def _source(stack: AsyncExitStack, issuer: IssuerSettings) -> KeySource:
    if issuer.jwks_file is not None:
        try:
            key_set(issuer.jwks_file.read_bytes(), algorithms=issuer.algorithms)
        except (OSError, KeySetError) as e:
            raise StartupError(f"auth.oidc.issuers: {issuer.jwks_file}: {e}") from e
        return KeysInFile(issuer.jwks_file)
    session = await _session(stack, issuer.ca_file)
    if issuer.jwks_url is not None:
        return KeysAtAddress(session=session, address=issuer.jwks_url)
    return DiscoveredKeys(session=session, issuer=issuer.issuer)


def _rule(issuer: IssuerSettings) -> PrincipalRule:
    match issuer.kind:
        case "kubernetes":
            return KubernetesServiceAccounts(prefix=issuer.prefix)
        case "github-actions":
            return GitHubActions(owners=frozenset(issuer.owners), prefix=issuer.prefix)
        case "users":
            return Users(id=issuer.user_id, prefix=issuer.prefix)


async def _sign_in(
    stack: AsyncExitStack,
    settings: SignInSettings,
    *,
    sessions: Sessions,
    ring: Callable[[], KeyRing],
    metrics: Metrics,
) -> SignIn:
    if settings.issuer is None or settings.client_secret_file is None:
        raise AssertionError("The settings have all of them or none.")
    try:
        # Read again for every sign-in.
        settings.client_secret_file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise StartupError(f"auth.sign_in.client_secret_file: {e}") from e
    session = await _session(stack, settings.ca_file)
    sign_in = SignIn(
        SignInConfig(redirect_uri=f"{settings.public_origin}{CALLBACK}", scopes=settings.scopes),
        provider=OpenIdProvider(
            session=session,
            issuer=settings.issuer,
            client_id=settings.client_id,
            client_secret_file=settings.client_secret_file,
        ),
        issuer=TrustedIssuer(
            issuer=settings.issuer,
            audience=settings.client_id,
            keys=IssuerKeys(
                DiscoveredKeys(session=session, issuer=settings.issuer),
                issuer=settings.issuer,
                algorithms=settings.algorithms,
                # Sessions go on: they have their own end.
                withdrawn=lambda: None,
                fetched=partial(metrics.count_key_fetch, settings.issuer),
            ),
            rule=Users(id=settings.user_id, prefix=settings.prefix),
        ),
        sessions=sessions,
        ring=ring,
        limits=SignInLimits(),
        now=_now,
        random=secrets.token_bytes,
    )
    stack.push_async_callback(sign_in.close)
    return sign_in


async def _session(stack: AsyncExitStack, ca_file: Path | None) -> aiohttp.ClientSession:
    try:
        session = client_session(ca_file=ca_file)
    except OSError as e:
        raise StartupError(f"{ca_file}: the trusted authorities cannot be used: {e}") from e
    return await stack.enter_async_context(session)


def _now() -> datetime:
    return datetime.now(UTC)
