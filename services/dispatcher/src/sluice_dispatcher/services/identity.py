"""Whose Workflow is it, and is it the one that was asked for."""

from sluice_contracts import metadata
from sluice_contracts.ids import RunKey
from sluice_dispatcher.services.ports import Manifest

__all__ = ["belongs_to", "is_run"]


def belongs_to(workflow: Manifest, key: RunKey) -> bool:
    """Tell whether a Workflow was created for this run, and not by somebody else by that name."""
    annotations = workflow["metadata"].get("annotations") or {}
    labels = workflow["metadata"].get("labels") or {}
    found = (labels.get(metadata.TENANT), annotations.get(metadata.RUN_ID))
    return found == (key.tenant, key.run_id)


def is_run(workflow: Manifest, key: RunKey, *, fingerprint: str | None) -> bool:
    """Tell whether a Workflow was created for this run by a request of this content."""
    annotations = workflow["metadata"].get("annotations") or {}
    return belongs_to(workflow, key) and annotations.get(metadata.FINGERPRINT) == fingerprint
