"""The values that services and ports exchange."""

from dataclasses import dataclass
from typing import Any

from sluice_contracts.status import Phase, StatusEvent

__all__ = ["LedgerEntry", "Manifest"]

Manifest = dict[str, Any]
"""A Workflow, or a part of one, as a JSON object."""


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """The outcome that an id was used for."""

    fingerprint: str | None
    """Of the request's content; None if the request was not valid enough to have one."""
    phase: Phase
    cancelled: StatusEvent | None = None
    """The outcome itself, if the run was stopped before it was a Workflow."""
