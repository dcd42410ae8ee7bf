"""Publishes why a request does not become a run; one that does needs nothing."""

import structlog

from sluice_argo.ownership import is_run
from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.records import IncomingRecord
from sluice_contracts.request_codec import InvalidRecordError, ReceivedRun
from sluice_contracts.status import Phase
from sluice_dispatcher.domain.models import Manifest
from sluice_dispatcher.domain.verdict import Verdict
from sluice_dispatcher.domain.workflow_builder import invalid_run
from sluice_dispatcher.ports import Ledger
from sluice_dispatcher.services.bounded_calls import BoundedCalls
from sluice_dispatcher.services.queued_runs import QueuedRun
from sluice_dispatcher.services.rejection import Rejection
from sluice_dispatcher.services.run_workflows import RunWorkflows
from sluice_runtime.kubernetes.errors import NotFoundError, RefusedError

__all__ = ["Conclusion"]

_log = structlog.get_logger(__name__)


class Conclusion:
    """Finishes records by what was decided about them."""

    def __init__(
        self,
        *,
        workflows: RunWorkflows,
        ledger: Ledger,
        rejection: Rejection,
        calls: BoundedCalls,
    ) -> None:
        self._workflows = workflows
        self._ledger = ledger
        self._rejection = rejection
        self._calls = calls

    async def reject(self, record: IncomingRecord, invalid: InvalidRecordError) -> Verdict:
        """Finish a record that can never become a run."""
        key = invalid.key
        if key is None and invalid.claimed is not None:
            # Neither looked up nor locked: nothing here is about that run.
            await self._rejection.refuse(
                record, invalid.problem, key=invalid.claimed, traceparent=invalid.traceparent
            )
            return Verdict.REFUSED
        if key is None:
            await self._rejection.dead_letter(record, invalid.problem, key=None)
            return Verdict.REJECTED
        entry = await self._ledger.get(key)
        if entry is not None and entry.fingerprint == invalid.fingerprint:
            await self._rejection.complete_cancellation(
                record, key=key, traceparent=invalid.traceparent
            )
            return Verdict.REPLAYED
        existing = await self._read(key)
        if existing is not None and is_run(existing, key, fingerprint=invalid.fingerprint):
            # It was valid when the run was started; the catalogue has changed since.
            return Verdict.SAME_RUN
        if entry is not None or existing is not None:
            await self._rejection.refuse(
                record, invalid.problem, key=key, traceparent=invalid.traceparent
            )
            return Verdict.REFUSED
        await self._rejection.dead_letter(record, invalid.problem, key=key)
        await self._rejection.publish_outcome(record, invalid, key=key, phase=Phase.REJECTED)
        return Verdict.REJECTED

    async def finish(
        self, queued: QueuedRun, decided: Verdict | RefusedError | InvalidRecordError
    ) -> Verdict:
        """Publish why the request does not become a run, if it does not."""
        record, received = queued.record, queued.received
        if isinstance(decided, InvalidRecordError):
            await self._rejection.publish_cancellation(
                record, decided, key=received.key, command=None
            )
            return Verdict.CANCELLED
        if isinstance(decided, RefusedError):
            return await self._refused_by_cluster(record, received, decided)
        if decided is Verdict.REFUSED:
            detail = (
                f"The id {received.key.run_id!r} belongs to a run with other content, which "
                "continues unchanged. Send this request with another id."
            )
            await self._rejection.refuse(
                record,
                problem(ProblemType.ID_CONFLICT, detail),
                key=received.key,
                traceparent=received.traceparent,
            )
        if decided is Verdict.EXPIRED:
            detail = "expires_at had passed before the run could be started."
            expired = invalid_run(received, problem(ProblemType.EXPIRED, detail))
            await self._rejection.publish_outcome(
                record, expired, key=received.key, phase=Phase.EXPIRED
            )
        if decided is Verdict.REPLAYED:
            await self._rejection.complete_cancellation(
                record, key=received.key, traceparent=received.traceparent
            )
        if decided is Verdict.CANCELLED and queued.stopped_by is not None:
            detail = (
                f"The command {queued.stopped_by.type} ended the run before its Workflow was "
                "created. To run it after all, send the request with another id."
            )
            await self._rejection.publish_cancellation(
                record,
                invalid_run(received, problem(ProblemType.CANCELLED, detail)),
                key=received.key,
                command=queued.stopped_by,
            )
        return decided

    async def _refused_by_cluster(
        self, record: IncomingRecord, received: ReceivedRun, error: RefusedError
    ) -> Verdict:
        # The API server's own words may quote a parameter's value.
        answer = f"{error.status} {error.reason}"
        _log.error("the cluster refused the Workflow", error=answer)
        detail = f"The cluster refused the Workflow: {answer}."
        refused = problem(ProblemType.REFUSED_BY_CLUSTER, detail)
        return await self.reject(record, invalid_run(received, refused))

    async def _read(self, key: RunKey) -> Manifest | None:
        async def attempt() -> Manifest | None:
            try:
                return await self._workflows.get(key)
            except NotFoundError:
                return None

        return await self._calls.run(attempt, name="read")
