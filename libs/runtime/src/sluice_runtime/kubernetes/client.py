"""A small Kubernetes client: kubernetes-asyncio's configuration and connection, JSON as it is."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp

from sluice_runtime.deadlines import Deadline, DeadlineExceededError
from sluice_runtime.kubernetes.errors import ApiUnavailableError, error_for
from sluice_runtime.kubernetes.settings import KubernetesSettings
from sluice_runtime.kubernetes.slim import Slim, load_slim

__all__ = ["ClusterConfigurationError", "KubernetesClient"]

Json = dict[str, Any]

# A watch that nobody reads must not fill the memory; lines are split by the reader.
_READ_BUFFER = 256 * 1024


class ClusterConfigurationError(Exception):
    """There is no usable kubeconfig and no service account."""


class KubernetesClient:
    """Sends JSON to the API server and gives JSON back."""

    def __init__(self, api: Any) -> None:  # noqa: ANN401 - kubernetes-asyncio is untyped
        self._api = api
        self._session: aiohttp.ClientSession = api.rest_client.pool_manager

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, settings: KubernetesSettings) -> "AsyncIterator[KubernetesClient]":
        """Connect as the settings say.

        Raises:
            ClusterConfigurationError: nothing to connect with.
        """
        slim = load_slim()
        configuration = await _configuration(slim, settings)
        api = slim.api_client(configuration=configuration)
        try:
            yield cls(api)
        finally:
            await api.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        deadline: Deadline,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> Json:
        """Send one request and give the answer's JSON.

        Raises:
            ApiError: the server's clear no, as one of its kinds.
            ApiUnavailableError: no clear answer, within the deadline or at all.
        """
        what = f"{method} {path}"
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        try:
            async with (
                deadline.enforce(),
                self._session.request(
                    method,
                    self._api.configuration.host + path,
                    params=query,
                    data=data,
                    headers=await self._headers() | {"Content-Type": content_type},
                    timeout=aiohttp.ClientTimeout(total=None),
                    proxy=self._api.configuration.proxy,
                ) as response,
            ):
                answer = await response.read()
        except (aiohttp.ClientError, ConnectionError, DeadlineExceededError) as e:
            raise ApiUnavailableError(f"{what}: {type(e).__name__}: {e}") from e
        if response.status >= 400:  # noqa: PLR2004
            raise error_for(
                response.status, answer, what=what, retry_after=response.headers.get("Retry-After")
            )
        try:
            document: Json = json.loads(answer)
        except ValueError as e:
            raise ApiUnavailableError(f"{what}: the answer is no JSON") from e
        return document

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, *, deadline: Deadline, query: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a watch and give its bytes as they come; the deadline is for opening it.

        Raises:
            ApiError: the server's clear no.
            ApiUnavailableError: it could not be opened, or broke; a clean end just ends.
        """
        what = f"WATCH {path}"
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with deadline.enforce():
                    response = await stack.enter_async_context(
                        self._session.get(
                            self._api.configuration.host + path,
                            params=query,
                            headers=await self._headers(),
                            timeout=aiohttp.ClientTimeout(total=None),
                            proxy=self._api.configuration.proxy,
                            read_bufsize=_READ_BUFFER,
                        )
                    )
                    if response.status >= 400:  # noqa: PLR2004
                        raise error_for(response.status, await response.read(), what=what)
            except (aiohttp.ClientError, ConnectionError, DeadlineExceededError) as e:
                raise ApiUnavailableError(f"{what}: {type(e).__name__}: {e}") from e
            yield _chunks(response, what)

    async def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "sluice"}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"])
        return headers


async def _chunks(response: aiohttp.ClientResponse, what: str) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError) as e:
        raise ApiUnavailableError(f"{what}: {type(e).__name__}: {e}") from e


async def _configuration(slim: Slim, settings: KubernetesSettings) -> Any:  # noqa: ANN401
    configuration = slim.configuration()
    # One connection for the watch, the rest for requests side by side.
    configuration.connection_pool_maxsize = 100
    try:
        if settings.kubeconfig is None:
            with contextlib.suppress(slim.config.ConfigException):
                slim.config.load_incluster_config(client_configuration=configuration)
                return configuration
        await slim.config.load_kube_config(
            config_file=str(settings.kubeconfig) if settings.kubeconfig else None,
            context=settings.context,
            client_configuration=configuration,
        )
    except (slim.config.ConfigException, OSError) as e:
        raise ClusterConfigurationError(
            f"Nothing to connect to Kubernetes with: {e}. "
            "Set SLUICE_KUBERNETES__KUBECONFIG to a kubeconfig file."
        ) from e
    return configuration
