"""The names of pods, as Argo derives them from nodes (workflow/util/pod_name.go)."""

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["pod_name", "pod_names"]

_FORMAT: Final = "workflows.argoproj.io/pod-name-format"
# 253 for a name, of which the hash and its hyphen take 11.
_MAX_PREFIX: Final = 242


def pod_name(workflow: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    """Return the name of the pod that runs a node of type Pod."""
    meta = workflow["metadata"]
    if (meta.get("annotations") or {}).get(_FORMAT) == "v1":
        return str(node["id"])
    prefix, name = str(meta["name"]), str(node.get("name") or "")
    if name == prefix:
        return prefix
    if template := _template(node):
        prefix = f"{prefix}-{template}"
    return f"{prefix[:_MAX_PREFIX]}-{_fnv1a(name)}"


def pod_names(workflow: str, *, node_id: str, template: str | None) -> tuple[str, ...]:
    """Return the names that the pod of a node can have, the likely one first.

    A node's id ends with the hash that the name of its pod ends with: that of the node's name. The
    id itself is the name of a pod of the whole Workflow, of an inline template, or in format v1.
    """
    hashed = node_id.removeprefix(f"{workflow}-")
    if template is None or hashed == node_id:
        return (node_id,)
    return (f"{workflow}-{template}"[:_MAX_PREFIX] + f"-{hashed}", node_id)


def _template(node: Mapping[str, Any]) -> str:
    reference = node.get("templateRef") or {}
    return str(reference.get("template") or node.get("templateName") or "")


def _fnv1a(text: str) -> int:
    """Return the FNV-1a hash of 32 bits (http://www.isthe.com/chongo/tech/comp/fnv/)."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value
