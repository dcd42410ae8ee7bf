"""A secret that two services share, from a file that both read again when it changes."""

import hmac
from collections.abc import Sequence
from typing import Final

from sluice_runtime.strict_yaml import FileError

__all__ = ["is_one_of", "read_secrets"]

_MIN_LENGTH: Final = 32


def read_secrets(content: bytes, *, source: str) -> tuple[bytes, ...]:
    """Return the secrets of a file, one a line: the first is sent, and each is taken.

    So a secret is replaced without a pause: add the new one below, move it up, remove the old one,
    each once both services have read the file.

    Raises:
        FileError: there is none, or one is too short or not ASCII.
    """
    secrets = tuple(line.strip() for line in content.splitlines() if line.strip())
    if not secrets:
        raise FileError(f"{source}: has no secret.")
    for number, secret in enumerate(secrets, start=1):
        if len(secret) < _MIN_LENGTH or not (secret.isascii() and secret.decode().isprintable()):
            raise FileError(
                f"{source}: secret {number} must have {_MIN_LENGTH} characters or more, in ASCII."
            )
    return secrets


def is_one_of(secrets: Sequence[bytes], given: bytes) -> bool:
    """Return whether the secret is valid, in a time that does not say how much of it is right."""
    found = [hmac.compare_digest(each, given) for each in secrets]
    return any(found)
