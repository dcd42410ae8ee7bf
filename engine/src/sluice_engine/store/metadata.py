"""How an API server completes and checks the metadata of objects: pure functions."""

import json
import random
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sluice_engine.documents import Json, Object, same_json
from sluice_engine.store.errors import ApiError, bad_request, conflict, invalid
from sluice_engine.store.resources import Key, Resource

__all__ = ["labels_of", "prepare_creation", "prepare_update", "timestamp"]

_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_LABEL_VALUE: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?\Z")
_FINALIZER: Final = re.compile(r"[a-z0-9.-]+/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?\Z")
_MAX_NAME: Final = 253
_GENERATED_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_GENERATED_LENGTH: Final = 5
_MAX_GENERATED_BASE: Final = 63 - _GENERATED_LENGTH
_MAX_ANNOTATIONS: Final = 256 * 1024
_KEPT: Final = ("name", "namespace", "creationTimestamp", "deletionTimestamp", "generation")


def timestamp(moment: datetime | None = None) -> str:
    """Return a time as Kubernetes writes it: UTC, whole seconds, `Z`."""
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


def labels_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of an object."""
    return dict(obj["metadata"].get("labels") or {})


def _metadata(resource: Resource, obj: Json) -> dict[str, Any]:
    if not isinstance(obj, dict):
        raise bad_request("the object provided is not a JSON object")
    version, kind = resource.api_version, resource.kind
    if obj.setdefault("apiVersion", version) != version:
        raise bad_request(
            f"apiVersion in the data ({obj['apiVersion']}) does not match the expected ({version})"
        )
    metadata = obj.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise bad_request("metadata must be an object")
    if obj.setdefault("kind", kind) != kind:
        why = f"Invalid value: {json.dumps(obj['kind'])}: must be {kind}"
        given = f"{obj['kind']}.{resource.group}"
        raise invalid(given, str(metadata.get("name", "")), "kind", why)
    return metadata


def _validate(resource: Resource, metadata: Mapping[str, Any]) -> None:
    name = metadata["name"]

    def refuse(field: str, why: str) -> ApiError:
        return invalid(f"{resource.kind}.{resource.group}", str(name), f"metadata.{field}", why)

    if not isinstance(name, str) or len(name) > _MAX_NAME or not _SUBDOMAIN.match(name):
        raise refuse("name", f"Invalid value: {name!r}: must be an RFC 1123 subdomain")
    for key, value in _strings(metadata, "labels").items():
        if not _LABEL_VALUE.match(value):
            raise refuse("labels", f"Invalid value: {value!r}: not a valid label value of {key}")
    if sum(len(k) + len(v) for k, v in _strings(metadata, "annotations").items()) > (
        _MAX_ANNOTATIONS
    ):
        raise refuse("annotations", f"Too long: may not be more than {_MAX_ANNOTATIONS} bytes")
    finalizers = metadata.get("finalizers") or []
    if not isinstance(finalizers, list):
        raise bad_request("metadata.finalizers must be a list of strings")
    for finalizer in finalizers:
        if not isinstance(finalizer, str) or not _FINALIZER.match(finalizer):
            raise refuse("finalizers", f"Invalid value: {finalizer!r}: must be domain/name")


def _require_spec(resource: Resource, obj: Object) -> None:
    if resource.group == "argoproj.io" and not isinstance(obj.get("spec"), dict):
        name = str(obj["metadata"].get("name", ""))
        raise invalid(f"{resource.kind}.{resource.group}", name, "spec", "Required value")


def _strings(metadata: Mapping[str, Any], field: str) -> dict[str, str]:
    entries = metadata.get(field) or {}
    if not isinstance(entries, dict) or not all(isinstance(v, str) for v in entries.values()):
        raise bad_request(f"metadata.{field} must be an object of strings")
    return entries


def _drop_empty(metadata: dict[str, Any]) -> None:
    for field in ("labels", "annotations", "finalizers", "ownerReferences"):
        if field in metadata and not metadata[field]:
            del metadata[field]


def prepare_creation(resource: Resource, namespace: str, obj: Object) -> Key:
    """Complete a new object in place: name, namespace, uid, creationTimestamp, generation.

    Raises:
        ApiError: 400 or 422, the object cannot be stored.
    """
    metadata = _metadata(resource, obj)
    if resource.namespaced and not _NAMESPACE.match(namespace):
        raise bad_request(f"namespace {namespace!r} is not an RFC 1123 label")
    if metadata.setdefault("namespace", namespace) != namespace:
        raise bad_request("the namespace of the provided object does not match the request")
    if not resource.namespaced:
        del metadata["namespace"]
    if metadata.pop("resourceVersion", ""):
        raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
    if not metadata.get("name") and metadata.get("generateName"):
        base = str(metadata["generateName"])[:_MAX_GENERATED_BASE]
        # Not a secret: the suffix only has to be unlikely to be taken.
        suffix = "".join(random.choices(_GENERATED_LETTERS, k=_GENERATED_LENGTH))  # noqa: S311
        metadata["name"] = base + suffix
    if not metadata.get("name"):
        raise invalid(
            f"{resource.kind}.{resource.group}",
            "",
            "metadata.name",
            "Required value: name or generateName is required",
        )
    _validate(resource, metadata)
    _require_spec(resource, obj)
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        metadata.pop(field, None)
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = timestamp()
    metadata["generation"] = 1
    _drop_empty(metadata)
    return Key(resource, namespace, metadata["name"])


def prepare_update(key: Key, current: Object, changed: Object) -> Object:
    """Return an object as it will be stored after a change; `current` stays as it is.

    Fields that belong to the server are kept; `generation` grows when anything outside the
    metadata changes, as for custom resources without a status subresource, like Workflows.

    Raises:
        ApiError: 400, 409 or 422, the change is refused.
    """
    resource = key.resource
    metadata = dict(_metadata(resource, changed))
    # A patched object may share its parts with the current one.
    changed = {**changed, "metadata": metadata}
    before = current["metadata"]
    if metadata.setdefault("name", key.name) != key.name:
        raise bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL "
            f"({key.name})"
        )
    if key.namespace and metadata.setdefault("namespace", key.namespace) != key.namespace:
        raise bad_request("the namespace of the object does not match the namespace on the URL")
    if (version := metadata.get("resourceVersion")) and version != before["resourceVersion"]:
        raise conflict(
            resource.qualified,
            key.name,
            "the object has been modified; please apply your changes to the latest version and "
            "try again",
        )
    if metadata.setdefault("uid", before["uid"]) != before["uid"]:
        raise conflict(
            resource.qualified,
            key.name,
            f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: "
            f"{before['uid']}",
        )
    _validate(resource, metadata)
    _require_spec(resource, changed)
    if "deletionTimestamp" in before:
        added = set(metadata.get("finalizers") or ()) - set(before.get("finalizers") or ())
        if added:
            raise invalid(
                f"{resource.kind}.{resource.group}",
                key.name,
                "metadata.finalizers",
                "Forbidden: no new finalizers can be added if the object is being deleted, "
                f"found new finalizers {sorted(added)}",
            )
    for field in _KEPT:
        metadata.pop(field, None)
        if field in before:
            metadata[field] = before[field]
    metadata["resourceVersion"] = before["resourceVersion"]
    _drop_empty(metadata)
    if not same_json(_without_metadata(changed), _without_metadata(current)):
        metadata["generation"] = before.get("generation", 1) + 1
    return changed


def _without_metadata(obj: Object) -> Object:
    return {field: value for field, value in obj.items() if field != "metadata"}
