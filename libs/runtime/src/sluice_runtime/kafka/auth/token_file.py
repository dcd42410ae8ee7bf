"""Tokens for SASL/OAUTHBEARER, read for every connection."""

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
    """A file with a token that is renewed from time to time, like a ServiceAccount's."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def token(self) -> str:
        """Return the current token.

        Raises:
            CredentialsError: the file is unreadable or holds no token.
        """
        return await asyncio.to_thread(self.read)

    def read(self) -> str:
        """Return the current token like `token`, but block on the disk."""
        try:
            token = self._file.read_text("utf-8").strip()
        except OSError as e:
            raise self._unusable(e.strerror or type(e).__name__) from e
        except UnicodeDecodeError:
            token = ""
        if not _TOKEN.fullmatch(token):
            # Neither chained nor quoted: the text may be a token of another kind.
            raise self._unusable("it holds no bearer token") from None
        return token

    def _unusable(self, why: str) -> CredentialsError:
        return CredentialsError(f"kafka.token_file: {self._file} cannot be used: {why}.")


def patch_oauth_error_handling() -> None:
    """Make aiokafka report that a broker refused the token.

    A broker refuses in a challenge; the failure follows as its answer to a one-byte reply of the
    client (https://www.rfc-editor.org/rfc/rfc7628#section-3.2.3). aiokafka takes the challenge for
    success, and then only sees its connections closed.
    """
    # aiokafka has no hook for a mechanism's exchange.
    conn.OAuthAuthenticator = _Authenticator


class _Authenticator(conn.OAuthAuthenticator):  # type: ignore[misc] # aiokafka is untyped
    async def step(self, payload: bytes | None) -> Any:  # noqa: ANN401 - as aiokafka has it
        return (b"\x01", True) if payload else await super().step(payload)
