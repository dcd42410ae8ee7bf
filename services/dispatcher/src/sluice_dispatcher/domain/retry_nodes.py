"""Which nodes a retry keeps, reopens and drops.

As Argo's FormulateRetryWorkflow with `restartSuccessful` and a node (workflow/util/util.go): the
chosen step goes with all that follows it, and what contains it runs again. Nodes that did not
succeed go in any case. Argo's own retry keeps a suspend step that a stop has failed, so that the
run fails again at once; here it goes.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from sluice_argo.status_nodes import Nodes
from sluice_argo.timestamps import format_timestamp
from sluice_dispatcher.domain.command_nodes import Node

__all__ = ["exit_handler_of", "nodes_after_retry", "whole_step"]

_GROUPS: Final = frozenset({"DAG", "Steps", "StepGroup", "TaskGroup"})
_KEPT: Final = frozenset({"Succeeded", "Skipped"})
_ENDS: Final = ("finishedAt", "message", "outputs")


def exit_handler_of(workflow_name: str) -> str:
    """Return how the names of the exit handler's nodes begin."""
    return f"{workflow_name}.onExit"


def whole_step(nodes: Nodes, node_id: str) -> str:
    """Return the id of the node that stands for the step of this node.

    An attempt belongs to its Retry node, and a container of a set to its pod.
    """
    node = nodes[node_id]
    for parent_id, parent in nodes.items():
        if node_id not in (parent.get("children") or ()):
            continue
        if parent.get("type") == "Retry" and _contains(parent, node):
            return parent_id
        if node.get("type") == "Container" and parent.get("type") in ("Container", "Pod"):
            return whole_step(nodes, parent_id)
    return node_id


def nodes_after_retry(
    nodes: Nodes, *, workflow_name: str, again: Iterable[str], now: datetime
) -> Nodes:
    """Return the nodes that stay, of which groups around others are Running again.

    `again` are the ids of nodes that run again although they succeeded.
    """
    again = set(again)
    dropped = set(_reachable(nodes, again))
    around = set(_around(nodes, again)) - dropped
    kept: Nodes = {}
    for node_id, node in nodes.items():
        if node_id in dropped or node.get("name", "").startswith(exit_handler_of(workflow_name)):
            continue
        if node_id in around:
            kept[node_id] = _reopened(node) | {"startedAt": format_timestamp(now)}
        elif node.get("phase") in _KEPT:
            kept[node_id] = node
        elif node.get("type") in _GROUPS:
            kept[node_id] = _reopened(node)
    for node in kept.values():
        for links in ("children", "outboundNodes"):
            if links in node:
                node[links] = [child for child in node[links] if child in kept]
    return kept


def _reopened(node: Node) -> Node:
    return {name: value for name, value in node.items() if name not in _ENDS} | {"phase": "Running"}


def _reachable(nodes: Nodes, start: Iterable[str]) -> Iterator[str]:
    """Yield these nodes and all that follow them or are in them."""
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        node_id = waiting.pop()
        if node_id in found or node_id not in nodes:
            continue
        found.add(node_id)
        yield node_id
        waiting += nodes[node_id].get("children") or ()


def _around(nodes: Nodes, inner: Iterable[str]) -> Iterator[str]:
    """Yield the nodes that contain these ones, directly or not."""
    parents: dict[str, list[str]] = {}
    for node_id, node in nodes.items():
        for child in node.get("children") or ():
            parents.setdefault(child, []).append(node_id)
    found: set[str] = set()
    waiting = list(inner)
    while waiting:
        node_id = waiting.pop()
        node = nodes[node_id]
        holders = [each for each in parents.get(node_id, ()) if _contains(nodes[each], node)]
        for holder in (*holders, node.get("boundaryID")):
            if holder and holder in nodes and holder not in found:
                found.add(holder)
                yield holder
                waiting.append(holder)


def _contains(parent: Node, node: Node) -> bool:
    """Return whether a parent holds a node, and does not only come before it.

    The names show it: `wf[0]` holds `wf[0].a`, and `wf.a` its copies and attempts `wf.a(0:x)`.
    """
    name, inner = parent.get("name", ""), node.get("name", "")
    match parent.get("type"):
        case "StepGroup":
            return bool(inner.startswith(f"{name}."))
        case "TaskGroup" | "Retry":
            return bool(inner.startswith(f"{name}("))
    return False
