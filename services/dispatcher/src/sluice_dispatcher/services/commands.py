"""Carrying out commands on runs that exist."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial

from sluice_argo.ownership import belongs_to
from sluice_argo.status_nodes import has_many_nodes
from sluice_contracts.ids import workflow_name
from sluice_contracts.problems import Problem, ProblemType, problem
from sluice_contracts.records import IncomingRecord
from sluice_contracts.request_codec import ReceivedCommand
from sluice_dispatcher.domain.command_patch import (
    NotApplicableError,
    NotYetToldError,
    change,
    was_applied,
)
from sluice_dispatcher.domain.models import Manifest
from sluice_dispatcher.domain.verdict import Verdict
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.ports import Ledger, Workflows
from sluice_dispatcher.services.bounded_calls import NotYetError, Retrying
from sluice_dispatcher.services.rejection import TurningAway
from sluice_runtime.kubernetes.errors import (
    ApiError,
    ApiUnavailableError,
    ConflictError,
    NotFoundError,
    RefusedError,
)

__all__ = ["Commanding"]


class Commanding:
    """Reads a run's Workflow, changes it, and reads again if it changed meanwhile."""

    def __init__(
        self,
        *,
        workflows: Workflows,
        ledger: Ledger,
        turning_away: TurningAway,
        retrying: Retrying,
        now: Callable[[], datetime],
    ) -> None:
        self._workflows = workflows
        self._ledger = ledger
        self._turning_away = turning_away
        self._retrying = retrying
        self._now = now

    async def command(self, record: IncomingRecord, received: ReceivedCommand) -> Verdict:
        """Carry out one command, exactly once however often it is delivered."""
        why_not = await self._retrying.until_clear(
            lambda: self._apply(record, received), what=received.command.type
        )
        if why_not is None:
            return Verdict.APPLIED
        # A command that came too late was valid when it was sent: no dead letter.
        valid = why_not.type is ProblemType.NOT_APPLICABLE
        turn_away = self._turning_away.notify if valid else self._turning_away.refuse
        await turn_away(record, why_not, key=received.key, traceparent=received.traceparent)
        return Verdict.REFUSED

    async def _apply(self, record: IncomingRecord, received: ReceivedCommand) -> Problem | None:
        """Try once; give the problem that no repetition would solve, None if it is done."""
        name = workflow_name(received.key)
        try:
            workflow = await self._workflows.get(name)
            if not belongs_to(workflow, received.key):
                return _unknown(received)
            if was_applied(workflow, record):
                return None
            operations = await self._change(workflow, record, received)
            await self._workflows.patch(name, operations)
        except NotFoundError:
            return await self._absent(received)
        except NotApplicableError as e:
            return problem(ProblemType.NOT_APPLICABLE, str(e))
        except NotYetToldError as e:
            raise NotYetError(str(e), reason=WaitReason.STATUS_WATCHER) from e
        except ConflictError as e:
            raise ApiUnavailableError("The Workflow changed while it was being changed.") from e
        except RefusedError as e:
            why = f"The cluster refused the change: {e.status} {e.reason}."
            return problem(ProblemType.REFUSED_BY_CLUSTER, why)
        except ApiError as e:
            raise ApiUnavailableError(str(e)) from e
        return None

    async def _change(
        self, workflow: Manifest, record: IncomingRecord, received: ReceivedCommand
    ) -> list[Manifest]:
        """Compute the change; of many nodes in a thread, for it takes up to some seconds."""
        compute = partial(change, workflow, received.command.type, record=record, now=self._now())
        return await asyncio.to_thread(compute) if has_many_nodes(workflow) else compute()

    async def _absent(self, received: ReceivedCommand) -> Problem:
        outcome = await self._ledger.find(received.key)
        if outcome is None:
            return _unknown(received)
        return problem(
            ProblemType.NOT_APPLICABLE,
            f"The run has ended as {outcome.phase}, and its Workflow is gone.",
        )


def _unknown(received: ReceivedCommand) -> Problem:
    return problem(
        ProblemType.UNKNOWN_RUN,
        f"There is no run {received.key.run_id!r} of tenant {received.key.tenant!r}.",
    )
