"""Slots: which runs of one tenant, workflow and key may be live.

An object of the cluster names the runs that hold a slot. A run gets one before its Workflow is
created. It loses it when its Workflow has finished, or when it has an outcome and no Workflow: a
run without either may still become a Workflow.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from sluice_argo import metadata
from sluice_argo.json_patch import Operation, add, annotation, test
from sluice_argo.ownership import belongs_to
from sluice_argo.request_facts import RequestFacts, encode_request_facts
from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.status import AppliedCommand
from sluice_dispatcher.domain.models import Manifest
from sluice_workflows.entries import WhenFull

__all__ = [
    "Holder",
    "Slot",
    "SlotState",
    "UnreadableSlotError",
    "has_finished",
    "not_reopened_patch",
    "parse_holders",
    "slot_name",
    "stop_patch",
]

_FINISHED: Final = frozenset({"Succeeded", "Failed", "Error"})


class UnreadableSlotError(Exception):
    """Somebody else has written the object of a slot: which runs hold it is not known."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The holders of the Lease {name} cannot be read. "
            "Delete it once no run of its key is live."
        )


@dataclass(frozen=True, kw_only=True)
class Slot:
    """The slots of one tenant, workflow and key."""

    name: str
    tenant: str
    workflow: str
    limit: int
    when_full: WhenFull = "queue"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A run that may be live; `accepted_ms` is Kafka's time of its request."""

    tenant: str
    run_id: str
    accepted_ms: int
    reopened: str | None = None
    """The resourceVersion of its finished Workflow when a retry was about to reopen it."""

    @property
    def key(self) -> RunKey:
        """The run."""
        return RunKey(self.tenant, self.run_id)

    @property
    def workflow_name(self) -> str:
        """The name of its Workflow."""
        return workflow_name(self.key)


_HOLDERS: Final = TypeAdapter(tuple[Holder, ...])


@dataclass(frozen=True, kw_only=True)
class SlotState:
    """The object as it was read; `version` is None if there is none."""

    slot: Slot
    holders: tuple[Holder, ...] = ()
    version: str | None = None
    uid: str | None = None

    def holder(self, key: RunKey) -> Holder | None:
        """Return the entry of a run; None if it holds no slot."""
        return next((each for each in self.holders if each.key == key), None)

    def without(self, gone: Sequence[Holder]) -> "SlotState":
        """Return the state without these holders."""
        return replace(self, holders=tuple(each for each in self.holders if each not in gone))

    def with_holder(self, holder: Holder) -> "SlotState":
        """Return the state with this holder, in place of an entry of the same run."""
        others = tuple(each for each in self.holders if each.key != holder.key)
        return replace(self, holders=(*others, holder))

    @property
    def text(self) -> str:
        """The holders, as the object has them."""
        return _HOLDERS.dump_json(self.holders, exclude_none=True).decode()


def parse_holders(text: str | None, *, slot: str) -> tuple[Holder, ...]:
    """Return the holders of the slot of this name, which `SlotState.text` has.

    Raises:
        UnreadableSlotError: somebody else has written it.
    """
    try:
        return _HOLDERS.validate_json(text or "[]")
    except ValidationError:
        raise UnreadableSlotError(slot) from None


def slot_name(*, tenant: str, workflow: str, value: str) -> str:
    """Return the object's name: it shows neither the tenant nor the value."""
    digest = hashlib.sha256(json.dumps([tenant, workflow, value]).encode()).digest()
    return f"sluice-slot-{base64.b32encode(digest).decode().lower()[:26]}"


def has_finished(workflow: dict[str, Any] | Manifest, holder: Holder) -> bool:
    """Return whether the Workflow of a holder has finished for good.

    One that a retry is about to reopen has not, until it has changed since: the retry insists on
    the version that it read.
    """
    if not belongs_to(workflow, holder.key):
        return False
    if (workflow.get("status") or {}).get("phase") not in _FINISHED:
        return False
    return holder.reopened is None or holder.reopened != workflow["metadata"]["resourceVersion"]


def not_reopened_patch(workflow: Manifest) -> list[Operation]:
    """Return the patch after which no retry that read the Workflow before can reopen it."""
    version = workflow["metadata"]["resourceVersion"]
    return [
        test("/metadata/resourceVersion", version),
        add(annotation(metadata.NOT_REOPENED), version),
    ]


def stop_patch(workflow: Manifest, *, reason: str, now: datetime) -> list[Operation]:
    """Return the patch that stops a run for another one, and says so in its events."""
    last = AppliedCommand(type="stop", reason=reason, applied_at=now)
    facts = encode_request_facts(RequestFacts(last_command=last))
    return [
        test("/metadata/uid", workflow["metadata"]["uid"]),
        add("/spec/shutdown", "Stop"),
        *(add(annotation(name), value) for name, value in facts.items()),
    ]
