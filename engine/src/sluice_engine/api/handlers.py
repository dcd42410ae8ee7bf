"""The verbs on objects."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from sluice_engine.api.queries import (
    ListQuery,
    TimeLimit,
    continue_token,
    expired_token,
    list_query,
    refuse_dry_run,
)
from sluice_engine.api.responses import deleted_status, document, list_head, stored
from sluice_engine.api.watches import Watches
from sluice_engine.documents import Json, Object, decode
from sluice_engine.store.errors import (
    ApiError,
    bad_request,
    invalid,
    unsupported_media_type,
)
from sluice_engine.store.patches import json_patch, merge_patch
from sluice_engine.store.resources import Key, Resource, resource_of
from sluice_engine.store.store import Page, Store

__all__ = ["Handlers"]

_JSON_PATCH: Final = "application/json-patch+json"
_MERGE_PATCH: Final = "application/merge-patch+json"
_CHUNK_BYTES: Final = 256 * 1024


class Handlers:
    """HTTP handlers over a store.

    Args:
        store: where the objects are.
        watches: serves the requests that watch.
    """

    def __init__(self, store: Store, watches: Watches) -> None:
        self._store = store
        self._watches = watches

    async def create(self, request: web.Request) -> web.StreamResponse:
        """POST to a collection."""
        resource, namespace = _collection(request)
        refuse_dry_run(request)
        limit = TimeLimit(request)
        if resource.namespaced and not namespace:
            raise bad_request("an object is created in a namespace")
        obj = await _body(request)
        limit.check()
        return stored(self._store.create(resource, namespace, obj), status=201)

    async def list(self, request: web.Request) -> web.StreamResponse:
        """GET a collection, or watch it."""
        resource, namespace = _collection(request)
        query = list_query(request)
        if query.watch:
            return await self._watches.serve(request, resource, namespace, query)
        page = self._page(resource, namespace, query)
        metadata: Object = {"resourceVersion": str(page.version)}
        if page.last is not None:
            metadata["continue"] = continue_token(page.version, page.last)
            if not query.selective:
                metadata["remainingItemCount"] = page.remaining
        return await _send_list(request, list_head(resource, metadata), page.bodies)

    async def read(self, request: web.Request) -> web.StreamResponse:
        """GET one object."""
        return stored(self._store.read(_key(request)))

    async def replace(self, request: web.Request) -> web.StreamResponse:
        """PUT one object; it must name the version that it replaces."""
        key = _key(request)
        refuse_dry_run(request)
        obj = await _body(request)
        metadata = obj.get("metadata")
        if not isinstance(metadata, dict) or not metadata.get("resourceVersion"):
            self._store.read(key)
            kind = f"{key.resource.kind}.{key.resource.group}"
            why = "Invalid value: 0x0: must be specified for an update"
            raise invalid(kind, key.name, "metadata.resourceVersion", why)
        return stored(self._store.update(key, obj))

    async def patch(self, request: web.Request) -> web.StreamResponse:
        """PATCH one object, by JSON patch or merge patch."""
        key = _key(request)
        refuse_dry_run(request)
        patch = _json(await request.read())
        current = self._store.get(key)
        match request.content_type:
            case "application/json-patch+json":
                changed = json_patch(current, patch)
            case "application/merge-patch+json" if isinstance(patch, dict):
                changed = merge_patch(current, patch)
            case "application/merge-patch+json":
                raise bad_request("a merge patch is a JSON object")
            case other:
                raise unsupported_media_type(other, f"{_JSON_PATCH}, {_MERGE_PATCH}")
        _check_uid(key, current, changed)
        return stored(self._store.update(key, changed, current=current))

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """DELETE one object; finalizers keep it."""
        key = _key(request)
        refuse_dry_run(request)
        text = await request.read()
        options = _json(text) if text.strip() else {}
        preconditions = (options.get("preconditions") or {}) if isinstance(options, dict) else {}
        body, gone = self._store.delete(
            key,
            uid=preconditions.get("uid"),
            resource_version=preconditions.get("resourceVersion"),
        )
        if gone:
            return document(deleted_status(key, decode(body)["metadata"]["uid"]))
        return stored(body)

    async def delete_collection(self, request: web.Request) -> web.StreamResponse:
        """DELETE all selected objects of a collection."""
        resource, namespace = _collection(request)
        refuse_dry_run(request)
        query = list_query(request)
        page = self._store.select(resource, namespace=namespace, selector=query.selector)
        for body in page.bodies:
            metadata = decode(body)["metadata"]
            self._store.delete(Key(resource, metadata.get("namespace", ""), metadata["name"]))
        head = list_head(resource, {"resourceVersion": str(self._store.version)})
        return await _send_list(request, head, page.bodies)

    def _page(self, resource: Resource, namespace: str, query: ListQuery) -> Page:
        # "Not older than" is served with the newest; only an exact version needs the past.
        if not query.exact and query.version is not None and query.version <= self._store.version:
            version = None
        else:
            version = query.version
        try:
            return self._store.select(
                resource,
                namespace=namespace,
                selector=query.selector,
                version=version,
                after=query.after,
                limit=query.limit,
            )
        except ApiError as e:
            if e.reason == "Expired" and query.after is not None:
                raise expired_token() from e
            raise


def _collection(request: web.Request) -> tuple[Resource, str]:
    found = request.match_info
    resource = resource_of(found["group"], found["version"], found["plural"])
    namespace = found.get("namespace", "")
    if resource is None or (namespace and not resource.namespaced):
        raise web.HTTPNotFound
    return resource, namespace


def _key(request: web.Request) -> Key:
    resource, namespace = _collection(request)
    if resource.namespaced != bool(namespace):
        raise web.HTTPNotFound
    return Key(resource, namespace, request.match_info["name"])


def _json(text: bytes) -> Json:
    try:
        return decode(text)
    except (ValueError, RecursionError) as e:
        raise bad_request(f"the body of the request is not JSON: {e}") from e


async def _body(request: web.Request) -> Object:
    if request.content_type not in {"application/json", "application/octet-stream"}:
        raise unsupported_media_type(request.content_type, "application/json")
    obj = _json(await request.read())
    if not isinstance(obj, dict):
        raise bad_request("the object provided is not a JSON object")
    return obj


def _check_uid(key: Key, current: Object, changed: Json) -> None:
    metadata = changed.get("metadata") if isinstance(changed, dict) else None
    if not isinstance(metadata, dict):
        raise bad_request("an object without metadata cannot be stored")
    if metadata.get("uid") != current["metadata"]["uid"]:
        kind = f"{key.resource.kind}.{key.resource.group}"
        raise invalid(kind, key.name, "metadata.uid", "Invalid value: field is immutable")


async def _send_list(
    request: web.Request, head: bytes, bodies: Sequence[bytes]
) -> web.StreamResponse:
    """Send a list in pieces: thousands of Workflows need not be in memory twice."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    piece = bytearray(head)
    for position, body in enumerate(bodies):
        piece += (b"," if position else b"") + body
        if len(piece) >= _CHUNK_BYTES:
            await response.write(bytes(piece))
            piece.clear()
    await response.write(bytes(piece) + b"]}")
    await response.write_eof()
    return response
