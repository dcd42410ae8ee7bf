"""Connections to PostgreSQL."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from sluice_runtime.aws import AwsSigner
from sluice_runtime.durations import seconds
from sluice_runtime.kafka.errors import CredentialsError
from sluice_runtime.postgres.settings import PostgresSettings

__all__ = ["DATABASE_ERRORS", "connect", "connection_pool"]

DATABASE_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""What is raised when the database cannot be used."""

# Each list is planned for what it asks for, and none is worth compiling.
_SETTINGS: Final = {
    "application_name": "sluice-gateway",
    "plan_cache_mode": "force_custom_plan",
    "jit": "off",
}


@asynccontextmanager
async def connection_pool(settings: PostgresSettings) -> AsyncIterator[Any]:
    """Open connections to share, and close them at the end.

    Raises:
        CredentialsError: a file or the AWS identity cannot be used.
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError: the database refuses, or is away.
    """
    pool = await asyncpg.create_pool(
        **_arguments(settings), min_size=1, max_size=settings.connections
    )
    try:
        yield pool
    finally:
        # Nobody waits for an answer any more.
        pool.terminate()


async def connect(settings: PostgresSettings) -> Any:  # noqa: ANN401 - asyncpg is untyped
    """Open a connection outside of the pool; the errors are those of `connection_pool`."""
    return await asyncpg.connect(**_arguments(settings))


def _arguments(settings: PostgresSettings) -> dict[str, Any]:
    return {
        "host": settings.host,
        "port": settings.port,
        "database": settings.database,
        "user": settings.username,
        "password": _password(settings),
        "ssl": _tls(settings),
        "timeout": seconds(settings.timeout),
        "command_timeout": seconds(settings.timeout),
        "server_settings": _SETTINGS,
    }


def _password(settings: PostgresSettings) -> Any:  # noqa: ANN401 - text, or what asyncpg calls
    """Return the password, or what makes a current one for every connection."""
    if settings.aws_region is not None:
        signer = AwsSigner(settings.aws_region, setting="store.postgres.aws_region")

        def sign() -> str:
            url = signer.sign(
                f"https://{settings.host}:{settings.port}/",
                parameters={"Action": "connect", "DBUser": settings.username},
                service="rds-db",
            )
            # The token is the URL without its scheme.
            return url.removeprefix("https://")

        return lambda: asyncio.to_thread(sign)
    if settings.password_file is not None:
        return lambda: asyncio.to_thread(_read_password, settings)
    return settings.password.get_secret_value() if settings.password else None


def _read_password(settings: PostgresSettings) -> str:
    file = settings.password_file
    if file is None:
        raise AssertionError("Only called with a file.")
    try:
        return file.read_text("utf-8").rstrip("\r\n")
    except OSError as e:
        raise CredentialsError(
            f"store.postgres.password_file: {file} cannot be used: {e.strerror}."
        ) from e


def _tls(settings: PostgresSettings) -> ssl.SSLContext | bool:
    if settings.tls == "disable":
        return False
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except OSError as e:
        raise CredentialsError(
            f"store.postgres.ca_file: {settings.ca_file} cannot be used: {e.strerror or e}."
        ) from e
    if settings.tls == "require":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
