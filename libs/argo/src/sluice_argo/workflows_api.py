"""The API of Argo's Workflows in one namespace."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sluice_argo.metadata import SELECTOR
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kubernetes.client import Json, KubernetesClient
from sluice_runtime.kubernetes.errors import (
    ApiUnavailableError,
    ConflictError,
    NotFoundError,
    RefusedError,
)

__all__ = ["Listed", "WorkflowPage", "WorkflowsApi"]

_JSON_PATCH = "application/json-patch+json"
_JSON = "application/json"
# https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches. A server that
# does not know it sends whole objects.
_METADATA = "application/json;as=PartialObjectMetadata{list};g=meta.k8s.io;v=v1,application/json"

Listed = Literal["whole", "metadata"]
"""What lists and watches contain of each Workflow; metadata is far smaller."""


@dataclass(frozen=True, kw_only=True)
class WorkflowPage:
    """One page of a list; `continue_token` is that of the next page, None on the last."""

    items: list[Json]
    resource_version: str
    continue_token: str | None


class WorkflowsApi:
    """Creates, gets, patches, lists and watches Sluice's Workflows, and deletes their pods.

    All are of one `namespace`. Each request has its own timeout. `parse` parses the responses of
    get, patch and list. `listed` is what lists and watches contain of each Workflow.
    """

    def __init__(
        self,
        client: KubernetesClient,
        *,
        namespace: str,
        request_timeout: timedelta,
        create_timeout: timedelta | None = None,
        parse: Callable[[bytes], object] = json.loads,
        listed: Listed = "whole",
    ) -> None:
        self._client = client
        self.namespace = namespace
        only = listed == "metadata"
        self._accept_list = _METADATA.format(list="List") if only else _JSON
        self._accept_watch = _METADATA.format(list="") if only else _JSON
        self._path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/workflows"
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._timeout = request_timeout
        self._create_timeout = create_timeout or request_timeout
        self._parse = parse

    async def create(self, manifest: Json) -> Json:
        """Create a Workflow within the create timeout, and return it.

        The timeout applies here and in the API server, so that the server does not finish a request
        long after it was given up here. The server counts `timeout` from the request's arrival
        (request_deadline.go in k8s.io/apiserver).

        Raises:
            AlreadyExistsError: the name is taken.
            ApiError: the request was refused for another reason.
            ApiUnavailableError: the Workflow may have been created or not.
        """
        return await self._client.call(
            "POST",
            self._path,
            query={"timeout": f"{self._create_timeout // timedelta(milliseconds=1)}ms"},
            body=manifest,
            deadline=Deadline("create a Workflow", self._create_timeout),
        )

    async def get(self, name: str) -> Json:
        """Return one Workflow.

        Raises:
            NotFoundError: the Workflow does not exist.
            ApiError: the request was refused for another reason.
            ApiUnavailableError: there was no definite answer.
        """
        return await self._client.call(
            "GET",
            f"{self._path}/{name}",
            deadline=self._deadline("get a Workflow"),
            parse=self._parse,
        )

    async def patch(self, name: str, operations: Sequence[Json]) -> Json:
        """Change one Workflow by JSON Patch (RFC 6902), and return it.

        Raises:
            ConflictError: a `test` failed, or the resourceVersion is no longer current.
            ApiError: the request was refused for another reason.
            ApiUnavailableError: the Workflow may have been changed or not.
        """
        try:
            return await self._client.call(
                "PATCH",
                f"{self._path}/{name}",
                body=list(operations),
                content_type=_JSON_PATCH,
                deadline=self._deadline("patch a Workflow"),
                parse=self._parse,
            )
        except RefusedError as e:
            # The API server answers 422 to a failed test as well as to an invalid patch.
            if e.reason == "Invalid" and any(op["op"] == "test" for op in operations):
                raise ConflictError(str(e), status=e.status, reason=e.reason) from e
            raise

    async def delete_pod(self, name: str) -> bool:
        """Delete a pod, and return whether there was one; it may take a while to go.

        Raises:
            ApiError: the request was refused.
            ApiUnavailableError: the pod may have been deleted or not.
        """
        try:
            await self._client.call(
                "DELETE", f"{self._pods}/{name}", deadline=self._deadline("delete a pod")
            )
        except NotFoundError:
            return False
        return True

    async def list_page(self, *, limit: int, continue_token: str | None) -> WorkflowPage:
        """Return one page of Sluice's Workflows.

        Raises:
            GoneError: the continue token has expired.
            AnswerTooLargeError: a smaller page may be readable.
            ApiError: the request was refused for another reason.
            ApiUnavailableError: there was no definite answer.
        """
        query = {"labelSelector": SELECTOR, "limit": str(limit)}
        if continue_token:
            query["continue"] = continue_token
        answer = await self._client.call(
            "GET",
            self._path,
            query=query,
            accept=self._accept_list,
            deadline=self._deadline("list Workflows"),
            parse=self._parse,
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
        """Watch Sluice's Workflows from a resourceVersion, and yield the bytes of the stream.

        Raises:
            GoneError: the resourceVersion is too old.
            ApiError: the request was refused for another reason.
            ApiUnavailableError: the watch could not be opened, or broke.
        """
        query = {
            "labelSelector": SELECTOR,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
        }
        async with self._client.stream(
            self._path,
            query=query,
            accept=self._accept_watch,
            deadline=self._deadline("open the watch"),
        ) as chunks:
            yield chunks

    def _deadline(self, what: str) -> Deadline:
        return Deadline(what, self._timeout)
