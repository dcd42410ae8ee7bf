"""From a request to exactly one Workflow or one outcome, however often it is delivered."""

from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

import structlog

from sluice_argo.ownership import is_run
from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemCause, ProblemType, problem
from sluice_contracts.request_codec import InvalidRecordError, ReceivedRun
from sluice_dispatcher.domain.models import LedgerEntry, Manifest
from sluice_dispatcher.domain.verdict import IS_WORKFLOW, Verdict, verdict_of_used_id
from sluice_dispatcher.domain.wait_reason import MustWaitError, WaitReason
from sluice_dispatcher.domain.workflow_builder import WorkflowBuilder, invalid_run
from sluice_dispatcher.ports import Ledger
from sluice_dispatcher.services.admission import Admission
from sluice_dispatcher.services.bounded_calls import BoundedCalls
from sluice_dispatcher.services.conclusion import Conclusion
from sluice_dispatcher.services.queued_runs import QueuedRun
from sluice_dispatcher.services.run_workflows import RunWorkflows
from sluice_dispatcher.services.slots import SlotAnswer, Slots
from sluice_runtime.kubernetes.errors import (
    AlreadyExistsError,
    ApiError,
    ApiUnavailableError,
    NotFoundError,
    RefusedError,
)

__all__ = ["WorkflowSubmission"]

_log = structlog.get_logger(__name__)

_DENIALS: Final = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
_NO_ROOM: Final = {
    SlotAnswer.FULL: (
        "As many runs of its key as the workflow allows were live. Send it later with another id.",
        ProblemCause.CONCURRENCY_LIMIT,
    ),
    SlotAnswer.REPLACED: (
        "A newer run of its key has replaced it before it was started.",
        ProblemCause.REPLACED,
    ),
}


class _ForbiddenError(Exception):
    """The cluster forbids a create until an operator changes that; it had no effect."""


class WorkflowSubmission:
    """Creates the Workflow of a request, or publishes why there is none.

    Args:
        freshness: how old an answer of the ledger may be when a create is sent.
        longest_create: after this time, no create that was sent can still take effect.
        clock: seconds, also while the process or the machine is suspended.
    """

    def __init__(
        self,
        *,
        builder: WorkflowBuilder,
        workflows: RunWorkflows,
        ledger: Ledger,
        conclusion: Conclusion,
        calls: BoundedCalls,
        admission: Admission,
        slots: Slots,
        now: Callable[[], datetime],
        freshness: timedelta,
        longest_create: timedelta,
        clock: Callable[[], float],
    ) -> None:
        self._builder = builder
        self._workflows = workflows
        self._ledger = ledger
        self._conclusion = conclusion
        self._calls = calls
        self._admission = admission
        self._slots = slots
        self._now = now
        self._freshness = freshness.total_seconds()
        self._longest_create = longest_create
        self._clock = clock

    async def submit(self, queued: QueuedRun) -> Verdict:
        """Start the run of a valid request, unless its id was used before or it is stopped."""
        record, received = queued.record, queued.received
        # `_create` asks again: this lookup spares replays the build and the wait for a slot.
        entry = await self._ledger.get(received.key)
        if entry is not None:
            return await self._conclusion.finish(queued, verdict_of_used_id(entry, received))
        try:
            manifest = self._builder.build(received, record=record)
        except InvalidRecordError as e:
            return await self._conclusion.reject(record, e)
        started = await queued.unless_stopped(lambda: self._start(queued, manifest))
        match started:
            case None:
                decided = await self._calls.run(lambda: self._cancel(queued), name="cancel")
                verdict = await self._conclusion.finish(queued, decided)
            case SlotAnswer():
                verdict = await self._conclusion.finish(
                    queued, await self._cancel_for(started, queued)
                )
            case _:
                verdict = await self._conclusion.finish(queued, started)
        if queued.slot is not None and verdict not in IS_WORKFLOW:
            await self._slots.leave(received.key, queued.slot)
        return verdict

    async def _start(
        self, queued: QueuedRun, manifest: Manifest
    ) -> Verdict | RefusedError | SlotAnswer:
        """Create the Workflow once limits allow it; a run that is one already need not wait."""
        received = queued.received
        if self._admission.knows(received.key):
            found = await self._calls.run(lambda: self._verdict_of_existing(received), name="read")
            if found is not None:
                return found
        if (slot := self._builder.slot_of(received)) is not None:
            await self._admission.wait_unpaused(queued)
            answer = await self._slots.take(queued, slot)
            match answer:
                case SlotAnswer.TAKEN:
                    queued.slot = slot
                case SlotAnswer.EXISTS:
                    return await self._start(queued, manifest)
                case SlotAnswer.EXPIRED:
                    return await self._calls.run(lambda: self._expire(received), name="expire")
                case SlotAnswer.FULL | SlotAnswer.REPLACED:
                    return answer

        async def create() -> Verdict | RefusedError:
            return await self._calls.run(lambda: self._create(queued, manifest), name="create")

        # Whatever is forbidden must not keep a place among the live runs from others.
        return await self._calls.repeat(
            lambda: self._admission.start(queued, create),
            on=_ForbiddenError,
            reason=WaitReason.FORBIDDEN,
            name="create",
        )

    async def _cancel_for(
        self, answer: SlotAnswer, queued: QueuedRun
    ) -> Verdict | InvalidRecordError:
        """Return why a run of a key that has no room ends, unless it is a Workflow already."""
        verdict = await self._calls.run(lambda: self._cancel(queued), name="cancel")
        if verdict is not Verdict.CANCELLED:
            return verdict
        detail, cause = _NO_ROOM[answer]
        return invalid_run(queued.received, problem(ProblemType.CANCELLED, detail, cause=cause))

    async def _create(self, queued: QueuedRun, manifest: Manifest) -> Verdict | RefusedError:
        """Try once to create by name; return the verdict, whichever delivery created it.

        Nothing may wait between the ledger's answer and the create. The status-watcher keeps a
        finished Workflow only for a limited time, for creates decided without its outcome.
        """
        received = queued.received
        used = await self._verdict_of_use(received)
        if used is not None:
            return used
        if received.request.has_expired(self._now()):
            return await self._expire(received)
        try:
            await self._send(queued, manifest)
        except AlreadyExistsError:
            found = await self._verdict_of_existing(received)
            if found is None:
                raise ApiUnavailableError("The Workflow was deleted before it was read.") from None
            return found
        except RefusedError as e:
            return e
        except ApiUnavailableError as e:
            # It may have been created all the same: read before writing again.
            found = await self._verdict_of_existing(received)
            if found is not None:
                return found
            self._raise_if_forbidden(e)
            raise
        except ApiError as e:
            # A missing namespace, a quota being changed: not the fault of the request.
            self._raise_if_forbidden(e)
            raise ApiUnavailableError(str(e)) from e
        return Verdict.CREATED

    def _raise_if_forbidden(self, error: ApiError | ApiUnavailableError) -> None:
        if self._admission.is_counting and error.status in _DENIALS:
            raise _ForbiddenError(str(error)) from error

    async def _send(self, queued: QueuedRun, manifest: Manifest) -> None:
        with queued.sending() as not_carried_out:
            try:
                await self._workflows.create(manifest)
            except ApiError:
                not_carried_out()
                raise
            except ApiUnavailableError as e:
                if e.status is not None and _excludes_effect(e.status):
                    not_carried_out()
                raise

    async def _cancel(self, queued: QueuedRun) -> Verdict:
        """Return the verdict on a request that is to be stopped.

        Another delivery or an earlier attempt may have started the run: the command then stops its
        Workflow. As long as a create may still be carried out, nothing is decided.
        """
        entry = await self._fresh_entry(queued.received.key)
        if entry is not None:
            return verdict_of_used_id(entry, queued.received)
        # Before the read: a create must not be carried out between the two.
        is_possible = queued.create_is_possible(longest=self._longest_create)
        found = await self._verdict_of_existing(queued.received)
        if found is None and is_possible:
            raise MustWaitError(
                "A create that was sent before the stop may still be carried out.",
                reason=WaitReason.LATE_CREATE,
            )
        return found or Verdict.CANCELLED

    async def _expire(self, received: ReceivedRun) -> Verdict:
        """Return the verdict on a request whose `expires_at` has passed.

        Another delivery or an earlier attempt may have started it in time. A create that was sent
        in time may also still take effect.
        """
        found = await self._verdict_of_existing(received)
        certain_at = self._now() - self._longest_create
        if found is None and not received.request.has_expired(certain_at):
            raise MustWaitError(
                "A create that was sent before expires_at may still be carried out.",
                reason=WaitReason.LATE_CREATE,
            )
        return found or Verdict.EXPIRED

    async def _verdict_of_use(self, received: ReceivedRun) -> Verdict | None:
        """Return the verdict on an id that was used before; None if a create may be sent now.

        A create finds out by itself that its namespace has the name. The ledger is asked last.
        """
        former = await self._workflows.get_former(received.key)
        if former is not None:
            return _verdict_of(former, received)
        entry = await self._fresh_entry(received.key)
        return None if entry is None else verdict_of_used_id(entry, received)

    async def _fresh_entry(self, key: RunKey) -> LedgerEntry | None:
        """Ask the ledger, and again if the process was suspended before it read the answer."""
        while True:
            asked = self._clock()
            entry = await self._ledger.get(key)
            if entry is not None or self._clock() - asked <= self._freshness:
                return entry

    async def _verdict_of_existing(self, received: ReceivedRun) -> Verdict | None:
        """Return the verdict by the Workflow of the run's name; None if there never was one."""
        try:
            existing = await self._workflows.get(received.key)
        except NotFoundError:
            entry = await self._ledger.get(received.key)
            return None if entry is None else verdict_of_used_id(entry, received)
        return _verdict_of(existing, received)


def _verdict_of(existing: Manifest, received: ReceivedRun) -> Verdict:
    same = is_run(existing, received.key, fingerprint=received.request.fingerprint)
    return Verdict.SAME_RUN if same else Verdict.REFUSED


def _excludes_effect(status: int) -> bool:
    """Return whether an HTTP status says that nothing was created; 5xx and a timeout do not."""
    return HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and (
        status != HTTPStatus.REQUEST_TIMEOUT
    )
