"""An issuer of tokens that is trusted: what its tokens must be like."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.id_tokens import TokenError, TokenHead, verified_claims
from sluice_gateway.domain.token_principals import PrincipalRule
from sluice_gateway.services.issuer_keys import IssuerKeys, KeysUnknownError

__all__ = ["TrustedIssuer"]


@dataclass(frozen=True, kw_only=True)
class TrustedIssuer:
    """An issuer, the audience that its tokens must have, and who they are of."""

    issuer: str
    audience: str
    keys: IssuerKeys
    rule: PrincipalRule

    async def claims(self, token: str, head: TokenHead, *, now: datetime) -> Mapping[str, Any]:
        """Verify a token, whose head is this one, and return what it claims.

        Raises:
            TokenError: it is not valid.
            ProblemError: UNAVAILABLE, the issuer's key is not known and cannot be fetched now.
        """
        try:
            key = await self.keys.find(head.key_id, head.algorithm)
        except KeysUnknownError as e:
            raise ProblemError.of(
                ProblemType.UNAVAILABLE,
                "The keys of the token's issuer cannot be fetched, so the token cannot be checked.",
                retry_after=ceil(e.retry_after),
            ) from e
        if key is None:
            raise TokenError("of a key that its issuer does not have")
        return verified_claims(token, key, issuer=self.issuer, audience=self.audience, now=now)
