"""What the dispatcher expects of a `Ledger`, in SQLite or in memory.

Needs a fixture `ledger`, which is empty.
"""

from datetime import UTC, datetime

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.problems import Problem, ProblemType, problem
from sluice_contracts.status import Phase, StatusEvent
from sluice_contracts.status_codec import PublishedEvent
from sluice_dispatcher.domain.models import LedgerEntry
from sluice_dispatcher.ports import Ledger

KEY = RunKey("default", "order-1")


def published(
    key: RunKey = KEY,
    *,
    phase: Phase = Phase.FAILED,
    fingerprint: str | None = "f",
    problem: Problem | None = None,
) -> PublishedEvent:
    event = StatusEvent(
        event_id=f"{key} {phase}",
        run_id=key.run_id,
        tenant=key.tenant,
        workflow="hello",
        workflow_name=workflow_name(key),
        attempt=1,
        phase=phase,
        terminal=True,
        problem=problem,
        observed_at=datetime(2026, 9, 1, tzinfo=UTC),
        sequence=1,
    )
    return PublishedEvent(event=event, fingerprint=fingerprint, traceparent=None)


class LedgerPortSuite:
    async def test_a_run_without_an_outcome_has_no_entry(self, ledger: Ledger) -> None:
        assert await ledger.get(KEY) is None

    async def test_a_recorded_outcome_is_found_by_its_run(self, ledger: Ledger) -> None:
        await ledger.record(published())
        assert await ledger.get(KEY) == LedgerEntry(fingerprint="f", phase=Phase.FAILED)

    async def test_runs_of_other_tenants_or_ids_have_entries_of_their_own(
        self, ledger: Ledger
    ) -> None:
        await ledger.record(published())
        assert await ledger.get(RunKey("default", "order-2")) is None
        assert await ledger.get(RunKey("other", "order-1")) is None

    async def test_a_later_outcome_changes_the_phase_and_keeps_the_content(
        self, ledger: Ledger
    ) -> None:
        await ledger.record(published(fingerprint="first"))
        await ledger.record(published(phase=Phase.SUCCEEDED, fingerprint="second"))
        assert await ledger.get(KEY) == LedgerEntry(fingerprint="first", phase=Phase.SUCCEEDED)

    async def test_an_outcome_without_content_has_no_fingerprint(self, ledger: Ledger) -> None:
        await ledger.record(published(phase=Phase.REJECTED, fingerprint=None))
        assert await ledger.get(KEY) == LedgerEntry(fingerprint=None, phase=Phase.REJECTED)

    async def test_the_outcome_of_a_run_that_was_cancelled_is_kept(self, ledger: Ledger) -> None:
        cancelled = published(
            phase=Phase.REJECTED, problem=problem(ProblemType.CANCELLED, "A stop ended the run.")
        )
        await ledger.record(cancelled)
        assert await ledger.get(KEY) == LedgerEntry(
            fingerprint="f", phase=Phase.REJECTED, cancelled=cancelled.event
        )

    async def test_other_rejected_runs_are_not_cancelled(self, ledger: Ledger) -> None:
        invalid = problem(ProblemType.INVALID_PARAMETERS, "They do not fit.")
        await ledger.record(published(phase=Phase.REJECTED, problem=invalid))
        assert await ledger.get(KEY) == LedgerEntry(fingerprint="f", phase=Phase.REJECTED)
