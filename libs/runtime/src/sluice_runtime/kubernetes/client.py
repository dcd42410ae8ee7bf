"""A small Kubernetes client: kubernetes-asyncio's configuration and connection, plain JSON."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import yaml

from sluice_contracts.json_bounds import count_structure
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kubernetes.errors import AnswerTooLargeError, ApiUnavailableError, error_for
from sluice_runtime.kubernetes.kubernetes_asyncio_loader import (
    KubernetesAsyncio,
    import_without_models,
)
from sluice_runtime.kubernetes.settings import KubernetesSettings

__all__ = ["ClusterConfigurationError", "KubernetesClient"]

Json = dict[str, Any]

_JSON = "application/json"
# A watch without a reader must not fill the memory; the reader splits lines.
_READ_BUFFER = 256 * 1024
# Room for a page of 40 Workflows of the largest size that etcd accepts.
_MAX_ANSWER = 64 * 1024 * 1024
# Commas, colons and opening brackets. Each can take 85 bytes of memory. The 1.5 MiB that an object
# may have can hold 1.5 million.
_MAX_ANSWER_VALUES = 2_000_000


class ClusterConfigurationError(Exception):
    """There is no usable kubeconfig and no service account."""


class KubernetesClient:
    """Sends JSON to the API server and returns JSON."""

    def __init__(self, api: Any) -> None:  # noqa: ANN401 - kubernetes-asyncio is untyped
        self._api = api
        self._session: aiohttp.ClientSession = api.rest_client.pool_manager

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(
        cls, settings: KubernetesSettings, *, connections: int = 100
    ) -> "AsyncIterator[KubernetesClient]":
        """Yield a client that is connected by `settings`, with so many connections at most.

        Raises:
            ClusterConfigurationError: there is no usable kubeconfig and no service account.
        """
        api = await _api_client(settings, connections=connections)
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
        content_type: str = _JSON,
        accept: str = _JSON,
        parse: Callable[[bytes], object] = json.loads,
    ) -> Json:
        """Send one request and return the JSON of the response, parsed by `parse`.

        Raises:
            ApiError: the API server refused the request; the subclass says why.
            AnswerTooLargeError: the response has too many bytes or values.
            ApiUnavailableError: there was no definite answer within the deadline.
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
                    headers=await self._headers(accept) | {"Content-Type": content_type},
                    timeout=aiohttp.ClientTimeout(total=None),
                    proxy=self._api.configuration.proxy,
                    # A redirected POST would come back as the answer to a GET.
                    allow_redirects=False,
                ) as response,
            ):
                answer = await _read(response, what=what)
        except (aiohttp.ClientError, OSError) as e:
            raise _interrupted(what, e) from None
        _refuse_failure(response, answer, what=what)
        try:
            document = parse(answer)
        except (ValueError, RecursionError) as e:
            raise ApiUnavailableError(f"{what}: the response is not JSON") from e
        if not isinstance(document, dict):
            raise ApiUnavailableError(f"{what}: the response is not a JSON object")
        return document

    @contextlib.asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        deadline: Deadline,
        query: Mapping[str, str],
        accept: str = _JSON,
        buffer: int = _READ_BUFFER,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a watch or a log and yield its bytes as they arrive; the deadline is for opening it.

        Twice `buffer` bytes are read before they are asked for.

        Raises:
            ApiError: the API server refused it.
            ApiUnavailableError: it could not be opened, or broke. A clean end raises nothing.
        """
        what = f"WATCH {path}"
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with deadline.enforce():
                    response = await stack.enter_async_context(
                        self._session.get(
                            self._api.configuration.host + path,
                            params=query,
                            headers=await self._headers(accept),
                            timeout=aiohttp.ClientTimeout(total=None),
                            proxy=self._api.configuration.proxy,
                            allow_redirects=False,
                            read_bufsize=buffer,
                        )
                    )
                    stack.callback(_cut, response)
                    if not _is_success(response):
                        _refuse_failure(response, await _read(response, what=what), what=what)
            except (aiohttp.ClientError, OSError) as e:
                raise _interrupted(what, e) from None
            yield _chunks(response, what)

    async def _headers(self, accept: str) -> dict[str, str]:
        headers = {"Accept": accept, "User-Agent": "sluice"}
        try:
            await self._api.update_params_for_auth(headers, [], ["BearerToken"])
        except (import_without_models().config.ConfigException, OSError) as e:
            raise ApiUnavailableError(f"There is no token for authentication: {e}") from e
        return headers


def _cut(response: aiohttp.ClientResponse) -> None:
    """Close an unfinished stream at once.

    A TLS connection that is closed regularly stays open until the server confirms it.
    """
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()


def _is_success(response: aiohttp.ClientResponse) -> bool:
    return response.status // 100 == 2  # noqa: PLR2004


def _refuse_failure(response: aiohttp.ClientResponse, answer: bytes, *, what: str) -> None:
    if not _is_success(response):
        raise error_for(
            response.status, answer, what=what, retry_after=response.headers.get("Retry-After")
        )


async def _read(response: aiohttp.ClientResponse, *, what: str) -> bytes:
    answer = bytearray()
    async for chunk in response.content.iter_any():
        answer += chunk
        if len(answer) > _MAX_ANSWER:
            raise AnswerTooLargeError(
                f"{what}: the response is larger than {_MAX_ANSWER >> 20} MiB; use smaller pages"
            )
    if count_structure(answer) > _MAX_ANSWER_VALUES:
        raise AnswerTooLargeError(
            f"{what}: the response has more than {_MAX_ANSWER_VALUES} values; use smaller pages"
        )
    return bytes(answer)


async def _chunks(response: aiohttp.ClientResponse, what: str) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, OSError) as e:
        raise _interrupted(what, e) from None


def _interrupted(what: str, error: Exception) -> ApiUnavailableError:
    """Return an error that says why the exchange broke.

    It has the message of errors of the operating system only. aiohttp's messages quote unreadable
    bytes, which can be a Workflow's. Raise the result `from None`: a traceback would show them too.
    """
    words = f": {error}" if isinstance(error, OSError) else ""
    return ApiUnavailableError(f"{what}: {type(error).__name__}{words}")


async def _api_client(settings: KubernetesSettings, *, connections: int) -> Any:  # noqa: ANN401
    slim = import_without_models()
    configuration = slim.configuration()
    configuration.connection_pool_maxsize = connections
    # The authorities of many clusters, such as EKS, lack fields that Python 3.13 requires
    # (kubernetes-client/python#2394). Chain, dates and host name are still verified.
    configuration.disable_strict_ssl_verification = True
    try:
        await _configure(configuration, slim, settings)
        return slim.api_client(configuration=configuration)
    except (
        slim.config.ConfigException,
        OSError,
        yaml.YAMLError,
        # The loader raises these for a file that is not a kubeconfig.
        TypeError,
        ValueError,
        AssertionError,
    ) as e:
        raise ClusterConfigurationError(
            f"There is no usable configuration for Kubernetes: {e}. "
            "Set SLUICE_KUBERNETES__KUBECONFIG to a kubeconfig file."
        ) from e


async def _configure(
    configuration: Any,  # noqa: ANN401 - kubernetes-asyncio is untyped
    slim: KubernetesAsyncio,
    settings: KubernetesSettings,
) -> None:
    if settings.kubeconfig is None:
        with contextlib.suppress(slim.config.ConfigException):
            slim.config.load_incluster_config(client_configuration=configuration)
            return
    loader = await slim.config.load_kube_config(
        config_file=str(settings.kubeconfig) if settings.kubeconfig else None,
        context=settings.context,
        client_configuration=configuration,
    )
    if hasattr(loader, "exec_plugin_expiry"):
        configuration.refresh_api_key_hook = _refresher(loader)


def _refresher(loader: Any) -> Callable[[Any], Awaitable[None]]:  # noqa: ANN401
    """Return a hook that renews the token of an exec plugin; EKS tokens live for 15 minutes."""

    async def refresh(configuration: Any) -> None:  # noqa: ANN401
        await loader.load_from_exec_plugin()  # does nothing before the token expires
        configuration.api_key["BearerToken"] = loader.token

    return refresh
