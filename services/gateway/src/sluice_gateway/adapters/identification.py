"""Opens what says who the clients are: the files of keys and grants, read again as they change."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from sluice_gateway.adapters.identity_files import read_grants, read_keys
from sluice_gateway.adapters.oidc.key_ring_file import read_key_ring
from sluice_gateway.adapters.oidc.opening import opened_identities
from sluice_gateway.auth_settings import AuthSettings
from sluice_gateway.metrics import Metrics
from sluice_gateway.services.api_key_authentication import ApiKeyAuthenticator
from sluice_gateway.services.authentication import AuthenticatorChain
from sluice_gateway.services.identification import (
    AnonymousIdentification,
    GrantedIdentification,
    Identification,
)
from sluice_gateway.services.sign_in import SignIn
from sluice_gateway.services.watch_links import WatchLinks
from sluice_runtime.reloaded_file import ReloadedFile
from sluice_runtime.service import StartupError
from sluice_runtime.strict_yaml import FileError

__all__ = ["OpenIdentification", "opened_identification"]

_log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class OpenIdentification:
    """What identifies clients, and the files that it depends on, by their settings."""

    identification: Identification
    files: Mapping[str, ReloadedFile[Any]]
    sign_in: SignIn | None = None
    watch_links: WatchLinks | None = None

    async def run(self) -> None:
        """Read the files again whenever they change, permanently."""
        async with asyncio.TaskGroup() as group:
            for name, file in self.files.items():
                group.create_task(file.run(), name=name)
            # Without files there is nothing to do, and a task that ends ends the process.
            await asyncio.Event().wait()


@asynccontextmanager
async def opened_identification(
    auth: AuthSettings, *, metrics: Metrics
) -> AsyncIterator[OpenIdentification]:
    """Read the files that the settings name, and open what else says who clients are.

    Raises:
        StartupError: a file cannot be used.
    """
    if auth.mode == "none" or auth.grants_file is None:
        _log.warning(
            "clients are not identified",
            reason="SLUICE_AUTH__MODE is none, so any client may do everything",
        )
        yield OpenIdentification(identification=AnonymousIdentification(), files={})
        return
    grants = _opened("grants_file", auth.grants_file, read_grants)
    keys = _opened("keys_file", auth.keys_file, read_keys) if auth.keys_file else None
    ring = (
        _opened("key_ring_file", auth.key_ring_file, read_key_ring) if auth.key_ring_file else None
    )
    files: dict[str, ReloadedFile[Any]] = {
        name: file
        for name, file in (("grants_file", grants), ("keys_file", keys), ("key_ring_file", ring))
        if file is not None
    }
    for name, file in files.items():
        metrics.watch_identity_file(name, partial(getattr, file, "refused"))
    async with opened_identities(
        oidc=auth.oidc,
        sign_in=auth.sign_in,
        watch_links=auth.watch_links,
        ring=(lambda: ring.value) if ring is not None else None,
        metrics=metrics,
    ) as others:
        chain = AuthenticatorChain(
            api_keys=ApiKeyAuthenticator(lambda: keys.value) if keys is not None else None,
            tokens=others.tokens,
            sessions=others.sessions,
            watch_links=others.watch_links,
        )
        yield OpenIdentification(
            identification=GrantedIdentification(chain, grants=lambda: grants.value),
            files=files,
            sign_in=others.sign_in,
            watch_links=others.watch_links,
        )


def _opened(name: str, path: Path, read: Callable[..., T]) -> ReloadedFile[T]:
    try:
        return ReloadedFile(path, partial(read, source=str(path)))
    except FileError as e:
        raise StartupError(f"auth.{name} (SLUICE_AUTH__{name.upper()}): {e}") from e
