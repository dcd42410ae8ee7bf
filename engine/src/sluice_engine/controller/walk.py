"""The context of one reconciliation: its input and its results."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sluice_engine.controller.durations import parse_duration
from sluice_engine.controller.inputs import Arguments
from sluice_engine.controller.nodes import NodeTree
from sluice_engine.controller.scope import text
from sluice_engine.controller.substitution import Scope
from sluice_engine.controller.template_resolution import TemplateContext
from sluice_engine.documents import Object
from sluice_engine.steps.orders import StepOrder

__all__ = ["Boundary", "Call", "Walk"]


@dataclass(frozen=True, slots=True)
class Boundary:
    """The Steps or DAG node that a node belongs to, and its template."""

    node_id: str
    template: Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A template to execute under a name."""

    name: str
    """Full name of the node."""
    holder: Object
    """The step or task: it names the template."""
    context: TemplateContext
    arguments: Arguments = field(default_factory=Arguments)
    boundary: Boundary | None = None
    on_exit: bool = False
    flag: Object | None = None
    tags: Scope = field(default_factory=dict)
    """Tags beside the template's inputs, as `retries`."""

    def under(self, name: str, *, retried: bool, tags: Scope) -> "Call":
        """Return the same call for one attempt."""
        flag = {**(self.flag or {}), "retried": retried}
        return replace(self, name=name, flag=flag, tags={**self.tags, **tags})

    @property
    def boundary_id(self) -> str | None:
        """Id of the node around it."""
        return self.boundary.node_id if self.boundary else None


@dataclass(slots=True, kw_only=True)
class Walk:
    """State of one reconciliation; the Workflow is changed in place."""

    workflow: Object
    spec: Object
    tree: NodeTree
    scope: dict[str, str | None]
    now: datetime
    slots: int
    """How many steps may be started."""
    is_live: Callable[[str], bool]
    """Returns whether the step of a node is running, by the node's id."""
    execute: "Callable[[Walk, Call], Object]"
    deadline: datetime | None = None
    orders: list[StepOrder] = field(default_factory=list)
    """Steps to start."""
    starved: bool = False
    """Whether a step waits for a slot."""
    wake_at: datetime | None = None
    """When to reconcile again even if nothing happens."""
    depth: int = 0

    @property
    def shutdown(self) -> str:
        """Stop, Terminate or nothing."""
        return str(self.spec.get("shutdown") or "")

    def may_run(self, *, on_exit: bool) -> bool:
        """Return whether a shutdown lets a node run: Stop lets the exit handler."""
        return not self.shutdown or (self.shutdown == "Stop" and on_exit)

    @property
    def past_deadline(self) -> bool:
        """Return whether the deadline of the Workflow is over."""
        return self.deadline is not None and self.now >= self.deadline

    def wake(self, moment: datetime) -> None:
        """Ask for another reconciliation at a time."""
        if self.wake_at is None or moment < self.wake_at:
            self.wake_at = moment

    def export(self, outputs: Object | None) -> None:
        """Put outputs with a `globalName` into the status of the Workflow."""
        for kind in ("parameters", "artifacts"):
            for output in (outputs or {}).get(kind) or ():
                name = output.get("globalName")
                if not name:
                    continue
                exported = {k: v for k, v in output.items() if k not in {"globalName", "path"}}
                exported["name"] = name
                status_outputs = self.workflow["status"].setdefault("outputs", {})
                others = [o for o in status_outputs.get(kind) or () if o["name"] != name]
                status_outputs[kind] = [*others, exported]
                if kind == "parameters" and "value" in output:
                    self.scope[f"workflow.outputs.parameters.{name}"] = text(output["value"])

    def after(self, start: str, duration: str) -> datetime:
        """Return the time at which a duration that began at a timestamp is over.

        Raises:
            TemplateError: the duration does not parse.
        """
        return datetime.fromisoformat(start) + timedelta(seconds=parse_duration(duration))
