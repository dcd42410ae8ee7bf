"""Which run a Workflow was created for, by its labels and annotations."""

from typing import Any

from sluice_argo import metadata
from sluice_contracts.ids import RunKey

__all__ = ["belongs_to", "is_run"]


def belongs_to(workflow: dict[str, Any], key: RunKey) -> bool:
    """Return whether a Workflow was created for this run, and does not only share its name."""
    annotations = workflow["metadata"].get("annotations") or {}
    labels = workflow["metadata"].get("labels") or {}
    found = (labels.get(metadata.TENANT), annotations.get(metadata.RUN_ID))
    return found == (key.tenant, key.run_id)


def is_run(workflow: dict[str, Any], key: RunKey, *, fingerprint: str | None) -> bool:
    """Return whether a Workflow was created for this run by a request of this content."""
    annotations = workflow["metadata"].get("annotations") or {}
    return belongs_to(workflow, key) and annotations.get(metadata.FINGERPRINT) == fingerprint
