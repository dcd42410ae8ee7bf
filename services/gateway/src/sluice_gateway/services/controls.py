"""Pausing, draining and resuming a tenant or a workflow."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import structlog

from sluice_contracts.controls import Control, ControlState, ControlTarget
from sluice_contracts.problems import ProblemType
from sluice_contracts.records import Position
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Access, Identity, Scope
from sluice_gateway.domain.reach import ANY
from sluice_gateway.ports import ControlProducer
from sluice_gateway.services.appending import append_problems

__all__ = ["Controls", "check_control", "may_control_workflow"]

_log = structlog.get_logger(__name__)

States = Mapping[ControlTarget, Control]


class Controls:
    """Writes controls, and shows those that are in force.

    Args:
        producer: writes to the controls topic; None if there is none.
        states: the last control of each target, as far as it is read.
        unread: why not all controls are read; None if they are.
        now: the time of a control.
    """

    def __init__(
        self,
        *,
        producer: ControlProducer | None = None,
        states: Callable[[], States] = dict,
        unread: Callable[[], str | None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._producer = producer
        self._states = states
        self._unread = unread
        self._now = now

    async def put(
        self, target: ControlTarget, state: ControlState, *, reason: str | None, identity: Identity
    ) -> tuple[Control, Position]:
        """Write the control; return it, and where it stands, once Kafka has acknowledged it.

        Raises:
            ProblemError: FORBIDDEN or NOT_APPLICABLE, nothing was written; or see
                `append_problems`.
        """
        check_control(identity, target)
        if self._producer is None:
            raise ProblemError.of(
                ProblemType.NOT_APPLICABLE,
                "There is no controls topic: set kafka.controls_topic in gateway and dispatcher.",
            )
        control = Control(state=state, reason=reason, by=str(identity.principal), at=self._now())
        unknown = (
            f"Kafka did not acknowledge the control of {target} in time; it may have been written "
            "all the same. Look at GET /v1/controls, and repeat it if it is not there."
        )
        with append_problems(unknown=unknown):
            appended = await self._producer.append_control(target, control)
        _log.info("control accepted", target=str(target), state=state)
        return control, appended.position

    def seen_by(self, access: Access) -> States:
        """Return the controls of what the principal may start, read or control.

        Raises:
            ProblemError: UNAVAILABLE, they are not read yet.
        """
        if (why := self._unread()) is not None:
            raise ProblemError.of(
                ProblemType.UNAVAILABLE, f"The controls are not known yet: {why}.", retry_after=2
            )
        return {
            target: control
            for target, control in self._states().items()
            if _may_see(access, target)
        }


def check_control(identity: Identity, target: ControlTarget) -> None:
    """Refuse a control, unless `admin` is granted for every run that it concerns.

    Raises:
        ProblemError: FORBIDDEN.
    """
    is_tenant = target.kind == "tenant"
    tenant, workflow = (target.name, ANY) if is_tenant else (ANY, target.name)
    if not identity.access.allows(Scope.ADMIN, tenant=tenant, workflow=workflow):
        raise ProblemError.of(
            ProblemType.FORBIDDEN,
            f"{identity.principal} has not been granted admin for all that {target} has. Nothing "
            "was written.",
        )


def may_control_workflow(identity: Identity, name: str) -> bool:
    """Return whether `admin` is granted for all runs of the workflow."""
    return identity.access.allows(Scope.ADMIN, tenant=ANY, workflow=name)


def _may_see(access: Access, target: ControlTarget) -> bool:
    reaches = [access.reach(each) for each in (Scope.START, Scope.READ, Scope.ADMIN)]
    if target.kind == "tenant":
        return any(reach.has_tenant(target.name) for reach in reaches)
    return any(reach.has_workflow(target.name) for reach in reaches)
