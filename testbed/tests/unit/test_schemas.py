"""What an API server knows of a kind becomes a schema that refuses what it does not know."""

from typing import Any

import jsonschema
import pytest

from sluice_local.kafka.lockfile import parse
from testbed.building.schemas import core_schemas, crd_schemas
from testbed.building.strimzi import lock_file
from testbed.versions import load_versions

METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
OPENAPI = {
    "definitions": {
        METADATA: {"type": "object", "properties": {"name": {"type": "string"}}},
        QUANTITY: {"type": "string"},
        "Bag": {
            "type": "object",
            "description": "A bag.",
            "properties": {
                "kind": {"type": "string"},
                "apiVersion": {"type": "string"},
                "metadata": {"$ref": f"#/definitions/{METADATA}"},
                "size": {"$ref": f"#/definitions/{QUANTITY}"},
                "data": {"type": "object", "additionalProperties": {"type": "string"}},
            },
            "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Bag"}],
        },
    }
}
CRD = {
    "spec": {
        "group": "example.com",
        "names": {"kind": "Box"},
        "versions": [
            {
                "name": "v2",
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "apiVersion": {"type": "string"},
                            "kind": {"type": "string"},
                            "metadata": {"type": "object"},
                            "spec": {
                                "type": "object",
                                "properties": {
                                    # A property that is called as a word of schemas is.
                                    "description": {"type": "string"},
                                    "port": {"x-kubernetes-int-or-string": True},
                                    "note": {"type": "string", "nullable": True},
                                    "free": {
                                        "type": "object",
                                        "properties": {"known": {"type": "string"}},
                                        "x-kubernetes-preserve-unknown-fields": True,
                                    },
                                },
                            },
                        },
                    }
                },
            }
        ],
    }
}


def is_valid(schema: dict[str, Any], document: dict[str, Any]) -> bool:
    return jsonschema.Draft7Validator(schema).is_valid(document)


def test_a_kind_of_kubernetes() -> None:
    [(name, schema)] = core_schemas(OPENAPI)
    assert name == "bag-v1-v1.json"
    bag = {"kind": "Bag", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"any": "thing"}}
    assert is_valid(schema, bag)
    for size in ("1Gi", 1, 0.5):
        assert is_valid(schema, bag | {"size": size})
    misfits: list[dict[str, Any]] = [
        {"typo": 1},
        {"metadata": {"nam": "a"}},
        {"data": {"any": 1}},
        {"size": []},
    ]
    for wrong in misfits:
        assert not is_valid(schema, bag | wrong)


def test_a_kind_of_somebody_else() -> None:
    [(name, schema)] = crd_schemas(CRD, OPENAPI)
    assert name == "box-example.com-v2.json"

    def box(**spec: Any) -> dict[str, Any]:
        return {
            "kind": "Box",
            "apiVersion": "example.com/v2",
            "metadata": {"name": "a"},
            "spec": spec,
        }

    fits: list[dict[str, Any]] = [
        {"port": 1},
        {"port": "http"},
        {"note": None},
        {"free": {"any": 1}},
    ]
    for fine in fits:
        assert is_valid(schema, box(description="a", **fine))
    misfits: list[dict[str, Any]] = [
        {"typo": 1},
        {"port": []},
        {"note": 1},
        {"free": {"known": 1}},
    ]
    for wrong in misfits:
        assert not is_valid(schema, box(**wrong))
    assert not is_valid(schema, {"spec": {}})
    assert not is_valid(schema, box() | {"metadata": {"nam": "a"}})


def test_strimzis_generator_is_locked() -> None:
    version = load_versions().strimzi
    jars = parse(lock_file(version).read_text("ascii"))
    ours = {jar.artifact: jar.version for jar in jars if jar.group == "io.strimzi"}
    assert ours.keys() >= {"api", "crd-generator", "crd-annotations"}
    assert set(ours.values()) == {version}


@pytest.mark.parametrize("name", load_versions().crds)
def test_the_definitions_are_of_the_versions_that_run(name: str) -> None:
    versions = load_versions()
    source = versions.crds[name]
    assert source.sum.startswith("h1:")
    if name == "argo-workflows":
        assert source.version == versions.go["argo-4.0"].version
    assert versions.openapi.version == versions.go["kubernetes"].version
