"""The ledger is asked whenever a Workflow's name may be free because its run has ended."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.requests import RunRequest
from sluice_contracts.status import Phase
from sluice_dispatcher.adapters.ledger import SqliteLedger, open_ledger_store
from sluice_dispatcher.domain.models import LedgerEntry
from sluice_dispatcher.domain.verdict import Verdict
from sluice_runtime.kubernetes.errors import ApiUnavailableError
from tests.support.dispatcher import Desk, FakeLedger, hello

pytestmark = pytest.mark.looptime

KEY = RunKey("default", "order-1")
NAME = workflow_name(KEY)
FINGERPRINT = RunRequest(id="order-1", workflow="hello", parameters={"name": "Ada"}).fingerprint
OUTCOME = LedgerEntry(fingerprint=FINGERPRINT, phase=Phase.SUCCEEDED)


class Ledger(FakeLedger):
    """Learns the outcome after so many lookups."""

    def __init__(self, *, after: int) -> None:
        super().__init__()
        self.asked = 0
        self._after = after

    async def get(self, key: RunKey) -> LedgerEntry | None:
        found = await super().get(key)
        self.asked += 1
        if self.asked == self._after:
            self.outcomes_for_test[key] = OUTCOME
        return found


async def test_the_ledger_is_asked_again_right_before_the_first_create() -> None:
    """Between the first lookup and the create there may be a long wait for a slot."""
    desk = Desk(ledger=Ledger(after=1))
    assert await desk.handler.handle(desk.record(hello("order-1"))) is Verdict.REPLAYED
    assert desk.workflows.calls_for_test("create") == 0


async def test_the_ledger_is_asked_again_before_each_repeated_create() -> None:
    """Neither the first lookup, nor the one before the create, nor the one after the 404 knew."""
    desk = Desk(ledger=Ledger(after=3))
    desk.workflows.fail_for_test("create", ApiUnavailableError("no answer"))
    assert await desk.handler.handle(desk.record(hello("order-1"))) is Verdict.REPLAYED
    assert desk.workflows.calls_for_test("create") == 1


async def test_the_ledger_is_asked_after_an_unanswered_create_left_no_workflow() -> None:
    """The create took effect, and its Workflow was gone again before the read."""
    desk = Desk(ledger=Ledger(after=2))
    desk.workflows.fail_for_test("create", ApiUnavailableError("no answer"))
    assert await desk.handler.handle(desk.record(hello("order-1"))) is Verdict.REPLAYED
    # It was asked at once, and not after a retry.
    retries = desk.registry.get_sample_value("sluice_dispatcher_retries_total", {"step": "create"})
    assert not retries


async def test_a_run_that_is_over_does_not_expire_when_its_request_comes_late() -> None:
    """It had not ended at the last lookup, and ends before its Workflow is read."""
    desk = Desk(ledger=Ledger(after=2))
    late = desk.record(hello("order-1", expires_at="2020-01-01T00:00:00Z"))
    assert await desk.handler.handle(late) is Verdict.REPLAYED
    assert desk.publisher.log_for_test == []


class ImaginaryProjector:
    """Stands for a `Projector` that is behind until the gate is open."""

    def __init__(self) -> None:
        self.within: list[float] = []
        self.gate = asyncio.Event()

    async def wait_fresh(self, *, within: float) -> None:
        self.within.append(within)
        await self.gate.wait()


async def test_the_ledger_answers_only_while_it_is_fresh(tmp_path: Path) -> None:
    projector: Any = ImaginaryProjector()
    async with open_ledger_store(tmp_path / "ledger.sqlite") as store:
        ledger = SqliteLedger(store, projector, freshness=timedelta(seconds=5))
        asking = asyncio.create_task(ledger.get(KEY))
        for _ in range(20):
            await asyncio.sleep(0)
        assert projector.within == [5.0]
        assert not asking.done()
        projector.gate.set()
        assert await asking is None
