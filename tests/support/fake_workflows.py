"""A stateful fake of the API server's Workflows, with the interface of `WorkflowsApi`.

It has resourceVersions, a history for watches, finalizers and deletionTimestamps like an API
server. It runs nothing: tests play Argo's controller with `set_status_for_test`.
"""

import asyncio
import contextlib
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal

from sluice_argo.metadata import MANAGED_BY, MANAGED_BY_VALUE
from sluice_argo.workflows_api import WorkflowPage
from sluice_engine.store.errors import ApiError
from sluice_engine.store.patches import json_patch
from sluice_runtime.kubernetes.errors import (
    AlreadyExistsError,
    ApiUnavailableError,
    ConflictError,
    GoneError,
    NotFoundError,
)

Json = dict[str, Any]
Operation = Literal["create", "get", "patch", "delete_pod", "list_page", "watch"]

CREATED_AT = "2026-01-01T00:00:00Z"
DELETED_AT = "2026-01-01T01:00:00Z"


@dataclass(frozen=True)
class _Change:
    version: int
    before: Json | None
    after: Json
    deleted: bool


@dataclass(eq=False)
class _Stream:
    """One open watch: bytes to be read, and whether it has ended."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    raw: deque[bytes] = field(default_factory=deque)
    broken: bool = False
    closed: bool = False


class FakeWorkflows:
    """The Workflows of one namespace, in memory."""

    def __init__(self, *, namespace: str = "argo", bookmark_every: float = 60.0) -> None:
        self.namespace = namespace
        self._bookmark_every = bookmark_every
        self._objects: dict[str, Json] = {}
        self._version = 100
        self._uids = 0
        self._uid = "uid" if namespace == "argo" else f"{namespace}-uid"
        self.pods_for_test: set[str] = set()
        self.deleted_pods_for_test: list[str] = []
        self._history: list[_Change] = []
        self._oldest = self._version
        self._streams: set[_Stream] = set()
        self._silent = False
        self._failures: dict[Operation, deque[Exception]] = defaultdict(deque)
        self._lost_answers: dict[Operation, int] = defaultdict(int)
        self._held: dict[Operation, asyncio.Event] = {}
        self._passing: dict[Operation, int] = defaultdict(int)
        self._calls: dict[Operation, int] = defaultdict(int)
        self._changed = asyncio.Condition()

    async def create(self, manifest: Json) -> Json:
        """See `WorkflowsApi.create`."""
        await self._enter("create")
        name = manifest["metadata"]["name"]
        if name in self._objects:
            raise AlreadyExistsError(f"{name}: 409", status=409, reason="AlreadyExists")
        self._uids += 1
        obj = deepcopy(manifest)
        obj["metadata"] |= {
            "namespace": self.namespace,
            "uid": f"{self._uid}-{self._uids}",
            "creationTimestamp": CREATED_AT,
        }
        return self._answer("create", await self._write(name, obj))

    async def get(self, name: str) -> Json:
        """See `WorkflowsApi.get`."""
        await self._enter("get")
        return self._answer("get", self._object(name))

    async def patch(self, name: str, operations: Sequence[Json]) -> Json:
        """See `WorkflowsApi.patch`."""
        await self._enter("patch")
        before = self._object(name)
        try:
            obj = json_patch(before, operations)
        except ApiError as e:
            raise ConflictError(f"{name}: 422 {e}", status=422, reason="Invalid") from e
        metadata = obj["metadata"]
        added = set(metadata.get("finalizers") or ()) - set(
            before["metadata"].get("finalizers") or ()
        )
        if "deletionTimestamp" in metadata and added:
            raise ConflictError(f"{name}: being deleted", status=422, reason="Invalid")
        if metadata["resourceVersion"] != before["metadata"]["resourceVersion"]:
            raise ConflictError(f"{name}: modified", status=409, reason="Conflict")
        return self._answer("patch", await self._write(name, obj))

    async def delete_pod(self, name: str) -> bool:
        """See `WorkflowsApi.delete_pod`; a pod is gone once it is deleted."""
        await self._enter("delete_pod")
        self.deleted_pods_for_test.append(name)
        is_there = name in self.pods_for_test
        self.pods_for_test.discard(name)
        return is_there

    async def list_page(self, *, limit: int, continue_token: str | None) -> WorkflowPage:
        """See `WorkflowsApi.list_page`; a token is valid until the history expires."""
        await self._enter("list_page")
        after = ""
        version = self._version
        if continue_token:
            token_version, after = continue_token.split(":")
            version = int(token_version)
            if version < self._oldest:
                raise GoneError("continue token: 410", status=410, reason="Expired")
        names = sorted(n for n, o in self._objects.items() if n > after and _selected(o))
        page = names[:limit]
        more = len(names) > len(page)
        return WorkflowPage(
            items=[deepcopy(self._objects[name]) for name in page],
            resource_version=str(version),
            continue_token=f"{version}:{page[-1]}" if more else None,
        )

    @contextlib.asynccontextmanager
    async def watch(
        self, *, resource_version: str, timeout_seconds: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """See `WorkflowsApi.watch`; a version that is too old ends in an ERROR event of 410."""
        await self._enter("watch")
        stream = _Stream()
        self._streams.add(stream)
        await self._notify()
        try:
            yield self._chunks(stream, int(resource_version), timeout_seconds)
        finally:
            self._streams.discard(stream)
            await self._notify()

    # Only for tests.

    def object_for_test(self, name: str) -> Json:
        """Return a copy of one object; KeyError if it does not exist."""
        return deepcopy(self._objects[name])

    def names_for_test(self) -> set[str]:
        """Return the names of all objects."""
        return set(self._objects)

    def calls_for_test(self, operation: Operation) -> int:
        """Return the number of calls so far, including failed ones."""
        return self._calls[operation]

    async def set_status_for_test(self, name: str, **status: Any) -> Json:
        """Play the controller: merge these fields into the status; None removes one."""

        def change(obj: Json) -> None:
            merged = {**obj.get("status", {}), **status}
            obj["status"] = {k: v for k, v in merged.items() if v is not None}

        return await self.change_for_test(name, change)

    async def change_for_test(self, name: str, change: Callable[[Json], None]) -> Json:
        """Change an object as another client."""
        obj = deepcopy(self._objects[name])
        change(obj)
        return await self._write(name, obj)

    async def delete_for_test(self, name: str) -> None:
        """Delete as `kubectl delete --wait=false` does: finalizers keep the object."""
        obj = deepcopy(self._objects[name])
        obj["metadata"]["deletionTimestamp"] = DELETED_AT
        await self._write(name, obj)

    async def remove_for_test(self, name: str) -> None:
        """Remove the object in spite of its finalizers."""
        before = self._objects.pop(name)
        gone = deepcopy(before)
        self._version += 1
        gone["metadata"]["resourceVersion"] = str(self._version)
        await self._record(_Change(self._version, before, gone, deleted=True))

    def expire_history_for_test(self) -> None:
        """Expire the history like etcd's compaction: older versions get a 410."""
        self._history.clear()
        self._version += 1
        self._oldest = self._version

    def drop_streams_for_test(self) -> None:
        """Break all open watches, as a connection reset does."""
        for stream in self._streams:
            stream.broken = True
            stream.wake.set()

    def close_streams_for_test(self) -> None:
        """End all open watches cleanly."""
        for stream in self._streams:
            stream.closed = True
            stream.wake.set()

    def send_raw_for_test(self, data: bytes) -> None:
        """Send raw bytes over all open watches."""
        for stream in self._streams:
            stream.raw.append(data)
            stream.wake.set()

    def go_silent_for_test(self) -> None:
        """Stop sending over open watches, and keep them open."""
        self._silent = True

    def speak_again_for_test(self) -> None:
        """Resume sending over all watches."""
        self._silent = False
        for stream in self._streams:
            stream.wake.set()

    def fail_for_test(self, operation: Operation, *errors: Exception) -> None:
        """Fail the next calls with these errors, without any effect."""
        self._failures[operation].extend(errors)

    def lose_answers_for_test(self, operation: Operation, *, times: int = 1) -> None:
        """Apply the next calls, and lose their responses."""
        self._lost_answers[operation] += times

    def hold_for_test(self, operation: Operation, *, after: int = 0) -> asyncio.Event:
        """Let `after` calls pass; later ones wait until the returned event is set."""
        self._passing[operation] = after
        return self._held.setdefault(operation, asyncio.Event())

    def heal_for_test(self) -> None:
        """Cancel all faults that have not occurred yet."""
        self._failures.clear()
        self._lost_answers.clear()
        for held in self._held.values():
            held.set()
        self._held.clear()
        self.speak_again_for_test()

    async def wait_for_test(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is checked after each call, change and stream."""
        async with self._changed:
            await self._changed.wait_for(condition)

    def streams_for_test(self) -> int:
        """Return the number of open watches."""
        return len(self._streams)

    # Internals of the API server.

    async def _enter(self, operation: Operation) -> None:
        self._calls[operation] += 1
        await self._notify()
        self._passing[operation] -= 1
        if operation in self._held and self._passing[operation] < 0:
            await self._held[operation].wait()
        if self._failures[operation]:
            raise self._failures[operation].popleft()

    def _answer(self, operation: Operation, document: Json) -> Json:
        if self._lost_answers[operation]:
            self._lost_answers[operation] -= 1
            raise ApiUnavailableError(f"{operation}: the answer was lost")
        return deepcopy(document)

    def _object(self, name: str) -> Json:
        if name not in self._objects:
            raise NotFoundError(f"{name}: 404", status=404, reason="NotFound")
        return self._objects[name]

    async def _write(self, name: str, obj: Json) -> Json:
        before = self._objects.get(name)
        if before == obj:
            return obj
        self._version += 1
        metadata = obj["metadata"]
        metadata["resourceVersion"] = str(self._version)
        gone = "deletionTimestamp" in metadata and not metadata.get("finalizers")
        if not gone:
            self._objects[name] = obj
            await self._record(_Change(self._version, before, deepcopy(obj), deleted=False))
            return obj
        # As in etcd: the last state is the previous one, with its finalizer, at a new version.
        last = deepcopy(self._objects.pop(name))
        last["metadata"]["resourceVersion"] = str(self._version)
        await self._record(_Change(self._version, before, last, deleted=True))
        return obj

    async def _record(self, change: _Change) -> None:
        self._history.append(change)
        for stream in self._streams:
            stream.wake.set()
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _chunks(
        self, stream: _Stream, version: int, timeout_seconds: int
    ) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        ends = loop.time() + timeout_seconds
        bookmark = loop.time() + self._bookmark_every
        while not (stream.closed or _reached(ends)):
            stream.wake.clear()
            if stream.broken:
                raise ApiUnavailableError("WATCH: connection reset")
            if self._silent:
                await stream.wake.wait()
                continue
            if version < self._oldest:
                status = {"kind": "Status", "code": 410, "reason": "Expired"}
                yield _line("ERROR", status)
                return
            for change in [c for c in self._history if c.version > version]:
                version = change.version
                if (line := _seen_as(change)) is not None:
                    yield line
            while stream.raw:
                yield stream.raw.popleft()
            if _reached(bookmark):
                bookmark = loop.time() + self._bookmark_every
                version = max(version, self._version)
                yield _line("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(ends, bookmark)):
                    await stream.wake.wait()


def _reached(moment: float) -> bool:
    """Return whether a timer for this moment has fired, with a tolerance for clock rounding."""
    return asyncio.get_running_loop().time() >= moment - 0.001


def _selected(obj: Json | None) -> bool:
    labels = ((obj or {}).get("metadata") or {}).get("labels") or {}
    return bool(labels.get(MANAGED_BY) == MANAGED_BY_VALUE)


def _seen_as(change: _Change) -> bytes | None:
    """Return a change as a watch with the selector sees it; None if it does not."""
    was, is_now = _selected(change.before), _selected(change.after) and not change.deleted
    if not was and not is_now:
        return None
    if not is_now and not change.deleted and change.before is not None:
        # The object left the selection: the watch gets its previous state, at the new version.
        left = deepcopy(change.before)
        left["metadata"]["resourceVersion"] = str(change.version)
        return _line("DELETED", left)
    kind = {(False, True): "ADDED", (True, True): "MODIFIED", (True, False): "DELETED"}
    return _line(kind[was, is_now], change.after)


def _line(kind: str, obj: Json) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"
