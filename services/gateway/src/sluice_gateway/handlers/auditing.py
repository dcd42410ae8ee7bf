"""Notes in the audit what a request was about, and what came of it."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from sluice_contracts.audit import Verdict
from sluice_contracts.ids import RunKey
from sluice_contracts.tracing import trace_id
from sluice_gateway.domain.errors import HiddenRunError, ProblemError
from sluice_gateway.handlers.app_keys import AUDIT, IDENTITY, TRACEPARENT
from sluice_gateway.handlers.operations import OPERATION
from sluice_gateway.handlers.run_requests import ReadRequest

__all__ = ["about", "about_start", "note", "note_refusal"]


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """What a request is about, as far as it is known."""

    key: RunKey | None = None
    tenant: str | None = None
    workflow: str | None = None
    dead_letter: str | None = None


_NOTHING: Final = _Subject()
_SUBJECT: Final = web.RequestKey("audit_subject", _Subject)
_ACCESS: Final = (401, 403)


def about(
    request: web.Request,
    key: RunKey | None = None,
    *,
    tenant: str | None = None,
    workflow: str | None = None,
    dead_letter: str | None = None,
) -> None:
    """Say what the request is about, before it may be refused."""
    request[_SUBJECT] = _Subject(key=key, tenant=tenant, workflow=workflow, dead_letter=dead_letter)


def about_start(request: web.Request, read: ReadRequest, *, stated: str | None) -> None:
    """Say which run is asked for; `stated` is the id of a header."""
    asked = read.request
    run_id = stated or asked.id or read.derived_id
    key = None if run_id is None else RunKey(asked.tenant, run_id)
    about(request, key, tenant=asked.tenant, workflow=asked.workflow)


def note(
    request: web.Request,
    result: Verdict | ProblemError,
    *,
    key: RunKey | None = None,
    tenant: str | None = None,
    workflow: str | None = None,
    dead_letter: str | None = None,
) -> None:
    """Note what came of the request, or of one of its items."""
    identity = request.get(IDENTITY)
    request.app[AUDIT].note(
        None if identity is None else identity.principal,
        request[OPERATION].id,
        result,
        key=key,
        tenant=tenant,
        workflow=workflow,
        dead_letter=dead_letter,
        trace_id=trace_id(request.get(TRACEPARENT)),
    )


def note_refusal(request: web.Request, error: ProblemError) -> None:
    """Note that the request was refused: of one that only reads, if access was the reason."""
    reads = request.method in ("GET", "HEAD")
    if reads and error.problem.status not in _ACCESS and not isinstance(error, HiddenRunError):
        return
    subject = request.get(_SUBJECT, _NOTHING)
    note(
        request,
        error,
        key=subject.key,
        tenant=subject.tenant,
        workflow=subject.workflow,
        dead_letter=subject.dead_letter,
    )
