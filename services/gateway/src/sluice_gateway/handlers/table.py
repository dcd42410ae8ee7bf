"""All operations of the HTTP API, from which its routes and its OpenAPI document are made."""

from typing import Final

from sluice_gateway.handlers import events, index, runs, workflows
from sluice_gateway.handlers.operations import Operation

__all__ = ["OPERATIONS"]

OPERATIONS: Final[tuple[Operation, ...]] = (
    *runs.OPERATIONS,
    *events.OPERATIONS,
    *workflows.OPERATIONS,
    *index.OPERATIONS,
)
