"""All operations of the HTTP API, from which its routes and its OpenAPI document are made."""

from typing import Final

from sluice_gateway.handlers import (
    batches,
    commands,
    events,
    index,
    outcomes,
    reference,
    runs,
    workflows,
)
from sluice_gateway.handlers.operations import Operation

__all__ = ["OPERATIONS"]

OPERATIONS: Final[tuple[Operation, ...]] = (
    *runs.OPERATIONS,
    *batches.OPERATIONS,
    *outcomes.OPERATIONS,
    *commands.OPERATIONS,
    *events.OPERATIONS,
    *workflows.OPERATIONS,
    *index.OPERATIONS,
    *reference.OPERATIONS,
)
