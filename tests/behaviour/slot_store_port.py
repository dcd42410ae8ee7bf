"""What every `SlotStore` does, the fake and the real one."""

from dataclasses import replace

import pytest

from sluice_dispatcher.domain.slots import Holder, Slot, SlotState
from sluice_dispatcher.ports import SlotStore
from sluice_runtime.kubernetes.errors import AlreadyExistsError, ConflictError, NotFoundError

SLOT = Slot(name="sluice-slot-a", tenant="acme", workflow="hello", limit=2)
ONE = Holder(tenant="acme", run_id="one", accepted_ms=1)
TWO = Holder(tenant="acme", run_id="two", accepted_ms=2, reopened="17")


class SlotStorePortSuite:
    """Subclasses provide the fixture `slots`."""

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
        found = {state.slot.name: state.holders async for state in slots.all()}
        assert found == {SLOT.name: (ONE,), other.name: (TWO,)}
