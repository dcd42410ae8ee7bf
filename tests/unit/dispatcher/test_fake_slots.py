"""The fake of the slots behaves as the real ones."""

import pytest

from tests.behaviour.slot_store_port import SlotStorePortSuite
from tests.support.fake_slots import FakeSlots


class TestFakeSlots(SlotStorePortSuite):
    @pytest.fixture
    def slots(self) -> FakeSlots:
        return FakeSlots()
