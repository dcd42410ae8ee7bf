"""`status.nodes`: the record of everything that a Workflow did, and its only state."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from sluice_engine.controller.names import display_name, node_id
from sluice_engine.documents import Json, Object
from sluice_engine.store.metadata import timestamp

__all__ = ["EXECUTABLE", "NodeTree", "completed", "fulfilled", "unsuccessful"]

EXECUTABLE: Final = frozenset({"Pod", "Suspend"})
"""Types of nodes that count for the progress."""

_UNSUCCESSFUL: Final = frozenset({"Failed", "Error"})
_COMPLETED: Final = _UNSUCCESSFUL | {"Succeeded"}
_FULFILLED: Final = _COMPLETED | {"Skipped", "Omitted"}


def unsuccessful(node: Object) -> bool:
    """Return whether a node ended in Failed or Error."""
    return node.get("phase") in _UNSUCCESSFUL


def completed(node: Object) -> bool:
    """Return whether a node ran and ended."""
    return node.get("phase") in _COMPLETED


def fulfilled(node: Object) -> bool:
    """Return whether a node is final: it ended, or was omitted or skipped."""
    return node.get("phase") in _FULFILLED


class NodeTree:
    """The nodes of one Workflow.

    Args:
        workflow: the Workflow's name.
        nodes: `status.nodes`, changed in place.
        now: what start and end times are set to.
    """

    def __init__(self, workflow: str, nodes: dict[str, Object], now: datetime) -> None:
        self.workflow = workflow
        self.nodes = nodes
        self._now = timestamp(now)

    def get(self, name: str) -> Object | None:
        """Return a node by its full name."""
        return self.nodes.get(node_id(self.workflow, name))

    def create(
        self,
        name: str,
        kind: str,
        phase: str,
        *,
        holder: Object,
        boundary: str | None,
        message: str = "",
        flag: Object | None = None,
    ) -> Object:
        """Add a node.

        Args:
            name: full name.
            kind: Pod, Steps, StepGroup, DAG, TaskGroup, Suspend, Retry or Skipped.
            phase: where it stands.
            holder: the step or task that it comes from, which names the template.
            boundary: id of the Steps or DAG node that it belongs to.
            message: why it stands there.
            flag: `nodeFlag`.
        """
        around = self.nodes.get(boundary) if boundary else None
        node: Object = {
            "id": node_id(self.workflow, name),
            "name": name,
            "displayName": display_name(name, around["name"] if around else None),
            "type": kind,
            "templateScope": f"local/{self.workflow}",
            "phase": phase,
            "startedAt": self._now,
            "finishedAt": None,
        }
        for field, value in (
            ("templateName", holder.get("template")),
            ("templateRef", holder.get("templateRef")),
            ("boundaryID", boundary),
            ("message", message),
            ("nodeFlag", flag),
        ):
            if value:
                node[field] = value
        if fulfilled(node):
            node["finishedAt"] = self._now
        self.nodes[node["id"]] = node
        return node

    def refuse(
        self,
        name: str,
        message: str,
        *,
        holder: Object,
        boundary: str | None,
        flag: Object | None = None,
    ) -> Object:
        """Set a node to Error, adding it if it is not there; one that ended stays as it is."""
        node = self.get(name)
        if node is None:
            return self.create(
                name,
                "Skipped",
                "Error",
                holder=holder,
                boundary=boundary,
                message=message,
                flag=flag,
            )
        return node if fulfilled(node) else self.mark(node, "Error", message)

    def mark(self, node: Object, phase: str, message: str | None = None) -> Object:
        """Set the phase of a node, and the end time if the phase is final."""
        node["phase"] = phase
        if message is not None:
            if message:
                node["message"] = message
            else:
                node.pop("message", None)
        if fulfilled(node) and not node.get("finishedAt"):
            node["finishedAt"] = self._now
        return node

    def link(self, parent: Object, child: str) -> None:
        """Make a node, by its full name, a child of another."""
        children = parent.setdefault("children", [])
        child_id = node_id(self.workflow, child)
        if child_id not in children:
            children.append(child_id)

    def children(self, node: Object) -> list[Object]:
        """Return the children of a node that exist."""
        found = (self.nodes.get(child) for child in node.get("children") or ())
        return [child for child in found if child is not None]

    def attempts(self, node: Object) -> list[Object]:
        """Return the attempts of a Retry node, in order."""
        return [c for c in self.children(node) if not (c.get("nodeFlag") or {}).get("hooked")]

    def inside(self, boundary: str | None, kinds: frozenset[str]) -> Iterator[Object]:
        """Return nodes of some types that belong to a node, or to any if that is None."""
        for node in self.nodes.values():
            if node["type"] in kinds and (boundary is None or node.get("boundaryID") == boundary):
                yield node

    def count(
        self, boundary: str | None, kinds: frozenset[str], which: Callable[[Object], bool]
    ) -> int:
        """Count nodes inside of a boundary."""
        return sum(1 for node in self.inside(boundary, kinds) if which(node))

    def outbound(self, node: Object) -> list[Object]:
        """Return the outbound nodes of a node: the parents of what follows it."""
        match node["type"]:
            case "Steps" | "DAG" | "StepGroup":
                below = [self.nodes[i] for i in node.get("outboundNodes") or () if i in self.nodes]
            case "TaskGroup" if node.get("children"):
                below = self.children(node)
            case "Retry" if node.get("children"):
                return self.children(node)[-1:]
            case _:
                return [node]
        return [end for child in below for end in self.outbound(child)]

    def set_outbound(self, node: Object, last: list[Object]) -> None:
        """Record the outbound nodes of a Steps or DAG node."""
        ends = dict.fromkeys(end["id"] for child in last for end in self.outbound(child))
        if ends:
            node["outboundNodes"] = list(ends)

    def in_exit_handler(self, node: Object) -> bool:
        """Return whether a node belongs to the Workflow's `onExit`."""
        current: Json = node
        while current is not None:
            if str(current.get("displayName", "")).endswith(".onExit"):
                return True
            current = self.nodes.get(current.get("boundaryID") or "")
        return False

    def progress(self) -> str:
        """Return `done/total` over the nodes that do work, and note it on each of them."""
        done = total = 0
        for node in self.nodes.values():
            if node["type"] in EXECUTABLE:
                well = node["phase"] in {"Succeeded", "Skipped", "Omitted"}
                node["progress"] = "1/1" if well else "0/1"
                done += well
                total += 1
        return f"{done}/{total}"
