"""One request, exactly one Workflow or one outcome, however often the request is delivered."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from sluice_argo.ownership import is_run
from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.records import IncomingRecord
from sluice_contracts.request_codec import InvalidRecordError, ReceivedRun
from sluice_contracts.status import Phase
from sluice_dispatcher.domain.models import LedgerEntry, Manifest
from sluice_dispatcher.domain.verdict import Verdict
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.domain.workflow_builder import WorkflowBuilder
from sluice_dispatcher.ports import Ledger, Workflows
from sluice_dispatcher.services.bounded_calls import NotYetError, Retrying
from sluice_dispatcher.services.rejection import TurningAway
from sluice_runtime.kubernetes.errors import (
    AlreadyExistsError,
    ApiError,
    ApiUnavailableError,
    NotFoundError,
    RefusedError,
)

__all__ = ["Dispatching"]

_log = structlog.get_logger(__name__)


class Dispatching:
    """Decides what a request for a run becomes, and sees it through."""

    def __init__(
        self,
        *,
        builder: WorkflowBuilder,
        workflows: Workflows,
        ledger: Ledger,
        turning_away: TurningAway,
        retrying: Retrying,
        now: Callable[[], datetime],
        freshness: timedelta,
        longest_create: timedelta,
        clock: Callable[[], float],
    ) -> None:
        self._builder = builder
        self._workflows = workflows
        self._ledger = ledger
        self._turning_away = turning_away
        self._retrying = retrying
        self._now = now
        self._freshness = freshness.total_seconds()
        self._longest_create = longest_create
        self._clock = clock

    async def run(self, record: IncomingRecord, received: ReceivedRun) -> Verdict:
        """Start the run that a valid request asks for, unless its id was used before."""
        spent = await self._ledger.find(received.key)
        if spent is not None:
            return await self._finish(record, received, _judge_spent(spent, received))
        try:
            manifest = self._builder.build(received, position=record.position)
        except InvalidRecordError as e:
            return await self.reject(record, e)
        decided = await self._retrying.until_clear(
            lambda: self._create(received, manifest), what="create"
        )
        return await self._finish(record, received, decided)

    async def reject(self, record: IncomingRecord, invalid: InvalidRecordError) -> Verdict:
        """Finish a record that can never become a run."""
        key = invalid.key
        if key is None:
            await self._turning_away.bury(record, invalid.problem, key=None)
            return Verdict.REJECTED
        spent = await self._ledger.find(key)
        if spent is not None and spent.fingerprint == invalid.fingerprint:
            return Verdict.REPLAYED
        existing = await self._read(key)
        if existing is not None and is_run(existing, key, fingerprint=invalid.fingerprint):
            # It was valid when the run was started; the catalogue has changed since.
            return Verdict.SAME_RUN
        if spent is not None or existing is not None:
            await self._turning_away.refuse(
                record, invalid.problem, key=key, traceparent=invalid.traceparent
            )
            return Verdict.REFUSED
        await self._turning_away.bury(record, invalid.problem, key=key)
        await self._turning_away.end(
            record,
            invalid.problem,
            phase=Phase.REJECTED,
            key=key,
            workflow=invalid.workflow,
            fingerprint=invalid.fingerprint,
            traceparent=invalid.traceparent,
        )
        return Verdict.REJECTED

    async def _create(self, received: ReceivedRun, manifest: Manifest) -> Verdict | RefusedError:
        """Try once to create by name; gives what it has come to, whoever created it.

        Nothing may be waited for between the ledger's answer and the create: the status-watcher
        holds a Workflow only so long for creates that were decided without knowing its outcome.
        """
        spent = await self._look(received.key)
        if spent is not None:
            return _judge_spent(spent, received)
        expires_at = received.request.expires_at
        if expires_at is not None and expires_at <= (now := self._now()):
            return await self._expire(received, late=now - expires_at)
        try:
            await self._workflows.create(manifest)
        except AlreadyExistsError:
            found = await self._judge_existing(received)
            if found is None:
                raise ApiUnavailableError("The Workflow vanished between two looks.") from None
            return found
        except RefusedError as e:
            return e
        except ApiUnavailableError:
            # It may have been created all the same: read before writing again.
            found = await self._judge_existing(received)
            if found is not None:
                return found
            raise
        except ApiError as e:
            # No such namespace, a quota in motion: somebody's to mend, not the request's fault.
            raise ApiUnavailableError(str(e)) from e
        return Verdict.CREATED

    async def _expire(self, received: ReceivedRun, *, late: timedelta) -> Verdict:
        """Judge a request whose time has passed.

        Started in time by another delivery, or by an earlier try, it has not expired; and a create
        that was sent in time may still be under way, whoever sent it.
        """
        found = await self._judge_existing(received)
        if found is None and late < self._longest_create:
            raise NotYetError(
                "A create that was sent before expires_at may still be carried out.",
                reason=WaitReason.LATE_CREATE,
            )
        return found or Verdict.EXPIRED

    async def _look(self, key: RunKey) -> LedgerEntry | None:
        """Ask the ledger, once more if a process that was stopped has read its answer too late."""
        while True:
            asked = self._clock()
            spent = await self._ledger.find(key)
            if spent is not None or self._clock() - asked <= self._freshness:
                return spent

    async def _judge_existing(self, received: ReceivedRun) -> Verdict | None:
        """Judge by what is there under the run's name; None if nothing is, nor ever was."""
        try:
            existing = await self._workflows.get(workflow_name(received.key))
        except NotFoundError:
            spent = await self._ledger.find(received.key)
            return None if spent is None else _judge_spent(spent, received)
        same = is_run(existing, received.key, fingerprint=received.request.fingerprint)
        return Verdict.SAME_RUN if same else Verdict.REFUSED

    async def _finish(
        self, record: IncomingRecord, received: ReceivedRun, decided: Verdict | RefusedError
    ) -> Verdict:
        """Tell the world where the request does not become a run."""
        if isinstance(decided, RefusedError):
            return await self._refused_by_cluster(record, received, decided)
        if decided is Verdict.REFUSED:
            detail = (
                f"The id {received.key.run_id!r} belongs to a run of other content, which goes on "
                "untouched. Send this request under an id of its own."
            )
            await self._turning_away.refuse(
                record,
                problem(ProblemType.ID_CONFLICT, detail),
                key=received.key,
                traceparent=received.traceparent,
            )
        if decided is Verdict.EXPIRED:
            detail = "expires_at had passed before the run could be started."
            await self._turning_away.end(
                record,
                problem(ProblemType.EXPIRED, detail),
                phase=Phase.EXPIRED,
                key=received.key,
                workflow=received.request.workflow,
                fingerprint=received.request.fingerprint,
                traceparent=received.traceparent,
            )
        return decided

    async def _refused_by_cluster(
        self, record: IncomingRecord, received: ReceivedRun, error: RefusedError
    ) -> Verdict:
        # The API server's own words may quote a parameter's value.
        why = f"{error.status} {error.reason}"
        _log.error("the cluster refuses the Workflow", run=str(received.key), answer=why)
        return await self.reject(
            record,
            InvalidRecordError(
                problem(
                    ProblemType.REFUSED_BY_CLUSTER, f"The cluster refused the Workflow: {why}."
                ),
                key=received.key,
                workflow=received.request.workflow,
                fingerprint=received.request.fingerprint,
                traceparent=received.traceparent,
            ),
        )

    async def _read(self, key: RunKey) -> Manifest | None:
        async def attempt() -> Manifest | None:
            try:
                return await self._workflows.get(workflow_name(key))
            except NotFoundError:
                return None

        return await self._retrying.until_clear(attempt, what="read")


def _judge_spent(spent: LedgerEntry, received: ReceivedRun) -> Verdict:
    same = spent.fingerprint == received.request.fingerprint
    return Verdict.REPLAYED if same else Verdict.REFUSED
