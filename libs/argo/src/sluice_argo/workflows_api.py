"""Argo's Workflows in one namespace, as the API server offers them."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sluice_argo.metadata import SELECTOR
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kubernetes.client import Json, KubernetesClient
from sluice_runtime.kubernetes.errors import ApiUnavailableError, ConflictError, RefusedError

__all__ = ["WorkflowPage", "WorkflowsApi"]

_JSON_PATCH = "application/json-patch+json"


@dataclass(frozen=True, kw_only=True)
class WorkflowPage:
    """One page of a list; `continue_token` leads to the next, None on the last."""

    items: list[Json]
    resource_version: str
    continue_token: str | None


class WorkflowsApi:
    """Create, get, patch, list and watch Sluice's Workflows; each request has its own timeout."""

    def __init__(
        self,
        client: KubernetesClient,
        *,
        namespace: str,
        request_timeout: timedelta,
        create_timeout: timedelta | None = None,
    ) -> None:
        self._client = client
        self._path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/workflows"
        self._timeout = request_timeout
        self._create_timeout = create_timeout or request_timeout

    async def create(self, manifest: Json) -> Json:
        """Create a Workflow, within the create timeout here and at the API server.

        The API server counts `timeout` from when it received the request, and goes on for no
        longer with what was given up here (request_deadline.go in k8s.io/apiserver).

        Raises:
            AlreadyExistsError: the name is taken.
            ApiError: another clear no.
            ApiUnavailableError: it may have been created or not.
        """
        return await self._client.call(
            "POST",
            self._path,
            query={"timeout": f"{self._create_timeout // timedelta(milliseconds=1)}ms"},
            body=manifest,
            deadline=Deadline("create a Workflow", self._create_timeout),
        )

    async def get(self, name: str) -> Json:
        """Read one Workflow; the errors are those of `create`, NotFoundError among them."""
        return await self._client.call(
            "GET", f"{self._path}/{name}", deadline=self._deadline("get a Workflow")
        )

    async def patch(self, name: str, operations: Sequence[Json]) -> Json:
        """Change one Workflow by JSON Patch (RFC 6902).

        Raises:
            ConflictError: a `test` failed, or the resourceVersion has moved on.
            ApiError: another clear no.
            ApiUnavailableError: it may have been changed or not.
        """
        try:
            return await self._client.call(
                "PATCH",
                f"{self._path}/{name}",
                body=list(operations),
                content_type=_JSON_PATCH,
                deadline=self._deadline("patch a Workflow"),
            )
        except RefusedError as e:
            # The API server answers 422 to a patch whose test fails as to one that makes no sense.
            if e.reason == "Invalid" and any(op["op"] == "test" for op in operations):
                raise ConflictError(str(e), status=e.status, reason=e.reason) from e
            raise

    async def list_page(self, *, limit: int, continue_token: str | None) -> WorkflowPage:
        """Read one page of Sluice's Workflows; GoneError if the token has expired."""
        query = {"labelSelector": SELECTOR, "limit": str(limit)}
        if continue_token:
            query["continue"] = continue_token
        answer = await self._client.call(
            "GET", self._path, query=query, deadline=self._deadline("list Workflows")
        )
        metadata = answer.get("metadata") or {}
        if not metadata.get("resourceVersion"):
            raise ApiUnavailableError("The list of Workflows has no resourceVersion.")
        return WorkflowPage(
            items=answer.get("items") or [],
            resource_version=metadata["resourceVersion"],
            continue_token=metadata.get("continue") or None,
        )

    @contextlib.asynccontextmanager
    async def watch(
        self, *, resource_version: str, timeout_seconds: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Watch Sluice's Workflows from a resourceVersion; gives the bytes of the stream."""
        query = {
            "labelSelector": SELECTOR,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
        }
        async with self._client.stream(
            self._path, query=query, deadline=self._deadline("open the watch")
        ) as chunks:
            yield chunks

    def _deadline(self, what: str) -> Deadline:
        return Deadline(what, self._timeout)
