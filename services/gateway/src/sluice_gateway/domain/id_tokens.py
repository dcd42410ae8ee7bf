"""Tokens of OpenID Connect (RFC 7519, RFC 8725): what they claim, once their signature is good."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite, nan
from typing import Any, Final

import jwt
from jwt import PyJWK
from jwt.exceptions import PyJWTError
from jwt.utils import base64url_decode

__all__ = [
    "LEEWAY",
    "MAX_TOKEN_BYTES",
    "TokenError",
    "TokenHead",
    "expiry",
    "read_head",
    "verified_claims",
]

LEEWAY: Final = timedelta(seconds=30)
"""How far clocks may be apart."""

MAX_TOKEN_BYTES: Final = 8 * 1024
"""Longer ones are refused unread; those of Kubernetes and GitHub have some 1,500."""


class TokenError(Exception):
    """The token proves nothing. The message is a reason for the log, without any part of it."""


@dataclass(frozen=True, kw_only=True)
class TokenHead:
    """What a token says of itself, by which issuer and key are chosen. Nothing of it is proved."""

    issuer: str
    key_id: str
    algorithm: str


def read_head(token: str) -> TokenHead:
    """Read what is needed to choose the key.

    Raises:
        TokenError: it is not a token that we take.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenError("longer than 8 KiB")
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, claims, signature
        raise TokenError("not a signed token")
    header, claims = _object(parts[0]), _object(parts[1])
    issuer, key_id, algorithm = claims.get("iss"), header.get("kid"), header.get("alg")
    if not (isinstance(issuer, str) and isinstance(key_id, str) and isinstance(algorithm, str)):
        raise TokenError("without iss, kid or alg")
    return TokenHead(issuer=issuer, key_id=key_id, algorithm=algorithm)


def verified_claims(
    token: str, key: PyJWK, *, issuer: str, audience: str, now: datetime
) -> Mapping[str, Any]:
    """Verify signature, issuer, audience and times, and return the claims.

    The key brings its algorithm; a token that names another one is refused.

    Raises:
        TokenError: it is not valid, or not for us, or not now.
    """
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=audience,
            issuer=issuer,
            options={
                "require": ["exp", "iat", "sub", "aud", "iss"],
                "enforce_minimum_key_length": True,
                # Ours are below: PyJWT's clock cannot be given.
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (PyJWTError, ValueError, TypeError, RecursionError) as e:
        # Of the name alone: some messages quote the token.
        raise TokenError(type(e).__name__.removesuffix("Error")) from e
    _check_times(claims, now=now)
    return claims


def expiry(claims: Mapping[str, Any]) -> float:
    """Return when verified claims expire, as seconds since 1970, without leeway."""
    return _moment(claims, "exp")


def _check_times(claims: Mapping[str, Any], *, now: datetime) -> None:
    seconds, leeway = now.timestamp(), LEEWAY.total_seconds()
    if _moment(claims, "exp") <= seconds - leeway:
        raise TokenError("expired")
    if _moment(claims, "iat") > seconds + leeway:
        raise TokenError("issued in the future")
    if "nbf" in claims and _moment(claims, "nbf") > seconds + leeway:
        raise TokenError("not valid yet")


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims[name]
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            moment = float(value)
        except OverflowError:
            moment = nan
        if isfinite(moment):
            return moment
    raise TokenError(f"{name} is not a moment")


def _object(part: str) -> dict[str, Any]:
    try:
        read = json.loads(base64url_decode(part))
    except (ValueError, RecursionError) as e:
        raise TokenError("not a signed token") from e
    if not isinstance(read, dict):
        raise TokenError("not a signed token")
    return read
