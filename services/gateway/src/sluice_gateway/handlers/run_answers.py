"""Answers that show a run."""

import json
from typing import Final

from aiohttp import web

from sluice_contracts.audit import Verdict
from sluice_contracts.http_documents import AcceptedRunDocument, RunDocument
from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Scope, WatchedRun
from sluice_gateway.domain.models import RunState
from sluice_gateway.handlers.app_keys import IDENTITY, READER, RESPONSE_BUDGET, VIEW, WATCH_LINKS
from sluice_gateway.handlers.auditing import note
from sluice_gateway.handlers.client_address import client_address
from sluice_gateway.handlers.json_answers import PRIVATE, is_known
from sluice_gateway.handlers.large_responses import send_body
from sluice_gateway.handlers.operations import Answer, Content, Link
from sluice_gateway.handlers.parameters import (
    ETAG,
    IDEMPOTENCY_REPLAYED,
    LOCATION,
    RETRY_AFTER,
    optional,
)
from sluice_gateway.handlers.preferences import PREFERENCE_APPLIED, preferred_wait
from sluice_gateway.handlers.representations import accepted_document, run_path, state_document
from sluice_gateway.services.submission import Replayed, Started
from sluice_gateway.services.waiting import wait_until_over

__all__ = [
    "ACCEPTED",
    "REPLAYED_OR_OVER",
    "RUN_LINKS",
    "await_outcome",
    "note_start",
    "send_known_state",
    "send_start",
    "send_state",
]

_POLL_AGAIN_S: Final = "1"

_OF_THE_RUN: Final = {"id": "$response.body#/id", "tenant": "$response.body#/tenant"}

RUN_LINKS: Final = (
    Link(name="state", operation="getRun", parameters=_OF_THE_RUN),
    Link(name="outcome", operation="getOutcome", parameters=_OF_THE_RUN),
    Link(name="events", operation="followRun", parameters=_OF_THE_RUN),
    *(
        Link(name=command, operation=f"{command}Run", parameters=_OF_THE_RUN)
        for command in ("stop", "terminate", "suspend", "resume", "retry", "rerun")
    ),
)
"""What can be done with the run that an answer shows."""


def note_start(request: web.Request, answer: Started | Replayed) -> None:
    """Note in the audit what became of a request for a run."""
    started = isinstance(answer, Started)
    run = answer if isinstance(answer, Started) else answer.run
    verdict = Verdict.ACCEPTED if started else Verdict.REPLAYED
    note(request, verdict, key=run.key, workflow=run.workflow)


async def send_start(request: web.Request, answer: Started | Replayed) -> web.StreamResponse:
    """Show what became of a request for a run, after the wait that the client prefers.

    Without a wait 202 means started and 200 that the run was there already; after one 200 means
    that the run is over and 202 that it is not.
    """
    run = answer if isinstance(answer, Started) else answer.run
    headers = {"Location": run_path(run.key)}
    if isinstance(answer, Replayed):
        headers["Idempotency-Replayed"] = "true"
    state = answer.state if isinstance(answer, Replayed) else None
    if state is not None and not _may(request, Scope.READ, state):
        state = None
    wait = preferred_wait(request)
    if wait is not None:
        headers["Preference-Applied"] = f"wait={wait}"
        state = await _outcome(request, run.key, within=wait)
    if state is None:
        document = accepted_document(run, watch_token=_watch_token(request, run))
        return web.json_response(document, status=202, headers=headers)
    return await send_state(request, state, status=200, headers=headers)


def _watch_token(request: web.Request, run: Started) -> str | None:
    """Return a token that shows what the client itself may see of the run."""
    links, access = request.app.get(WATCH_LINKS), request[IDENTITY].access
    if links is None or not access.allows_for_run(Scope.READ, run.key, workflow=run.workflow):
        return None
    payloads = access.allows_for_run(Scope.PAYLOADS, run.key, workflow=run.workflow)
    return links.token(WatchedRun(key=run.key, workflow=run.workflow, payloads=payloads))


async def _outcome(request: web.Request, key: RunKey, *, within: float) -> RunState | None:
    try:
        state = await await_outcome(request, key, within=within)
    except ProblemError:
        # The run is accepted all the same: whether it can be read now is another question.
        return None
    return state if state.terminal else None


async def await_outcome(request: web.Request, key: RunKey, *, within: float) -> RunState:
    """Return the run's state, once it is over or after so many seconds, if it may be read.

    A wait counts as an event stream. One too many does not wait, and asks again a little later.

    Raises:
        ProblemError: UNKNOWN_RUN or UNAVAILABLE.
    """
    access = request[IDENTITY].access
    if within > 0:
        # Whether there is a run to wait for is for those to know who may read it.
        await request.app[READER].shows_payloads(key, access)
        try:
            with request.app[RESPONSE_BUDGET].stream(client_address(request)):
                await wait_until_over(request.app[VIEW], key, within=within)
        except ProblemError as e:
            if e.problem.type is not ProblemType.OVERLOADED:
                raise
    return await request.app[READER].state(key, access)


async def send_known_state(
    request: web.Request, state: RunState, *, status: int
) -> web.StreamResponse:
    """Show the run's state, or answer 304 if the client has it."""
    payloads = _may(request, Scope.PAYLOADS, state)
    if is_known(request, _version(state, payloads=payloads)):
        return web.Response(status=304, headers=_headers(state, payloads=payloads))
    return await send_state(request, state, status=status, headers={})


async def send_state(
    request: web.Request, state: RunState, *, status: int, headers: dict[str, str]
) -> web.StreamResponse:
    """Show the run's state, which may be large."""
    payloads = _may(request, Scope.PAYLOADS, state)
    body = json.dumps(state_document(state, payloads=payloads), ensure_ascii=False).encode()
    shown = _headers(state, payloads=payloads)
    headers = {"Content-Type": "application/json", **shown, **headers}
    return await send_body(request, body, status=status, headers=headers)


def _may(request: web.Request, scope: Scope, state: RunState) -> bool:
    access = request[IDENTITY].access
    return access.allows_for_run(scope, state.key, workflow=state.workflow)


def _version(state: RunState, *, payloads: bool) -> str:
    # A state without payloads is another representation.
    return state.version if payloads else f"{state.version}:redacted"


def _headers(state: RunState, *, payloads: bool) -> dict[str, str]:
    """Return the headers of a state, with or without its body."""
    version = _version(state, payloads=payloads)
    headers = {"ETag": f'"{version}"', "Cache-Control": PRIVATE}
    return headers if state.terminal else headers | {"Retry-After": _POLL_AGAIN_S}


ACCEPTED: Final = Answer(
    status=202,
    description="Every in-sync replica of Kafka has the request; a wait that was preferred has "
    "not seen the outcome.",
    content=(Content(model=AcceptedRunDocument),),
    headers=(LOCATION, optional(IDEMPOTENCY_REPLAYED), PREFERENCE_APPLIED),
    links=RUN_LINKS,
)

REPLAYED_OR_OVER: Final = Answer(
    status=200,
    description="The run was there already, with the same content; or it came to its outcome "
    "within the wait.",
    content=(Content(model=RunDocument),),
    headers=(LOCATION, optional(IDEMPOTENCY_REPLAYED), PREFERENCE_APPLIED, ETAG, RETRY_AFTER),
    links=RUN_LINKS,
)
