"""POST /v1/runs:batch: many runs in one request, with a verdict for each."""

from typing import Annotated, Final

from aiohttp import web
from pydantic import Field

from sluice_contracts.http_lists import ItemDocument, ItemsDocument
from sluice_contracts.problems import ProblemType
from sluice_contracts.requests import RunRequest
from sluice_contracts.status import Phase
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Identity, Scope
from sluice_gateway.handlers.app_keys import BATCHES, IDENTITY, LOOP_SHARE, TRACEPARENT
from sluice_gateway.handlers.auditing import note
from sluice_gateway.handlers.batch_bodies import MAX_ITEMS, event_batch, line_batch
from sluice_gateway.handlers.client_address import client_address
from sluice_gateway.handlers.cloudevents import BATCH, RunEvent
from sluice_gateway.handlers.item_answers import SOME_FAILED, item, items_response
from sluice_gateway.handlers.operations import NDJSON, Answer, Content, Operation
from sluice_gateway.handlers.request_body import admitted_body, wait_for_topics
from sluice_gateway.handlers.run_answers import note_start
from sluice_gateway.handlers.run_requests import ReadRequest, read_in_steps
from sluice_gateway.services.batches import ItemVerdict
from sluice_gateway.services.submission import Asked, Started

__all__ = ["OPERATIONS"]


async def post_batch(request: web.Request) -> web.Response:
    """Start the runs that a batch asks for."""
    async with admitted_body(request) as pieces:
        steps = event_batch(pieces) if request.content_type == BATCH else line_batch(pieces)
        peer, loop_share = client_address(request), request.app[LOOP_SHARE]
        items = await read_in_steps(steps, pieces, peer=peer, loop_share=loop_share)
        verdicts = await request.app[BATCHES].submit(
            [_asked(each, request) if isinstance(each, ReadRequest) else each for each in items],
            wait_for=lambda tenant: wait_for_topics(request, tenant, Scope.START),
        )
    for each in verdicts:
        _note(request, each)
    errors = [each.result for each in verdicts if isinstance(each.result, ProblemError)]
    documents = [_document(each, request[IDENTITY]) for each in verdicts]
    return items_response(documents, all_well=200, errors=errors)


def _asked(read: ReadRequest, request: web.Request) -> Asked:
    return Asked(
        request=read.request,
        content=read.content,
        idempotency_key=None,
        derived_id=read.derived_id,
        traceparent=request[TRACEPARENT],
        identity=request[IDENTITY],
    )


def _note(request: web.Request, verdict: ItemVerdict) -> None:
    result = verdict.result
    if isinstance(result, ProblemError):
        note(request, result, key=verdict.key, workflow=verdict.workflow)
    else:
        note_start(request, result)


def _document(verdict: ItemVerdict, identity: Identity) -> ItemDocument:
    key, result = verdict.key, verdict.result
    if isinstance(result, ProblemError):
        return item(key, status=result.problem.status, error=result)
    if isinstance(result, Started):
        return item(key, status=202, phase=Phase.ACCEPTED)
    state = result.state
    if not identity.access.allows_for_run(Scope.READ, state.key, workflow=state.workflow):
        # As of a single start: without `runs:read` it is accepted, and no more is said.
        return item(key, status=202, phase=Phase.ACCEPTED)
    return item(key, status=200, phase=state.phase)


OPERATIONS: Final = (
    Operation(
        id="startRuns",
        method="POST",
        path="/v1/runs:batch",
        handler=post_batch,
        scopes=(Scope.START,),
        summary="Start many runs.",
        description=f"At most {MAX_ITEMS} items, each with a verdict of its own: an item that is "
        "refused does not keep the others from starting. Repeat those that have a problem of 429 "
        "or 503, with their ids.",
        body=(
            Content(
                media_type=BATCH,
                model=Annotated[tuple[RunEvent, ...], Field(min_length=1, max_length=MAX_ITEMS)],
            ),
            Content(media_type=NDJSON, model=RunRequest),
        ),
        answers=(
            Answer(
                status=200,
                description="Every item is accepted, or was accepted before.",
                content=(Content(model=ItemsDocument),),
            ),
            SOME_FAILED,
        ),
        problems=(
            ProblemType.MALFORMED_JSON,
            ProblemType.TOO_LARGE,
            ProblemType.INVALID_REQUEST,
        ),
    ),
)
