"""Names and ids, as Argo builds them."""

import re
from typing import Final

__all__ = ["display_name", "node_id", "pod_name", "task_name"]

_MAX_POD_PREFIX: Final = 253 - 10 - 1
_SEPARATOR: Final = re.compile(r"^(\[\d+\])?\.")
_INDICES: Final = re.compile(r"(\([^()]*\)|\[[^\[\]]*\])+\Z")


def _fnv32a(text: str) -> int:
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def node_id(workflow: str, node: str) -> str:
    """Return the id of a node from its full name; the root node's id is its name."""
    return workflow if node == workflow else f"{workflow}-{_fnv32a(node)}"


def pod_name(workflow: str, node: str, template: str) -> str:
    """Return the pod name of a node, in Argo's format v2."""
    if node == workflow:
        return workflow
    prefix = f"{workflow}-{template}" if template else workflow
    return f"{prefix[:_MAX_POD_PREFIX]}-{_fnv32a(node)}"


def display_name(node: str, boundary: str | None) -> str:
    """Return what people call a node: its name below the template that it belongs to."""
    if boundary is None:
        return node
    return _SEPARATOR.sub("", node.removeprefix(boundary))


def task_name(node: str) -> str:
    """Return the name of the step or task behind a node: `wf[0].fan(0:1)(0)` is `fan`."""
    return _INDICES.sub("", node).rpartition(".")[2]
