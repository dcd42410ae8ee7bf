"""An OpenID provider, seen from its client."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from sluice_gateway.adapters.oidc.key_sources import bounded_body, discovered
from sluice_gateway.domain.web_addresses import is_safe_address
from sluice_gateway.identity_ports import FetchError, ProviderEndpoints

__all__ = ["OpenIdProvider"]

_IN_BODY: Final = "client_secret_post"


@dataclass(frozen=True, kw_only=True)
class OpenIdProvider:
    """A provider that describes itself; the file with the client's secret may be renewed."""

    session: aiohttp.ClientSession
    issuer: str
    client_id: str
    client_secret_file: Path

    async def endpoints(self) -> ProviderEndpoints:
        """See `IdentityProvider.endpoints`."""
        document = await discovered(self.session, self.issuer)
        methods = document.get("token_endpoint_auth_methods_supported")
        return ProviderEndpoints(
            authorization=self._address(document, "authorization_endpoint"),
            token=self._address(document, "token_endpoint"),
            # Without a list it is HTTP Basic (OpenID Connect Discovery 1.0 section 3).
            secret_in_body=isinstance(methods, list) and _IN_BODY in methods,
        )

    async def redeem(
        self, endpoints: ProviderEndpoints, *, code: str, verifier: str, redirect_uri: str
    ) -> str:
        """See `IdentityProvider.redeem`."""
        secret = await self._secret()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
        }
        headers = {"Accept": "application/json"}
        if endpoints.secret_in_body:
            form |= {"client_id": self.client_id, "client_secret": secret}
        else:
            # RFC 6749 section 2.3.1: both are encoded before they are joined.
            headers["Authorization"] = aiohttp.encode_basic_auth(
                quote(self.client_id, safe=""), quote(secret, safe="")
            )
        try:
            async with self.session.post(
                endpoints.token, data=form, headers=headers, allow_redirects=False
            ) as response:
                answer = json.loads(await bounded_body(response, endpoints.token))
        except TimeoutError as e:
            raise FetchError(f"{endpoints.token} has not answered in time.") from e
        except aiohttp.ClientError as e:
            raise FetchError(f"{endpoints.token} cannot be reached: {type(e).__name__}.") from e
        except (ValueError, RecursionError) as e:
            raise FetchError(f"{endpoints.token} has answered with what is not JSON.") from e
        token = answer.get("id_token") if isinstance(answer, dict) else None
        if not isinstance(token, str):
            raise FetchError(f"{endpoints.token} has given no id_token.")
        return token

    async def _secret(self) -> str:
        try:
            return (await asyncio.to_thread(self.client_secret_file.read_text, "utf-8")).strip()
        except OSError as e:
            raise FetchError(f"{self.client_secret_file}: {e.strerror or e}.") from e

    def _address(self, document: Any, name: str) -> str:  # noqa: ANN401 - JSON
        address = document.get(name)
        if not isinstance(address, str) or not is_safe_address(address):
            raise FetchError(f"{self.issuer} publishes no {name} with https.")
        return address
