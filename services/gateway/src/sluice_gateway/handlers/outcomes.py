"""GET /v1/runs/{id}/outcome: the state of a run once it is over, or after a while."""

from typing import Final

from aiohttp import web

from sluice_contracts.http_documents import RunDocument
from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.identity import Scope
from sluice_gateway.handlers.auditing import about
from sluice_gateway.handlers.operations import Answer, Content, Operation
from sluice_gateway.handlers.parameters import (
    ETAG,
    IF_NONE_MATCH,
    RETRY_AFTER,
    RUN_ID,
    TENANT,
    run_key,
)
from sluice_gateway.handlers.preferences import WAIT
from sluice_gateway.handlers.run_answers import await_outcome, send_known_state

__all__ = ["OPERATIONS"]


async def get_outcome(request: web.Request) -> web.StreamResponse:
    """Return 200 with the outcome, or 202 with the latest state if there is none in time."""
    key = run_key(request)
    about(request, key)
    state = await await_outcome(request, key, within=WAIT.of(request))
    return await send_known_state(request, state, status=200 if state.terminal else 202)


OPERATIONS: Final = (
    Operation(
        id="getOutcome",
        method="GET",
        path="/v1/runs/{id}/outcome",
        handler=get_outcome,
        scopes=(Scope.READ,),
        takes_watch_links=True,
        summary="Wait for a run's outcome.",
        description="The run goes on whether or not anybody waits. A run that is retried has no "
        "outcome until it is over again.",
        path_parameters=(RUN_ID,),
        query=(TENANT, WAIT),
        headers=(IF_NONE_MATCH,),
        answers=(
            Answer(
                status=200,
                description="The run is over; this is its terminal event.",
                content=(Content(model=RunDocument),),
                headers=(ETAG,),
            ),
            Answer(
                status=202,
                description="It is not over yet; this is its latest state.",
                content=(Content(model=RunDocument),),
                headers=(ETAG, RETRY_AFTER),
            ),
            Answer(
                status=304,
                description="After the wait, the client has the latest state.",
                headers=(ETAG, RETRY_AFTER),
            ),
        ),
        problems=(ProblemType.UNKNOWN_RUN,),
    ),
)
