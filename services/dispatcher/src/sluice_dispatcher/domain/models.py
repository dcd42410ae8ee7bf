"""The values that the services and their ports exchange."""

from dataclasses import dataclass
from typing import Any

from sluice_contracts.status import Phase

__all__ = ["LedgerEntry", "Manifest"]

Manifest = dict[str, Any]
"""A Workflow as a JSON object."""


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """How a run ended: what its id was spent on."""

    fingerprint: str | None
    phase: Phase
    event_id: str
