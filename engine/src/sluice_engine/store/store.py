"""The store: what an API server does between its HTTP handlers and etcd."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sluice_engine.documents import Object, decode, encode, same_json
from sluice_engine.store.database import Database
from sluice_engine.store.errors import already_exists, conflict, not_found, too_large, too_new
from sluice_engine.store.history import Change, History, Version
from sluice_engine.store.metadata import (
    labels_of,
    prepare_creation,
    prepare_update,
    timestamp,
)
from sluice_engine.store.resources import RESOURCES, Key, Resource
from sluice_engine.store.selectors import EVERYTHING, Selector

__all__ = ["MAX_OBJECT_BYTES", "Page", "Store"]

MAX_OBJECT_BYTES: Final = 3 * 512 * 1024
"""etcd's default limit of a request, 1.5 MiB."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects of a list, all as they were at `version`."""

    bodies: list[bytes]
    version: int
    last: Key | None
    remaining: int


class Store:
    """All objects, with one resource version counter over them.

    Every method is synchronous and complete: what it returned or raised is what is on disk.

    Args:
        folder: the data folder.
        max_changes: changes kept for watchers.
        max_bytes: bytes of changes kept for watchers.
    """

    def __init__(self, folder: Path, *, max_changes: int, max_bytes: int) -> None:
        self._database = Database(folder)
        self._labels: dict[Key, dict[str, str]] = {}
        resources = {resource.plural: resource for resource in RESOURCES}
        for plural, namespace, name, body in self._database.rows():
            key = Key(resources[plural], namespace, name)
            self._labels[key] = labels_of(decode(body))
        self.version = self._database.version()
        self.history = History(self.version, max_changes=max_changes, max_bytes=max_bytes)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def keys(self, resource: Resource) -> list[Key]:
        """Return the keys of all objects of a resource."""
        return [key for key in self._labels if key.resource is resource]

    def holds(self, key: Key) -> bool:
        """Return whether there is such an object."""
        return key in self._labels

    def read(self, key: Key) -> bytes:
        """Return an object as JSON.

        Raises:
            ApiError: 404.
        """
        if key not in self._labels:
            raise not_found(key.resource.qualified, key.name)
        return self._database.body(key.resource.plural, key.namespace, key.name)

    def get(self, key: Key) -> Object:
        """Return an object.

        Raises:
            ApiError: 404.
        """
        found: Object = decode(self.read(key))
        return found

    def create(self, resource: Resource, namespace: str, obj: Object) -> bytes:
        """Store a new object and return it as JSON.

        Raises:
            ApiError: 400, 409 AlreadyExists, 422, or too large.
        """
        key = prepare_creation(resource, namespace, obj)
        if key in self._labels:
            raise already_exists(resource.qualified, key.name)
        return self._write(key, obj, before=None)

    def update(self, key: Key, changed: Object, *, current: Object | None = None) -> bytes:
        """Replace an object and return the new one as JSON; the same content keeps the version.

        An object that is being deleted goes when its last finalizer goes.

        Args:
            key: which one.
            changed: the new object; its resourceVersion, if any, must be the current one.
            current: the object as it is, if the caller has just read it.

        Raises:
            ApiError: 400, 404, 409 Conflict, 422, or too large.
        """
        body = self.read(key)
        current = current or decode(body)
        new = prepare_update(key, current, changed)
        if same_json(new, current):
            return body
        before = Version(self._labels[key], body)
        metadata = new["metadata"]
        gone = "deletionTimestamp" in metadata and not metadata.get("finalizers")
        return self._write(key, new, before=before, deleted=gone)

    def delete(
        self, key: Key, *, uid: str | None = None, resource_version: str | None = None
    ) -> tuple[bytes, bool]:
        """Delete an object, or set its deletionTimestamp while it has finalizers.

        Returns:
            The object as it is now, and whether it is gone.

        Raises:
            ApiError: 404, or 409 if a precondition does not hold.
        """
        body = self.read(key)
        obj: Object = decode(body)
        metadata = obj["metadata"]
        for what, wanted, found in (
            ("UID", uid, metadata["uid"]),
            ("ResourceVersion", resource_version, metadata["resourceVersion"]),
        ):
            if wanted is not None and wanted != found:
                why = (
                    f"Precondition failed: {what} in precondition: {wanted}, "
                    f"{what} in object meta: {found}"
                )
                raise conflict(key.resource.qualified, key.name, why)
        before = Version(self._labels[key], body)
        if not metadata.get("finalizers"):
            return self._write(key, obj, before=before, deleted=True), True
        if "deletionTimestamp" in metadata:
            return body, False
        metadata["deletionTimestamp"] = timestamp()
        metadata["deletionGracePeriodSeconds"] = 0
        metadata["generation"] = metadata.get("generation", 1) + 1
        return self._write(key, obj, before=before), False

    def select(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        selector: Selector = EVERYTHING,
        version: int | None = None,
        after: tuple[str, str] | None = None,
        limit: int = 0,
    ) -> Page:
        """Return a page of a list, ordered by namespace and name.

        Args:
            resource: what to list.
            namespace: where; empty means everywhere.
            selector: which of them.
            version: the resource version whose state is wanted; None means now.
            after: namespace and name of the last object of the page before.
            limit: the most objects of a page; 0 means all.

        Raises:
            ApiError: 410 if the state at `version` was dropped, 504 if it is in the future.
        """
        if version is not None and version > self.version:
            raise too_new(version, self.version)
        past = {} if version is None else self.history.states_at(version)
        chosen: list[tuple[Key, bytes | None]] = []
        for key in self._labels.keys() | past.keys():
            state = past.get(key)
            labels = state.labels if state else self._labels.get(key)
            if (
                key.resource is resource
                and (not namespace or key.namespace == namespace)
                and (key not in past or state is not None)
                and labels is not None
                and selector.matches(namespace=key.namespace, name=key.name, labels=labels)
                and (after is None or (key.namespace, key.name) > after)
            ):
                chosen.append((key, state.body if state else None))
        chosen.sort(key=lambda item: item[0][1:])
        page = chosen[:limit] if limit else chosen
        more = len(chosen) > len(page)
        return Page(
            bodies=[body if body is not None else self.read(key) for key, body in page],
            version=self.version if version is None else version,
            last=page[-1][0] if more else None,
            remaining=len(chosen) - len(page),
        )

    def _write(
        self, key: Key, obj: Object, *, before: Version | None, deleted: bool = False
    ) -> bytes:
        version = self.version + 1
        obj["metadata"]["resourceVersion"] = str(version)
        body = encode(obj)
        if len(body) > MAX_OBJECT_BYTES:
            raise too_large()
        labels = labels_of(obj)
        stored = None if deleted else body
        self._database.save(key.resource.plural, key.namespace, key.name, stored, version=version)
        self.version = version
        if deleted:
            del self._labels[key]
        else:
            self._labels[key] = labels
        self.history.append(Change(version, key, before, Version(labels, body), deleted=deleted))
        return body
