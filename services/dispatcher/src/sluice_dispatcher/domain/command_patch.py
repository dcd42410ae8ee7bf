"""From a command and a Workflow as it was read to the change that applies it.

The changes are those of Argo's own `stop`, `terminate`, `suspend`, `resume` and `retry`
(workflow/util/util.go: StopWorkflow, ResumeWorkflow, FormulateRetryWorkflow).
"""

import copy
from datetime import datetime
from typing import Any, Final

from sluice_argo.json_patch import add, remove, test
from sluice_contracts.records import IncomingRecord
from sluice_contracts.requests import Command, CommandType, ResumeCommand, RetryCommand
from sluice_dispatcher.domain.applied_commands import record_applied
from sluice_dispatcher.domain.models import Manifest
from sluice_dispatcher.domain.reopening import reopen
from sluice_dispatcher.domain.resuming import resume
from sluice_dispatcher.domain.workflow_change import InapplicableCommandError, WorkflowChange

__all__ = ["plan_change"]

_FINISHED: Final = frozenset({"Succeeded", "Failed", "Error"})
_SPEC: Final[dict[CommandType, tuple[str, str | bool]]] = {
    "stop": ("shutdown", "Stop"),
    "terminate": ("shutdown", "Terminate"),
    "suspend": ("suspend", True),
}


def plan_change(
    workflow: Manifest,
    command: Command,
    *,
    record: IncomingRecord,
    now: datetime,
    requested_by: str | None = None,
) -> WorkflowChange:
    """Return the change that applies the command to the object as it was read.

    The patch tests the resourceVersion, so that it cannot overwrite what the controller does
    meanwhile.

    Raises:
        InapplicableCommandError: for instance a retry of a run that has not ended.
        MustWaitError: a retry came before the end of the last attempt was done with.
    """
    changed = copy.deepcopy(workflow)
    obsolete_pods: tuple[str, ...] = ()
    match command:
        case RetryCommand():
            obsolete_pods = reopen(changed, command, now=now)
        case ResumeCommand():
            _check_running(workflow, command)
            resume(changed, command, now=now)
        case _:
            _check_running(workflow, command)
            field, value = _SPEC[command.type]
            changed["spec"][field] = value
    record_applied(changed, command, record=record, now=now, requested_by=requested_by)
    unchanged = test("/metadata/resourceVersion", workflow["metadata"]["resourceVersion"])
    return WorkflowChange(
        patch=[unchanged, *_differences(workflow, changed)], obsolete_pods=obsolete_pods
    )


def _check_running(workflow: Manifest, command: Command) -> None:
    phase = (workflow.get("status") or {}).get("phase")
    if phase in _FINISHED:
        raise InapplicableCommandError(
            f"The run has ended as {phase}; there is nothing to {command.type}."
        )


def _differences(before: Manifest, after: Manifest) -> list[Manifest]:
    """Return operations for the members of metadata, spec and status that differ."""
    operations: list[Manifest] = []
    for part in ("metadata", "spec", "status"):
        old: dict[str, Any] | None = before.get(part)
        new: dict[str, Any] = after.get(part) or {}
        if old is None:
            if new:
                operations.append(add(f"/{part}", new))
            continue
        operations += [remove(f"/{part}/{name}") for name in old if name not in new]
        operations += [
            add(f"/{part}/{name}", value)
            for name, value in new.items()
            if name not in old or old[name] != value
        ]
    return operations
