"""The stand-in for the ledger faces the suite of the real one."""

import pytest

from tests.behaviour.ledger_port import LedgerPortSuite
from tests.support.dispatcher import FakeLedger


class TestFakeLedger(LedgerPortSuite):
    @pytest.fixture
    def ledger(self) -> FakeLedger:
        return FakeLedger()
