"""Pods and their logs, as far as a reader of logs needs them: each step that has run has one."""

import re
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from sluice_engine.api.queries import flag, number
from sluice_engine.api.responses import document
from sluice_engine.controller.names import pod_name
from sluice_engine.controller.nodes import fulfilled
from sluice_engine.controller.packer import unpack
from sluice_engine.documents import Object
from sluice_engine.steps.runner import Runner
from sluice_engine.steps.step_log import LogQuery, read_log
from sluice_engine.store.errors import bad_request, not_found
from sluice_engine.store.resources import WORKFLOWS
from sluice_engine.store.store import Store

__all__ = ["Pods"]

_CONTAINER: Final = "main"
_FRACTION: Final = re.compile(r"\.\d+")


@dataclass(frozen=True, slots=True)
class _Pod:
    """A pod that a node has, or would have; `state` is that of its container."""

    name: str
    workflow: Object
    node: Object
    state: str

    @property
    def uid(self) -> str:
        """The uid of its Workflow."""
        return str(self.workflow["metadata"]["uid"])

    def document(self) -> Object:
        """Return the fields by which Argo and its clients know a pod."""
        metadata, done = self.workflow["metadata"], self.state == "terminated"
        return {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {
                "name": self.name,
                "namespace": metadata["namespace"],
                "labels": {
                    "workflows.argoproj.io/workflow": metadata["name"],
                    "workflows.argoproj.io/completed": str(done).lower(),
                },
                "annotations": {
                    "workflows.argoproj.io/node-id": self.node["id"],
                    "workflows.argoproj.io/node-name": self.node["name"],
                },
                "ownerReferences": [
                    {
                        "apiVersion": WORKFLOWS.api_version,
                        "kind": WORKFLOWS.kind,
                        "name": metadata["name"],
                        "uid": metadata["uid"],
                        "controller": True,
                    }
                ],
            },
            "status": {
                "phase": self.node["phase"] if done else "Running",
                "containerStatuses": [{"name": _CONTAINER, "state": {self.state: {}}}],
            },
        }


class Pods:
    """HTTP handlers; a pod is there while the folder of its step is.

    Args:
        store: the Workflows.
        runner: runs their steps, and keeps what these write.
    """

    def __init__(self, store: Store, runner: Runner) -> None:
        self._store = store
        self._runner = runner

    async def read(self, request: web.Request) -> web.StreamResponse:
        """GET one pod."""
        return document(self._pod(request).document())

    async def read_log(self, request: web.Request) -> web.StreamResponse:
        """GET the log of a pod, and follow it."""
        container = request.query.get("container", _CONTAINER)
        query, follows = _query(request), flag(request, "follow")
        pod = self._pod(request)
        if container != _CONTAINER:
            raise bad_request(f"container {container} is not valid for pod {pod.name}")
        live = self._runner.log(pod.uid, pod.node["id"])
        folder = self._runner.log_folder(pod.uid, pod.node["id"])
        if folder is None:
            why = (
                f'container "{_CONTAINER}" in pod "{pod.name}" is waiting to start: PodInitializing'
            )
            raise bad_request(why)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        async with aclosing(read_log(folder, query, follow=live if follows else None)) as pieces:
            async for piece in pieces:
                if piece:
                    await response.write(piece)
        await response.write_eof()
        return response

    def _pod(self, request: web.Request) -> _Pod:
        name = request.match_info["name"]
        namespace = request.match_info["namespace"]
        for key in self._store.keys(WORKFLOWS):
            if key.namespace == namespace and name.startswith(key.name):
                workflow = self._store.get(key)
                unpack(workflow)
                for node in (workflow["status"].get("nodes") or {}).values():
                    if node["type"] == "Pod" and _pod_name(key.name, node) == name:
                        return self._found(name, workflow, node)
        raise not_found("pods", name)

    def _found(self, name: str, workflow: Object, node: Object) -> _Pod:
        uid = workflow["metadata"]["uid"]
        if not fulfilled(node):
            runs = self._runner.log(uid, node["id"]) is not None
            return _Pod(name, workflow, node, "running" if runs else "waiting")
        if self._runner.log_folder(uid, node["id"]) is None:
            raise not_found("pods", name)
        return _Pod(name, workflow, node, "terminated")


def _pod_name(workflow: str, node: Object) -> str:
    template = (node.get("templateRef") or {}).get("template") or node.get("templateName") or ""
    return pod_name(workflow, node["name"], template)


def _query(request: web.Request) -> LogQuery:
    since = None
    if text := request.query.get("sinceTime", ""):
        try:
            since = datetime.fromisoformat(_FRACTION.sub("", text)).astimezone(UTC)
        except ValueError as e:
            raise bad_request(f"invalid value for sinceTime: {text!r}") from e
    return LogQuery(
        tail=number(request, "tailLines") if "tailLines" in request.query else None,
        since=since,
        timestamps=flag(request, "timestamps"),
    )
