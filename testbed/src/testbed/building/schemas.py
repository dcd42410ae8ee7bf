"""Convert the schemas of an API server into JSON Schemas that refuse unknown fields.

The API server itself prunes or warns of those; kubeconform reads a file for each kind:
https://github.com/yannh/kubeconform
"""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = dict[str, Any]

_METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_KINDS = "x-kubernetes-group-version-kind"
_REFERENCE = "#/definitions/"
# Allowed where a schema says "string" but a number is valid as well.
_MORE_THAN_TEXT = {"type": ["string", "integer", "number"]}


def core_schemas(openapi: Mapping[str, Any]) -> Iterator[tuple[str, Schema]]:
    """Return the schemas of Kubernetes' own kinds, by file name, from its OpenAPI document."""
    definitions = openapi["definitions"]
    for name, definition in definitions.items():
        for kind in definition.get(_KINDS, []):
            file = _file_name(kind["group"], kind["version"], kind["kind"])
            yield file, _with_what_it_refers_to({"$ref": _REFERENCE + name}, definitions)


def crd_schemas(crd: Mapping[str, Any], openapi: Mapping[str, Any]) -> Iterator[tuple[str, Schema]]:
    """Return the schemas of a CustomResourceDefinition's versions, by file name.

    Its objects' metadata is Kubernetes' own.
    """
    group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
    for version in crd["spec"]["versions"]:
        schema = closed(version["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"$ref": _REFERENCE + _METADATA}
        schema["required"] = sorted({"apiVersion", "kind", *schema.get("required", [])})
        file = _file_name(group, version["name"], kind)
        yield file, _with_what_it_refers_to(schema, openapi["definitions"])


def closed(schema: Any) -> Any:  # noqa: ANN401 -- JSON
    """Return a schema whose objects refuse properties that it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return _MORE_THAN_TEXT
    kept = {
        name: _each_closed(below) if name == "properties" else closed(below)
        for name, below in schema.items()
        # For people and for the API server, not for validation.
        if name not in {"description", "default", "example"} and not name.startswith("x-")
    }
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if schema.get("properties") and not is_open:
        kept["additionalProperties"] = False
    if kept.pop("nullable", False):
        return {"anyOf": [kept, {"type": "null"}]}
    return kept


def _each_closed(properties: Mapping[str, Any]) -> Schema:
    return {name: closed(below) for name, below in properties.items()}


def _file_name(group: str, version: str, kind: str) -> str:
    # kubeconform uses the part of apiVersion before the slash as the group.
    return f"{kind}-{group or version}-{version}.json".lower()


def _with_what_it_refers_to(schema: Schema, definitions: Mapping[str, Any]) -> Schema:
    found: Schema = {}
    to_come = [schema]
    while to_come:
        for name in _references(to_come.pop()):
            if name not in found:
                found[name] = _MORE_THAN_TEXT if name == _QUANTITY else closed(definitions[name])
                to_come.append(found[name])
    return {**schema, "definitions": found}


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_REFERENCE)
        for below in schema.values():
            yield from _references(below)
    elif isinstance(schema, list):
        for below in schema:
            yield from _references(below)
