"""Tokens for SASL/OAUTHBEARER, had anew for every connection."""

import asyncio
import re
from pathlib import Path
from typing import Any

from aiokafka import conn
from aiokafka.abc import AbstractTokenProvider

from sluice_runtime.kafka.errors import CredentialsError

__all__ = ["TokenFile", "patch_oauth_error_handling"]

# https://www.rfc-editor.org/rfc/rfc6750#section-2.1
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class TokenFile(AbstractTokenProvider):  # type: ignore[misc] # aiokafka is untyped
    """A file that holds a token and may be renewed, as a projected ServiceAccount token is."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def token(self) -> str:
        """Read the token as it is now.

        Raises:
            CredentialsError: there is none.
        """
        return await asyncio.to_thread(self.read)

    def read(self) -> str:
        """Do what `token` does, and wait for the disk."""
        try:
            token = self._file.read_text("utf-8").strip()
        except OSError as e:
            raise self._unusable(e.strerror or type(e).__name__) from e
        except UnicodeDecodeError:
            token = ""
        if not _TOKEN.fullmatch(token):
            # Not chained, and not quoted: it may be a token all the same, of another kind.
            raise self._unusable("it holds no bearer token") from None
        return token

    def _unusable(self, why: str) -> CredentialsError:
        return CredentialsError(f"kafka.token_file: {self._file} cannot be used: {why}.")


def patch_oauth_error_handling() -> None:
    """Have aiokafka hear that a token is refused.

    A broker says so in a challenge, and the failure comes in answer to the client's one byte
    (https://www.rfc-editor.org/rfc/rfc7628#section-3.2.3). aiokafka takes the challenge for a yes
    and then sees its connections closed, without a word why.
    """
    # It offers no other place to say how a mechanism goes.
    conn.OAuthAuthenticator = _Authenticator


class _Authenticator(conn.OAuthAuthenticator):  # type: ignore[misc] # aiokafka is untyped
    async def step(self, payload: bytes | None) -> Any:  # noqa: ANN401 - as aiokafka has it
        return (b"\x01", True) if payload else await super().step(payload)
