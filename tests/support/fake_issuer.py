"""A stand-in for an issuer of tokens: it signs whatever it is given, and counts who asks for keys.

The real ones are in tests/cluster (an API server) and tests/contract (mockoidc).
"""

import asyncio
import base64
import hashlib
import hmac
import json
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from jwt.algorithms import get_default_algorithms

from sluice_gateway.identity_ports import FetchError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@cache
def private_key(name: str) -> PrivateKey:
    """Give the key of this name, whose first letters say of what kind it is; slow to make."""
    if name.startswith("ec"):
        return ec.generate_private_key(ec.SECP256R1())
    if name.startswith("ed"):
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(
        public_exponent=65537, key_size=1024 if name.startswith("short") else 2048
    )


def algorithm_of(name: str) -> str:
    """Give the algorithm that the key of this name signs by."""
    return {"ec": "ES256", "ed": "EdDSA"}.get(name[:2], "RS256")


def jwk(name: str, **changes: Any) -> dict[str, Any]:
    """Give the public part of a key, as issuers publish it."""
    algorithm = get_default_algorithms()[algorithm_of(name)]
    public = algorithm.to_jwk(private_key(name).public_key(), as_dict=True)
    return {**public, "kid": name, "alg": algorithm_of(name), "use": "sig", **changes}


def token(claims: dict[str, Any], *, key: str = "rsa-1", **header: Any) -> str:
    """Sign claims."""
    return jwt.encode(
        claims, private_key(key), algorithm=algorithm_of(key), headers={"kid": key, **header}
    )


def signed_as(claims: dict[str, Any], *, key: str = "rsa-1", **header: Any) -> str:
    """Sign claims by RS256 with any header, also one that no library would write."""
    signed = f"{_part({'alg': 'RS256', 'kid': key, **header})}.{_part(claims)}"
    signer = private_key(key)
    assert isinstance(signer, rsa.RSAPrivateKey)
    return f"{signed}.{_base64(signer.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def unsigned(claims: dict[str, Any], *, key: str = "rsa-1") -> str:
    """Write a token with the algorithm `none`."""
    return f"{_part({'alg': 'none', 'kid': key})}.{_part(claims)}."


def signed_with_public_key(
    claims: dict[str, Any], *, key: str = "rsa-1", public: PublicKeyTypes | None = None
) -> str:
    """Write a token of HS256, whose secret is the PEM of the issuer's public key."""
    pem = (public or private_key(key).public_key()).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed = f"{_part({'alg': 'HS256', 'kid': key})}.{_part(claims)}"
    return f"{signed}.{_base64(hmac.digest(pem, signed.encode(), hashlib.sha256))}"


class FakeIssuer:
    """Publishes keys; `away` is why it cannot be asked."""

    def __init__(self, *keys: str) -> None:
        self.keys = [jwk(each) for each in keys]
        self.away: str | None = None
        self.fetches: list[float] = []

    async def fetch(self) -> bytes:
        """Give the keys."""
        self.fetches.append(asyncio.get_running_loop().time())
        if self.away is not None:
            raise FetchError(self.away)
        return json.dumps({"keys": self.keys}).encode()


def _part(content: dict[str, Any]) -> str:
    return _base64(json.dumps(content).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
