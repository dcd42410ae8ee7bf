"""All operations of the HTTP API, from which its routes and its OpenAPI document are made."""

from typing import Final

from sluice_gateway.handlers import (
    all_events,
    batches,
    bulk_commands,
    commands,
    controls,
    dead_letter_decisions,
    dead_letters,
    events,
    index,
    lists,
    live_limits,
    outcomes,
    reference,
    reruns,
    runs,
    step_logs,
    who,
    workflows,
)
from sluice_gateway.handlers.operations import Operation

__all__ = ["OPERATIONS"]

OPERATIONS: Final[tuple[Operation, ...]] = (
    *runs.OPERATIONS,
    *lists.OPERATIONS,
    *batches.OPERATIONS,
    *outcomes.OPERATIONS,
    *reruns.OPERATIONS,
    *commands.OPERATIONS,
    *bulk_commands.OPERATIONS,
    *events.OPERATIONS,
    *step_logs.OPERATIONS,
    *all_events.OPERATIONS,
    *workflows.OPERATIONS,
    *controls.OPERATIONS,
    *live_limits.OPERATIONS,
    *dead_letters.OPERATIONS,
    *dead_letter_decisions.OPERATIONS,
    *who.OPERATIONS,
    *index.OPERATIONS,
    *reference.OPERATIONS,
)
