"""Slots as Leases of the cluster: https://kubernetes.io/docs/concepts/architecture/leases/.

Rights on Leases give no access to the ConfigMaps and Secrets of their namespace, and a write tests
the version that was read.
"""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, Final

from sluice_argo import metadata
from sluice_dispatcher.domain.slots import Slot, SlotState, UnreadableSlotError, parse_holders
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kubernetes.client import KubernetesClient
from sluice_runtime.kubernetes.errors import NotFoundError

__all__ = ["LeaseSlots"]

_HOLDERS: Final = "sluice.dev/holders"
_KIND: Final = "sluice.dev/lease"
_SELECTOR: Final = f"{metadata.SELECTOR},{_KIND}=slot"
_PAGE: Final = "500"


class LeaseSlots:
    """The real `SlotStore`; each request has its own timeout."""

    def __init__(
        self, client: KubernetesClient, *, namespace: str, request_timeout: timedelta
    ) -> None:
        self._client = client
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._timeout = request_timeout

    async def read(self, slot: Slot) -> SlotState:
        """See `SlotStore.read`."""
        try:
            lease = await self._client.call(
                "GET", f"{self._path}/{slot.name}", deadline=self._deadline("read a slot")
            )
        except NotFoundError:
            return SlotState(slot=slot)
        return _state(lease, slot)

    async def create(self, state: SlotState) -> None:
        """See `SlotStore.create`."""
        await self._client.call(
            "POST", self._path, body=_lease(state), deadline=self._deadline("create a slot")
        )

    async def replace(self, state: SlotState) -> None:
        """See `SlotStore.replace`."""
        await self._client.call(
            "PUT",
            f"{self._path}/{state.slot.name}",
            body=_lease(state),
            deadline=self._deadline("replace a slot"),
        )

    async def delete(self, state: SlotState) -> None:
        """See `SlotStore.delete`."""
        unchanged = {"uid": state.uid, "resourceVersion": state.version}
        await self._client.call(
            "DELETE",
            f"{self._path}/{state.slot.name}",
            body={"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": unchanged},
            deadline=self._deadline("delete a slot"),
        )

    async def all(
        self, *, on_unreadable: Callable[[UnreadableSlotError], None]
    ) -> AsyncIterator[SlotState]:
        """See `SlotStore.all`."""
        query = {"labelSelector": _SELECTOR, "limit": _PAGE}
        while True:
            page = await self._client.call(
                "GET", self._path, query=query, deadline=self._deadline("list slots")
            )
            for lease in page.get("items") or []:
                labels = lease["metadata"].get("labels") or {}
                slot = Slot(
                    name=lease["metadata"]["name"],
                    tenant=labels.get(metadata.TENANT, ""),
                    workflow=labels.get(metadata.WORKFLOW, ""),
                    limit=1,
                )
                try:
                    state = _state(lease, slot)
                except UnreadableSlotError as e:
                    on_unreadable(e)
                    continue
                yield state
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return
            query["continue"] = token

    def _deadline(self, what: str) -> Deadline:
        return Deadline(what, self._timeout)


def _state(lease: dict[str, Any], slot: Slot) -> SlotState:
    found = lease["metadata"]
    return SlotState(
        slot=slot,
        holders=parse_holders((found.get("annotations") or {}).get(_HOLDERS), slot=slot.name),
        version=found["resourceVersion"],
        uid=found["uid"],
    )


def _lease(state: SlotState) -> dict[str, Any]:
    # A PUT creates a Lease that is gone, unless it says which one it means.
    unchanged = {"uid": state.uid, "resourceVersion": state.version} if state.version else {}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": state.slot.name,
            "labels": {
                metadata.MANAGED_BY: metadata.MANAGED_BY_VALUE,
                _KIND: "slot",
                metadata.TENANT: state.slot.tenant,
                metadata.WORKFLOW: state.slot.workflow,
            },
            "annotations": {_HOLDERS: state.text},
            **unchanged,
        },
        # What `kubectl get leases` shows.
        "spec": {"holderIdentity": state.holders[0].workflow_name} if state.holders else {},
    }
