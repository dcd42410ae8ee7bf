"""Slots in memory, with versions, and with the faults of an API server: a fake of `LeaseSlots`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from sluice_dispatcher.domain.slots import Slot, SlotState, UnreadableSlotError, parse_holders
from sluice_runtime.kubernetes.errors import AlreadyExistsError, ConflictError, NotFoundError

__all__ = ["FakeSlots"]


class FakeSlots:
    """See `SlotStore`; `trouble_for_test` runs before and after each call, and may wait or fail."""

    def __init__(self) -> None:
        self.states_for_test: dict[str, SlotState] = {}
        self.trouble_for_test: Callable[[], Awaitable[None]] = _none
        self.calls_for_test = 0
        self._spoiled: set[str] = set()
        self._version = 0

    async def read(self, slot: Slot) -> SlotState:
        """See `SlotStore.read`."""
        await self._enter()
        found = self.states_for_test.get(slot.name)
        await self.trouble_for_test()
        return SlotState(slot=slot) if found is None else replace(self._readable(found), slot=slot)

    async def create(self, state: SlotState) -> None:
        """See `SlotStore.create`."""
        await self._enter()
        if state.slot.name in self.states_for_test:
            raise AlreadyExistsError("slot: 409", status=409, reason="AlreadyExists")
        self._store(state)
        await self.trouble_for_test()

    async def replace(self, state: SlotState) -> None:
        """See `SlotStore.replace`."""
        await self._enter()
        self._check(state)
        self._store(state)
        await self.trouble_for_test()

    async def delete(self, state: SlotState) -> None:
        """See `SlotStore.delete`."""
        await self._enter()
        self._check(state)
        del self.states_for_test[state.slot.name]
        await self.trouble_for_test()

    async def all(
        self, *, on_unreadable: Callable[[UnreadableSlotError], None]
    ) -> AsyncIterator[SlotState]:
        """See `SlotStore.all`."""
        await self._enter()
        for state in list(self.states_for_test.values()):
            try:
                readable = self._readable(state)
            except UnreadableSlotError as e:
                on_unreadable(e)
                continue
            yield readable

    def spoil_for_test(self, name: str) -> None:
        """Let somebody else overwrite the holders of an object."""
        self._spoiled.add(name)

    def _readable(self, state: SlotState) -> SlotState:
        if state.slot.name in self._spoiled:
            parse_holders("spoiled", slot=state.slot.name)
        return state

    async def _enter(self) -> None:
        self.calls_for_test += 1
        await asyncio.sleep(0)
        await self.trouble_for_test()

    def _check(self, state: SlotState) -> None:
        found = self.states_for_test.get(state.slot.name)
        if found is None:
            raise NotFoundError("slot: 404", status=404, reason="NotFound")
        if found.version != state.version:
            raise ConflictError("slot: 409", status=409, reason="Conflict")

    def _store(self, state: SlotState) -> None:
        self._version += 1
        # As text and back, as the object has it.
        self.states_for_test[state.slot.name] = replace(
            state,
            holders=parse_holders(state.text, slot=state.slot.name),
            version=str(self._version),
            uid=state.uid or f"uid-{self._version}",
        )


async def _none() -> None:
    return
