"""What every `SlotStore` does, the fake and the real one."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from sluice_dispatcher.domain.slots import Holder, Slot, SlotState, UnreadableSlotError
from sluice_dispatcher.ports import SlotStore
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kubernetes.client import KubernetesClient
from sluice_runtime.kubernetes.errors import AlreadyExistsError, ConflictError, NotFoundError

SLOT = Slot(name="sluice-slot-a", tenant="acme", workflow="hello", limit=2)
ONE = Holder(tenant="acme", run_id="one", accepted_ms=1)
TWO = Holder(tenant="acme", run_id="two", accepted_ms=2, reopened="17")

Spoil = Callable[[str], Awaitable[None]]
"""Lets somebody else overwrite the holders of the object of a name."""


def lease_spoiler(client: KubernetesClient, *, namespace: str) -> Spoil:
    """Return what overwrites the holders of a Lease."""

    async def spoil(name: str) -> None:
        await client.call(
            "PATCH",
            f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}",
            body={"metadata": {"annotations": {"sluice.dev/holders": "spoiled"}}},
            content_type="application/merge-patch+json",
            deadline=Deadline("Spoiling a Lease", timedelta(seconds=15)),
        )

    return spoil


def fail(error: UnreadableSlotError) -> None:
    raise error


class SlotStorePortSuite:
    """Subclasses provide the fixtures `slots` and `spoil`."""

    async def test_a_slot_without_an_object_has_no_holders(self, slots: SlotStore) -> None:
        assert await slots.read(SLOT) == SlotState(slot=SLOT)

    async def test_holders_are_read_as_they_were_written(self, slots: SlotStore) -> None:
        await slots.create(SlotState(slot=SLOT, holders=(ONE,)))
        state = await slots.read(SLOT)
        assert (state.slot, state.holders) == (SLOT, (ONE,))
        await slots.replace(state.with_holder(TWO))
        state = await slots.read(SLOT)
        assert state.holders == (ONE, TWO)
        await slots.replace(state.without([ONE]))
        assert (await slots.read(SLOT)).holders == (TWO,)

    async def test_an_object_is_created_once(self, slots: SlotStore) -> None:
        await slots.create(SlotState(slot=SLOT, holders=(ONE,)))
        with pytest.raises(AlreadyExistsError):
            await slots.create(SlotState(slot=SLOT, holders=(TWO,)))

    async def test_a_state_that_has_changed_since_is_neither_replaced_nor_deleted(
        self, slots: SlotStore
    ) -> None:
        await slots.create(SlotState(slot=SLOT, holders=(ONE,)))
        old = await slots.read(SLOT)
        await slots.replace(old.with_holder(TWO))
        with pytest.raises(ConflictError):
            await slots.replace(old.without([ONE]))
        with pytest.raises(ConflictError):
            await slots.delete(old)
        assert (await slots.read(SLOT)).holders == (ONE, TWO)

    async def test_a_deleted_object_can_be_created_again(self, slots: SlotStore) -> None:
        await slots.create(SlotState(slot=SLOT, holders=(ONE,)))
        state = await slots.read(SLOT)
        await slots.delete(state)
        with pytest.raises((ConflictError, NotFoundError)):
            await slots.replace(state)
        await slots.create(SlotState(slot=SLOT, holders=(TWO,)))
        assert (await slots.read(SLOT)).holders == (TWO,)

    async def test_all_objects_are_listed(self, slots: SlotStore) -> None:
        other = replace(SLOT, name="sluice-slot-b", workflow="diamond")
        await slots.create(SlotState(slot=SLOT, holders=(ONE,)))
        await slots.create(SlotState(slot=other, holders=(TWO,)))
        listed = slots.all(on_unreadable=fail)
        found = {state.slot.name: state.holders async for state in listed}
        assert found == {SLOT.name: (ONE,), other.name: (TWO,)}

    async def test_an_object_that_somebody_else_has_written_is_reported_and_others_are_listed(
        self, slots: SlotStore, spoil: Spoil
    ) -> None:
        others = [replace(SLOT, name=f"sluice-slot-{name}") for name in "bc"]
        for slot in (SLOT, *others):
            await slots.create(SlotState(slot=slot, holders=(ONE,)))
        await spoil(others[0].name)
        with pytest.raises(UnreadableSlotError, match=others[0].name):
            await slots.read(others[0])
        reported: list[UnreadableSlotError] = []
        found = [state.slot.name async for state in slots.all(on_unreadable=reported.append)]
        assert found == [SLOT.name, others[1].name]
        assert [others[0].name in str(error) for error in reported] == [True]
