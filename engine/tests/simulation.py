"""Drives `operate` with scripted steps: no processes, no clock, no server."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.tests.workflows import nodes
from sluice_engine.controller.nodes import fulfilled
from sluice_engine.controller.operator import Outcome, operate
from sluice_engine.steps.orders import StepOrder, StepResult

Json = Any
Step = Callable[[StepOrder], StepResult | None]


def succeeds(_order: StepOrder) -> StepResult:
    return StepResult("Succeeded", "", {"exitCode": "0"})


class Simulation:
    """A Workflow, a clock that stands still, and steps that the test ends.

    Args:
        workflow: what is carried out.
        slots: steps at one time.
        templates: stored WorkflowTemplates, by name.
    """

    def __init__(
        self, workflow: Json, *, slots: int = 100, templates: dict[str, Json] | None = None
    ) -> None:
        self.object = workflow
        workflow["metadata"] |= {
            "namespace": "argo",
            "uid": "uid-1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.live: dict[str, StepOrder] = {}
        self.started: list[StepOrder] = []
        self.outcome = Outcome()
        self._slots = slots
        self._templates = templates or {}

    def look(self, results: dict[str, StepResult] | None = None) -> Outcome:
        """Let the controller look once."""
        for node_id in results or {}:
            del self.live[node_id]
        self.outcome = operate(
            self.object,
            now=self.now,
            results=results or {},
            is_live=self.live.__contains__,
            slots=self._slots - len(self.live),
            stored=lambda name, _cluster: self._templates.get(name),
        )
        for order in self.outcome.orders:
            assert order.node_id not in self.live, "a step was started twice"
            self.live[order.node_id] = order
            self.started.append(order)
        wanted = {n["id"] for n in self.object["status"]["nodes"].values() if not fulfilled(n)}
        self.live = {i: order for i, order in self.live.items() if i in wanted}
        return self.outcome

    def end(self, name: str, result: StepResult | None = None) -> Outcome:
        """End the step with a display name, and let the controller look."""
        node_id = self.node(name)["id"]
        return self.look({node_id: result or succeeds(self.live[node_id])})

    def fail(self, name: str, phase: str = "Failed") -> Outcome:
        return self.end(name, StepResult(phase, "main: Error (exit code 1)", {"exitCode": "1"}))

    def run(self, step: Step = succeeds) -> Json:
        """Carry the Workflow through; each step ends as `step` says."""
        self.look()
        while self.live:
            ended = {i: step(order) for i, order in self.live.items()}
            self.look({i: result for i, result in ended.items() if result is not None})
        return self.object

    def advance(self, **delta: float) -> Outcome:
        """Let time pass, and the controller look."""
        self.now += timedelta(**delta)
        return self.look()

    def node(self, name: str) -> Json:
        return nodes(self.object)[name]

    def phases(self) -> dict[str, str]:
        return {name: node["phase"] for name, node in nodes(self.object).items()}

    @property
    def status(self) -> Json:
        return self.object["status"]

    @property
    def running(self) -> set[str]:
        """Display names of the nodes whose step runs."""
        return {n["displayName"] for n in self.status["nodes"].values() if n["id"] in self.live}
