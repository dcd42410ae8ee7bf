"""A thin HTTP client for behaviour suites; it returns codes and documents unchanged."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import aiohttp

Json = Any

TEMPLATES = "apis/argoproj.io/v1alpha1/{ns}workflowtemplates"
WORKFLOWS = "apis/argoproj.io/v1alpha1/{ns}workflows"
LEASES = "apis/coordination.k8s.io/v1/{ns}leases"

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True)
class Answer:
    """Status code and document."""

    code: int
    body: Json
    headers: Mapping[str, str]


class Watch:
    """Lines of an open watch."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    @property
    def code(self) -> int:
        return self._response.status

    async def next(self) -> Json:
        """Return the next event; fail if the stream ends."""
        line = await self._response.content.readline()
        assert line, "the watch ended"
        return json.loads(line)

    async def rest(self) -> list[Json]:
        """Return all events up to the end of the stream."""
        return [json.loads(line) async for line in self._response.content]


class KubernetesClient:
    """Calls an API server.

    Args:
        session: session with credentials, if any are needed.
        url: base URL of the server.
        namespace: namespace of namespaced calls.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, namespace: str) -> None:
        self._session = session
        self.url = url
        self.namespace = namespace

    def path(self, resource: str, name: str = "", *, everywhere: bool = False) -> str:
        namespace = "" if everywhere else f"namespaces/{self.namespace}/"
        return f"{self.url}/{resource.format(ns=namespace)}" + (f"/{name}" if name else "")

    async def call(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Content-Type": content_type} if data is not None else {}
        async with self._session.request(
            method, path, data=data and BytesIO(data), headers=headers, params=query or {}
        ) as response:
            text = await response.read()
            return Answer(response.status, json.loads(text), response.headers)

    async def text(self, method: str, path: str) -> tuple[int, str]:
        async with self._session.request(method, path) as response:
            return response.status, await response.text()

    async def create(self, resource: str, body: Json) -> Answer:
        return await self.call("POST", self.path(resource), body)

    async def get(self, resource: str, name: str) -> Answer:
        return await self.call("GET", self.path(resource, name))

    async def put(self, resource: str, name: str, body: Json) -> Answer:
        return await self.call("PUT", self.path(resource, name), body)

    async def patch(
        self, resource: str, name: str, body: Json, content_type: str = MERGE_PATCH
    ) -> Answer:
        return await self.call("PATCH", self.path(resource, name), body, content_type=content_type)

    async def delete(self, resource: str, name: str, body: Json = None) -> Answer:
        return await self.call("DELETE", self.path(resource, name), body)

    async def list(self, resource: str, **query: str) -> Answer:
        return await self.call("GET", self.path(resource), query=query)

    async def list_everywhere(self, resource: str) -> Answer:
        return await self.call("GET", self.path(resource, everywhere=True))

    @asynccontextmanager
    async def watch(self, resource: str, **query: str) -> AsyncIterator[Watch]:
        params = {"watch": "true", "timeoutSeconds": "60"} | query
        async with self._session.get(self.path(resource), params=params) as response:
            yield Watch(response)


def template(name: str, **labels: str) -> Json:
    """Return a WorkflowTemplate: a custom resource that no controller touches."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": name, "labels": labels},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "suspend": {}}]},
    }
