"""Opens what says who the clients are: the files of keys and grants, read again as they change."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from sluice_gateway.adapters.identity_files import read_grants, read_keys
from sluice_gateway.auth_settings import AuthSettings
from sluice_gateway.metrics import Metrics
from sluice_gateway.services.api_key_authentication import ApiKeyAuthenticator
from sluice_gateway.services.authentication import AuthenticatorChain
from sluice_gateway.services.identification import (
    AnonymousIdentification,
    GrantedIdentification,
    Identification,
)
from sluice_runtime.reloaded_file import ReloadedFile
from sluice_runtime.service import StartupError
from sluice_runtime.strict_yaml import FileError

__all__ = ["OpenIdentification", "open_identification"]

_log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class OpenIdentification:
    """What identifies clients, and the files that it depends on, by their settings."""

    identification: Identification
    files: Mapping[str, ReloadedFile[Any]]

    async def run(self) -> None:
        """Read the files again whenever they change, permanently."""
        async with asyncio.TaskGroup() as group:
            for name, file in self.files.items():
                group.create_task(file.run(), name=name)
            # Without files there is nothing to do, and a task that ends ends the process.
            await asyncio.Event().wait()


def open_identification(auth: AuthSettings, *, metrics: Metrics) -> OpenIdentification:
    """Read the files that the settings name.

    Raises:
        StartupError: one cannot be used.
    """
    if auth.mode == "none" or auth.grants_file is None:
        _log.warning(
            "clients are not identified",
            reason="SLUICE_AUTH__MODE is none, so any client may do everything",
        )
        return OpenIdentification(identification=AnonymousIdentification(), files={})
    grants = _opened("grants_file", auth.grants_file, read_grants)
    files: dict[str, ReloadedFile[Any]] = {"grants_file": grants}
    keys = None
    if auth.keys_file is not None:
        keys = _opened("keys_file", auth.keys_file, read_keys)
        files["keys_file"] = keys
    for name, file in files.items():
        metrics.watch_identity_file(name, partial(getattr, file, "refused"))
    return OpenIdentification(
        identification=GrantedIdentification(
            AuthenticatorChain(
                api_keys=ApiKeyAuthenticator(lambda: keys.value) if keys is not None else None
            ),
            grants=lambda: grants.value,
        ),
        files=files,
    )


def _opened(name: str, path: Path, read: Callable[..., T]) -> ReloadedFile[T]:
    try:
        return ReloadedFile(path, partial(read, source=str(path)))
    except FileError as e:
        raise StartupError(f"auth.{name} (SLUICE_AUTH__{name.upper()}): {e}") from e
