"""Documents and bytes that the API answers with."""

import platform
from typing import Final

from aiohttp import web

from sluice_engine.documents import Json, Object, encode
from sluice_engine.settings import ENGINE_VERSION
from sluice_engine.store.resources import RESOURCES, Key, Resource

__all__ = [
    "api_groups",
    "api_resources",
    "bookmark",
    "deleted_status",
    "document",
    "event",
    "list_head",
    "stored",
    "version",
]

_VERBS: Final = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def document(value: Json, *, status: int = 200) -> web.Response:
    """Answer with a JSON document."""
    return stored(encode(value), status=status)


def stored(body: bytes, *, status: int = 200) -> web.Response:
    """Answer with an object as it is stored."""
    return web.Response(body=body, status=status, content_type="application/json")


def version() -> Object:
    """Return the `/version` document, which says that this is not Kubernetes."""
    major, minor = ENGINE_VERSION.removeprefix("v").split(".")[:2]
    return {
        "major": major,
        "minor": minor,
        "gitVersion": ENGINE_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": f"Python {platform.python_version()}",
        "platform": f"{platform.system().lower()}/{platform.machine()}",
        "notKubernetes": "This is Sluice's local engine, a stand-in for Kubernetes and Argo "
        "Workflows on one machine, for trying and testing.",
    }


def api_groups() -> Object:
    """Return the `/apis` document."""
    groups = {}
    for resource in RESOURCES:
        offered = {"groupVersion": resource.api_version, "version": resource.version}
        groups[resource.group] = {
            "name": resource.group,
            "versions": [offered],
            "preferredVersion": offered,
        }
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": list(groups.values())}


def api_resources(group: str, version: str) -> Object | None:
    """Return the discovery document of a group and version, or None if it is not served."""
    resources = [
        {
            "name": resource.plural,
            "singularName": resource.kind.lower(),
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": _VERBS,
            "shortNames": list(resource.short_names),
        }
        for resource in RESOURCES
        if (resource.group, resource.version) == (group, version)
    ]
    if not resources:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}",
        "resources": resources,
    }


def list_head(resource: Resource, metadata: Object) -> bytes:
    """Return the start of a list document, up to its items."""
    head = {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": metadata}
    return encode(head)[:-1] + b',"items":['


def event(kind: str, body: bytes) -> bytes:
    """Return one line of a watch."""
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), body)


def bookmark(resource: Resource, version: int, *, initial_events_end: bool = False) -> bytes:
    """Return a bookmark: a line with the resource version that a watch has reached."""
    metadata: Object = {"resourceVersion": str(version), "creationTimestamp": None}
    if initial_events_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return event(
        "BOOKMARK",
        encode({"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}),
    )


def deleted_status(key: Key, uid: str) -> Object:
    """Return the Status that answers a deletion that is complete."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {
            "name": key.name,
            "group": key.resource.group,
            "kind": key.resource.plural,
            "uid": uid,
        },
    }
