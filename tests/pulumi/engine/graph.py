"""A stack's resources and what they stand on, as text that shows a change as a change."""

import json
from typing import Any

# Other tests check these of every resource; here they would hide the rest.
_LEFT_OUT = {"tags", "tagSpecifications", "__defaults"}
# What is Argo CD's own is tested with Argo CD.
_ARGO_CD_S = {
    "kubernetes:helm.sh/v3:Release": "valueYamlFiles",
    "kubernetes:argoproj.io/v1alpha1:Application": "spec",
}
_PROVIDER = "pulumi:providers:"


def graph_of(state: str) -> str:
    """Return the graph of an exported state: name, parent, dependencies and inputs of each."""
    resources = json.loads(state)["deployment"]["resources"]
    return _rendered({_name(each["urn"]): _node(each) for each in resources}, depth=3) + "\n"


def _rendered(value: Any, *, depth: int) -> str:
    """Return JSON with a line for each of what is not deeper than that."""
    if not isinstance(value, dict) or not depth:
        return json.dumps(value, sort_keys=True)
    lines = [
        f"{json.dumps(key)}: {_rendered(value[key], depth=depth - 1)}" for key in sorted(value)
    ]
    inner = ",\n".join(lines).replace("\n", "\n ")
    return f"{{\n {inner}\n}}"


def _name(urn: str) -> str:
    kinds, _, name = urn.split("::", 2)[2].partition("::")
    return f"{kinds.rpartition('$')[2]} {name}"


def _node(resource: dict[str, Any]) -> dict[str, Any]:
    node: dict[str, Any] = {}
    if "parent" in resource:
        node["parent"] = _name(resource["parent"])
    if after := resource.get("dependencies"):
        node["after"] = sorted(map(_name, after))
    if resource.get("protect"):
        node["protected"] = True
    kind = resource["type"]
    left_out = _LEFT_OUT | {_ARGO_CD_S.get(kind, "")}
    inputs = {
        name: _readable(value)
        for name, value in resource.get("inputs", {}).items()
        if name not in left_out
    }
    # A provider's version is that of the lock file.
    if kind.startswith(_PROVIDER):
        inputs.pop("version", None)
    if inputs:
        node["inputs"] = inputs
    return node


def _readable(value: Any) -> Any:
    """Return a JSON document as what it says; a secret only as such."""
    if isinstance(value, dict):
        return "(secret)" if "ciphertext" in value else {k: _readable(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_readable(each) for each in value]
    if isinstance(value, str) and value.startswith("{"):
        return json.dumps(json.loads(value), sort_keys=True)
    return value
