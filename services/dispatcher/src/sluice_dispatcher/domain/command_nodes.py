"""The nodes of a Workflow that a command reads and changes."""

from typing import Any

from sluice_argo.status_nodes import Nodes, UnreadableNodesError, read_nodes
from sluice_dispatcher.domain.workflow_change import InapplicableCommandError

__all__ = ["Node", "nodes_named", "readable_nodes"]

Node = dict[str, Any]


def readable_nodes(status: dict[str, Any]) -> Nodes:
    """Return the nodes by id.

    Raises:
        InapplicableCommandError: they are in Argo's database, or unreadable.
    """
    if status.get("offloadNodeStatusVersion"):
        raise InapplicableCommandError(
            "Argo keeps the run's steps in its database, out of reach here."
        )
    try:
        return read_nodes(status)
    except UnreadableNodesError as e:
        raise InapplicableCommandError("The steps in the Workflow's status cannot be read.") from e


def nodes_named(nodes: Nodes, step: str) -> list[str]:
    """Return the ids of the nodes that `step` means: one by its id, else all of that name."""
    if step in nodes:
        return [step]
    return [
        node_id
        for node_id, node in nodes.items()
        if step in (node.get("displayName"), node.get("name"))
    ]
