"""The runs of the fake: what the topics and the view are of the real one."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from pydantic import JsonValue

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.requests import Command, RunRequest
from sluice_contracts.status import AppliedCommand, Phase, StatusEvent, event_id

__all__ = ["Behaviour", "FakeRun", "FakeRuns"]

Behaviour: TypeAlias = Callable[[Mapping[str, JsonValue]], Mapping[str, JsonValue]]
"""What a workflow does: from parameters to outputs. A run in which it raises has failed."""


@dataclass(kw_only=True)
class FakeRun:
    """A run and its events; `number` counts runs, and `places` are those of the events."""

    request: RunRequest
    key: RunKey
    number: int
    accepted_at: datetime
    events: list[StatusEvent] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    @property
    def phase(self) -> Phase:
        """The latest phase."""
        return self.events[-1].phase if self.events else Phase.ACCEPTED

    @property
    def terminal(self) -> bool:
        """Whether it is over."""
        return self.phase.terminal


class FakeRuns:
    """All runs, and who waits for their next event."""

    def __init__(self, workflows: Mapping[str, Behaviour | None] | None) -> None:
        self.workflows = workflows
        self.runs: dict[RunKey, FakeRun] = {}
        self.log: list[tuple[FakeRun, StatusEvent]] = []
        self.commands: list[Command] = []
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def start(self, request: RunRequest, key: RunKey) -> FakeRun:
        """Add a run, which does at once what its workflow does."""
        run = FakeRun(
            request=request, key=key, number=len(self.runs), accepted_at=datetime.now(UTC)
        )
        self.runs[key] = run
        behaviour = (self.workflows or {}).get(request.workflow)
        if behaviour is not None:
            self.publish(run, Phase.RUNNING)
            try:
                outputs = behaviour(request.parameters)
            except Exception as e:  # noqa: BLE001 - the run fails, not the test
                self.publish(run, Phase.FAILED, message=str(e))
            else:
                self.publish(run, Phase.SUCCEEDED, outputs=dict(outputs))
        return run

    def publish(self, run: FakeRun, phase: Phase, **changes: Any) -> StatusEvent:  # noqa: ANN401
        """Add an event to a run, and wake all who wait."""
        before = run.events[-1] if run.events else None
        sequence = len(self.log) + 1
        members: dict[str, Any] = {
            "attempt": before.attempt if before else 1,
            "last_command": before.last_command if before else None,
            "steps": before.steps if before else (),
        }
        event = StatusEvent.model_validate(
            members
            | {
                "event_id": event_id(str(run.key), str(sequence)),
                "run_id": run.key.run_id,
                "tenant": run.key.tenant,
                "workflow": run.request.workflow,
                "workflow_name": workflow_name(run.key),
                "phase": phase,
                "terminal": phase.terminal,
                "labels": run.request.labels,
                "priority": run.request.priority,
                "parent": run.request.parent,
                "accepted_at": run.accepted_at,
                "observed_at": datetime.now(UTC),
                "sequence": sequence,
            }
            | changes
        )
        run.events.append(event)
        run.places.append(len(self.log))
        self.log.append((run, event))
        self.wake()
        return event

    def command(self, run: FakeRun, command: Command) -> None:
        """Note the command, and do to the run what Sluice would do as soon as it can."""
        self.commands.append(command)
        applied = AppliedCommand.model_validate(
            {"type": command.type, "reason": command.reason, "applied_at": datetime.now(UTC)}
        )
        match command.type:
            case "stop" | "terminate" if not run.terminal:
                changes = {"last_command": applied, "message": f"Ended by {command.type}."}
                self.publish(run, Phase.FAILED, **changes)
            case "suspend" if not run.terminal:
                self.publish(run, Phase.SUSPENDED, last_command=applied)
            case "resume" if run.phase is Phase.SUSPENDED:
                self.publish(run, Phase.RUNNING, last_command=applied)
            case "retry" if run.terminal:
                attempt = run.events[-1].attempt + 1
                self.publish(run, Phase.RUNNING, last_command=applied, attempt=attempt)

    async def changed(self, seen: int) -> None:
        """Wait until there are more than `seen` events in all."""
        await self.until(lambda: len(self.log) > seen)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is looked at whenever something has happened."""
        while not condition():
            woken = asyncio.Event()
            self._waiting.append((asyncio.get_running_loop(), woken))
            if not condition():
                await woken.wait()

    def wake(self) -> None:
        """Wake all who wait."""
        waiting, self._waiting = self._waiting, []
        for loop, woken in waiting:
            # A test may publish from a thread of its own.
            if not loop.is_closed():
                loop.call_soon_threadsafe(woken.set)
