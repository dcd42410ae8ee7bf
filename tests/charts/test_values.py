"""values.yaml, its schema and the README say the same, and Helm refuses what makes no sense."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from scripts.chart_docs import (
    README,
    SCHEMA,
    VALUES,
    described_readme,
    described_schema,
    values_of,
)
from tests.charts.rendering import Helm

STALE = "run `make chart`"
SERVICES = ("gateway", "dispatcher", "statusWatcher")

Schema = dict[str, Any]


def schema() -> Schema:
    found: Schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return found


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def test_every_value_is_described_and_known_to_the_schema() -> None:
    values = values_of(VALUES.read_text(encoding="utf-8"))
    assert len(values) > 100
    assert described_schema(schema(), values) == schema(), STALE


def test_the_readme_is_fresh() -> None:
    text = README.read_text(encoding="utf-8")
    values = values_of(VALUES.read_text(encoding="utf-8"))
    assert described_readme(text, values) == text, STALE


def test_a_value_without_description_is_noticed() -> None:
    with pytest.raises(ValueError, match=r"a\.b is not described"):
        values_of("a:\n  b: 1\n")
    with pytest.raises(ValueError, match="does not know oops"):
        described_schema({"properties": {}}, values_of("# -- It.\noops: 1\n"))


def test_the_schema_knows_no_value_that_is_not_there() -> None:
    """A service takes all of `defaults` as well, and what is described as a whole has its parts."""
    described = {value.path for value in values_of(VALUES.read_text(encoding="utf-8"))}
    common = {path[1:] for path in described if path[0] == "defaults"}
    described |= {(service, *path) for service in SERVICES for path in common}
    missing = [
        ".".join(path)
        for path in known(schema(), schema())
        if not any(path[: len(value)] == value or value[: len(path)] == path for value in described)
    ]
    assert missing == ["global"]


def known(root: Schema, node: Schema, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give all paths of a schema."""
    if "$ref" in node:
        yield from known(root, root["$defs"][node["$ref"].rpartition("/")[2]], path)
    for part in node.get("allOf", []):
        yield from known(root, part, path)
    for name, below in node.get("properties", {}).items():
        yield (*path, name)
        yield from known(root, below, (*path, name))


def test_every_object_is_closed_but_what_is_kubernetes_own() -> None:
    def opened(node: Any, place: str) -> Iterator[str]:
        if not isinstance(node, dict):
            return
        closed = {"additionalProperties", "unevaluatedProperties"} & node.keys()
        if node.get("type") == "object" and "properties" in node and not closed:
            yield place
        for name, below in node.items():
            if name not in {"if", "then", "not"}:
                yield from opened(below, f"{place}/{name}")

    # Who refers to `pod` closes it, with what is its own.
    assert list(opened(schema(), "")) == ["/$defs/pod"]


REFUSED = {
    "unknown: 1": "at '': additional properties 'unknown' not allowed",
    "image: {tag: latest}": "at '/image/tag': 'not' failed",
    "image: {tag: 1.0}": "at '/image/tag': got number, want string",
    "image: {pullPolicy: Sometimes}": "at '/image/pullPolicy'",
    "imagePullSecrets: [regcred]": "at '/imagePullSecrets/0': got string, want object",
    "kafka: {bootstrapServers: ''}": "at '/kafka/bootstrapServers'",
    "kafka: {bootstrapServers: kafka}": "at '/kafka/bootstrapServers'",
    "kafka: {securityProtocol: TLS}": "at '/kafka/securityProtocol'",
    "kafka: {securityProtocol: SASL_SSL}": "at '/kafka/sasl/existingSecret': minLength",
    "kafka: {sasl: {mechanism: OAUTHBEARER}}": "at '/kafka/sasl/mechanism'",
    "kafka: {topics: {request: a}}": "at '/kafka/topics': additional properties 'request'",
    "kafka: {topics: {status: a b}}": "at '/kafka/topics/status'",
    "kafka: {partitions: 0}": "at '/kafka/partitions': minimum",
    "kafka: {replicationFactor: '3'}": "at '/kafka/replicationFactor': got string, want integer",
    "workflows: {namespace: Argo}": "at '/workflows/namespace'",
    "workflows: {ttl: 3600}": "at '/workflows/ttl': got number, want string",
    "workflows: {executor: {name: 'it''s'}}": "at '/workflows/executor/name'",
    "workflows: {catalogue: {entries: [{name: a, description: b}]}}": (
        "at '/workflows/catalogue/entries/0': missing property 'template'"
    ),
    "workflows: {catalogue: {entries: [{name: a, description: b, template: {name: c}, "
    "parameters: [{name: d, type: date}]}]}}": (
        "at '/workflows/catalogue/entries/0/parameters/0/type'"
    ),
    "defaults: {replicas: 2}": "at '/defaults/replicas': false schema",
    "defaults: {resources: {requests: {cpu: null}}}": (
        "at '/defaults/resources/requests': missing property 'cpu'"
    ),
    "defaults: {shutdownGraceSeconds: 0}": "at '/defaults/shutdownGraceSeconds': minimum",
    "defaults: {probes: {liveness: {httpGet: {}}}}": (
        "at '/defaults/probes/liveness': additional properties 'httpGet'"
    ),
    "defaults: {nodeSelector: {gpu: true}}": "at '/defaults/nodeSelector/gpu'",
    "gateway: {replicas: two}": "at '/gateway/replicas': got string, want integer",
    "gateway: {image: {digest: abc}}": "at '/gateway/image/digest'",
    "gateway: {keda: {enabled: true}}": "at '/gateway/keda': false schema",
    "gateway: {persistence: {size: big}}": "at '/gateway/persistence/size'",
    "gateway: {service: {port: 70000}}": "at '/gateway/service/port': maximum",
    "gateway: {httpRoute: {enabled: true}}": "at '/gateway/httpRoute/parentRefs': minItems",
    "gateway: {ingress: {enabled: true}, httpRoute: {enabled: true, parentRefs: [{name: a}]}}": (
        "at '/gateway': 'not' failed"
    ),
    "gateway: {podDisruptionBudget: {create: true}}": "at '/gateway/podDisruptionBudget/create'",
    "dispatcher: {keda: {minReplicaCount: 0}}": "at '/dispatcher/keda/minReplicaCount': minimum",
    "dispatcher: {extraEnv: [{value: a}]}": "at '/dispatcher/extraEnv/0': missing property 'name'",
    "statusWatcher: {persistence: {enabled: true}}": "at '/statusWatcher/persistence'",
    "networkPolicy: {apiServerPorts: []}": "at '/networkPolicy/apiServerPorts': minItems",
    "networkPolicy: {kafkaPorts: [kafka]}": "at '/networkPolicy/kafkaPorts/0'",
    "externalSecret: {enabled: true, remoteKey: a, secretStoreRef: {name: b}}": (
        "at '/kafka/sasl/existingSecret': minLength"
    ),
    "monitoring: {serviceMonitor: {interval: often}}": "at '/monitoring/serviceMonitor/interval'",
    "smokeTest: {timeoutSeconds: 5m}": "at '/smokeTest/timeoutSeconds': got string, want integer",
    "extraObjects: [{kind: ConfigMap}]": "at '/extraObjects/0': missing properties",
    # No schema can compare two values.
    "dispatcher: {keda: {enabled: true, maxReplicaCount: 7}}": "more than kafka.partitions",
}


@pytest.mark.charts
@pytest.mark.parametrize("values", REFUSED)
def test_nonsense_is_refused_where_it_is(helm: Helm, tmp_path: Path, values: str) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(values, encoding="utf-8")
    assert yaml.safe_load(values)
    done = helm.template(file)
    assert done.returncode != 0
    assert REFUSED[values] in done.stderr
