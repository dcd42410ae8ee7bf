"""The log-relay, over HTTP."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import structlog

from sluice_gateway.domain.logged_steps import LoggedStep
from sluice_gateway.services.log_relay import (
    LogGoneError,
    LogRefusedError,
    LogUnavailableError,
)
from sluice_gateway.services.step_logs import StepLogs
from sluice_gateway.settings import StepLogSettings
from sluice_runtime.reloaded_file import ReloadedFile
from sluice_runtime.service import StartupError
from sluice_runtime.shared_secret import read_secrets
from sluice_runtime.strict_yaml import FileError

__all__ = ["HttpLogRelay", "OpenStepLogs", "opened_step_logs"]

_log = structlog.get_logger(__name__)

# The relay asks the API server up to three times before it answers, and is never silent for long
# afterwards.
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=50)
_BUFFER: Final = 16 * 1024


@dataclass(frozen=True, kw_only=True)
class OpenStepLogs:
    """The logs of steps, and the tasks behind them, by their names."""

    logs: StepLogs
    tasks: Mapping[str, Callable[[], Coroutine[Any, Any, None]]]


@asynccontextmanager
async def opened_step_logs(settings: StepLogSettings) -> AsyncIterator[OpenStepLogs]:
    """Yield what reads the logs of steps, if a log-relay is set.

    Raises:
        StartupError: the file with the secret cannot be used.
    """
    path = settings.secret_file
    if settings.relay_url is None or path is None:
        yield OpenStepLogs(logs=StepLogs(), tasks={})
        return
    try:
        file = ReloadedFile(path, partial(read_secrets, source=str(path)))
    except FileError as e:
        raise StartupError(f"step_logs.secret_file (SLUICE_STEP_LOGS__SECRET_FILE): {e}") from e
    relay = HttpLogRelay(settings.relay_url, secrets=lambda: file.value)
    logs = StepLogs(
        relay,
        max_line=settings.max_line,
        max_bytes=settings.max_bytes,
        max_streams=settings.max_streams,
    )
    try:
        yield OpenStepLogs(logs=logs, tasks={"log-relay's secret": file.run})
    finally:
        await logs.close()


class HttpLogRelay:
    """See `LogRelay`; `secrets` returns those of the file, of which the first is sent."""

    def __init__(self, url: str, *, secrets: Callable[[], tuple[bytes, ...]]) -> None:
        self._url = f"{url}/v1/log"
        self._secrets = secrets
        self._session = aiohttp.ClientSession(
            # The streams to readers are what is bounded.
            connector=aiohttp.TCPConnector(limit=0),
            timeout=_TIMEOUT,
            read_bufsize=_BUFFER,
        )
        self._open: set[aiohttp.ClientResponse] = set()

    async def close(self) -> None:
        """See `LogRelay.close`."""
        # Closing the session would leave what is being read without an end.
        for response in tuple(self._open):
            response.close()
        await self._session.close()

    @asynccontextmanager
    async def open(
        self, step: LoggedStep, *, tail: int | None, since: int | None, follow: bool
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """See `LogRelay.open`."""
        query = {
            "tenant": step.key.tenant,
            "run_id": step.key.run_id,
            "namespace": step.namespace,
            "uid": step.uid,
            "node_id": step.node_id,
            "template": step.template,
            "tail": None if tail is None else str(tail),
            "since": None if since is None else str(since),
            "follow": str(follow).lower(),
            "starting": str(step.starting).lower(),
        }
        params = {name: value for name, value in query.items() if value is not None}
        headers = {"Authorization": f"Bearer {self._secrets()[0].decode()}"}
        try:
            async with self._session.get(
                self._url, params=params, headers=headers, allow_redirects=False
            ) as response:
                _refuse(response.status)
                self._open.add(response)
                try:
                    yield _chunks(response)
                finally:
                    self._open.discard(response)
        except (aiohttp.ClientError, OSError, RuntimeError) as e:
            # RuntimeError: the session was closed. No message has bytes of the log.
            raise LogUnavailableError(type(e).__name__) from None


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    # It is read beside the context that has opened it, which sees no error of it.
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, OSError) as e:
        raise LogUnavailableError(type(e).__name__) from None


def _refuse(status: int) -> None:
    if status == HTTPStatus.OK:
        return
    if status == HTTPStatus.NOT_FOUND:
        raise LogGoneError
    refused = status == HTTPStatus.UNAUTHORIZED
    if status != HTTPStatus.SERVICE_UNAVAILABLE:
        _log.error(
            "the log-relay refuses the gateway",
            status=status,
            reason="their secrets differ" if refused else "see its log",
        )
    raise (LogRefusedError if refused else LogUnavailableError)(f"answered with {status}")
