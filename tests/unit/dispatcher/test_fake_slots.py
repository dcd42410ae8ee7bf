"""The fake of the slots behaves as the real ones."""

import pytest

from tests.behaviour.slot_store_port import SlotStorePortSuite, Spoil
from tests.support.fake_slots import FakeSlots


class TestFakeSlots(SlotStorePortSuite):
    @pytest.fixture
    def slots(self) -> FakeSlots:
        return FakeSlots()

    @pytest.fixture
    def spoil(self, slots: FakeSlots) -> Spoil:
        async def spoil(name: str) -> None:
            slots.spoil_for_test(name)

        return spoil
