"""Pods and their logs, by the API server: `get pods` and `get pods/log`, and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

from sluice_log_relay.domain.step_pods import LogRange
from sluice_log_relay.ports import PodsUnavailableError
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kubernetes.client import KubernetesClient
from sluice_runtime.kubernetes.errors import ApiError, ApiUnavailableError, NotFoundError

__all__ = ["PodsApi"]

# As kubectl asks: refusals come as JSON, the log as it is.
_ACCEPT: Final = "application/json, */*"
# Of one log; a reader that is slow holds twice as much here, and as much again in the connection.
_BUFFER: Final = 32 * 1024


class PodsApi:
    """See `ports.Pods`; each request has `request_timeout`, of a log until it is open."""

    def __init__(self, client: KubernetesClient, *, request_timeout: timedelta) -> None:
        self._client = client
        self._timeout = request_timeout

    async def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        """See `ports.Pods.get`."""
        try:
            return await self._client.call(
                "GET", _path(namespace, name), deadline=self._deadline("get a pod")
            )
        except NotFoundError:
            return None
        except (ApiError, ApiUnavailableError) as e:
            raise PodsUnavailableError(str(e)) from e

    @asynccontextmanager
    async def log(
        self, namespace: str, name: str, part: LogRange, *, follow: bool
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """See `ports.Pods.log`."""
        query = {"container": "main", "timestamps": "true", "follow": str(follow).lower()}
        if part.tail is not None:
            query["tailLines"] = str(part.tail)
        if part.since is not None:
            query["sinceTime"] = f"{part.since:%Y-%m-%dT%H:%M:%S}Z"
        try:
            async with self._client.stream(
                f"{_path(namespace, name)}/log",
                query=query,
                accept=_ACCEPT,
                deadline=self._deadline("open a log"),
                buffer=_BUFFER,
            ) as chunks:
                yield chunks
        except (ApiError, ApiUnavailableError) as e:
            raise PodsUnavailableError(str(e)) from e

    def _deadline(self, what: str) -> Deadline:
        return Deadline(what, self._timeout)


def _path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}"
