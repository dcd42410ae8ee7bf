"""POST /v1/runs/{id}/rerun: the same once more, as a new run."""

import time
from typing import Annotated, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from sluice_contracts.ids import RunId
from sluice_contracts.labels import Labels
from sluice_contracts.problems import ProblemType, field_errors
from sluice_contracts.requests import InvalidRequestError, Priority, Rfc3339
from sluice_gateway.domain.identity import Scope
from sluice_gateway.domain.models import RunState
from sluice_gateway.domain.reruns import rerun_request
from sluice_gateway.handlers.app_keys import (
    IDENTITY,
    LOOP_SHARE,
    METRICS,
    READER,
    SUBMISSION,
    TRACEPARENT,
)
from sluice_gateway.handlers.auditing import about, about_start
from sluice_gateway.handlers.client_address import client_address
from sluice_gateway.handlers.operations import Content, Operation
from sluice_gateway.handlers.parameters import (
    IDEMPOTENCY_KEY,
    RUN_ID,
    TENANT,
    idempotency_key,
    run_key,
)
from sluice_gateway.handlers.preferences import PREFER
from sluice_gateway.handlers.request_body import admitted_body, wait_for_topics
from sluice_gateway.handlers.run_answers import (
    ACCEPTED,
    REPLAYED_OR_OVER,
    note_start,
    send_start,
)
from sluice_gateway.handlers.run_requests import (
    ReadRequest,
    Steps,
    document_problems,
    read_body,
)
from sluice_gateway.services.submission import Asked, Started

__all__ = ["OPERATIONS"]


class RerunBody(BaseModel):
    """What differs from the run that is run again."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    id: Annotated[
        RunId | None, Field(description="Identifies the new run; without it, an id is made.")
    ] = None
    parameters: Annotated[
        dict[str, JsonValue], Field(description="Replace the run's values of the same name.")
    ] = {}
    labels: Annotated[Labels, Field(description="Replace the run's labels of the same name.")] = {}
    priority: Annotated[Priority | None, Field(description="Without it, that of the run.")] = None
    expires_at: Annotated[
        Rfc3339 | None,
        Field(description="The new run ends as Expired if it has not started by this time."),
    ] = None


async def post_rerun(request: web.Request) -> web.StreamResponse:
    """Start a run with the parameters of another one, as its child."""
    run_id = idempotency_key(request)
    key = run_key(request)
    about(request, key)
    began = time.perf_counter()
    async with admitted_body(request) as pieces:
        state = await request.app[READER].state(key, request[IDENTITY].access)
        # Even without a body: what is encoded are the parameters of the run.
        read = await request.app[LOOP_SHARE].run(client_address(request), _steps(pieces, state))
        about_start(request, read, stated=run_id)
        asked = Asked(
            request=read.request,
            content=read.content,
            idempotency_key=run_id,
            traceparent=request[TRACEPARENT],
            identity=request[IDENTITY],
        )
        wait_for_topics(request, read.request.tenant, Scope.START)
        answer = await request.app[SUBMISSION].submit(asked)
    note_start(request, answer)
    if isinstance(answer, Started):
        request.app[METRICS].accept_seconds.observe(time.perf_counter() - began)
    return await send_start(request, answer)


def _steps(pieces: list[bytes], run: RunState) -> Steps[ReadRequest]:
    document: JsonValue = (yield from read_body(pieces)) if pieces else {}
    yield
    with document_problems():
        try:
            body = RerunBody.model_validate(document)
        except ValidationError as e:
            raise InvalidRequestError(field_errors(e)) from e
        request = rerun_request(
            run,
            run_id=body.id,
            parameters=body.parameters,
            labels=body.labels,
            priority=body.priority,
            expires_at=body.expires_at,
        )
    yield
    return ReadRequest(request=request, content=request.content(), derived_id=None)


OPERATIONS: Final = (
    Operation(
        id="rerunRun",
        method="POST",
        path="/v1/runs/{id}/rerun",
        handler=post_rerun,
        scopes=(Scope.START,),
        summary="Run the same once more, as a new run.",
        description="The new run is answered as one of `POST /v1/runs`, and has the other one as "
        "its `parent`. It needs the parameters of that run, which are not kept if private.",
        path_parameters=(RUN_ID,),
        query=(TENANT,),
        headers=(IDEMPOTENCY_KEY, PREFER),
        body=(Content(model=RerunBody),),
        body_required=False,
        answers=(ACCEPTED, REPLAYED_OR_OVER),
        problems=(
            ProblemType.MALFORMED_JSON,
            ProblemType.UNKNOWN_RUN,
            ProblemType.NOT_APPLICABLE,
            ProblemType.ID_CONFLICT,
            ProblemType.TOO_LARGE,
            ProblemType.UNKNOWN_WORKFLOW,
            ProblemType.INVALID_PARAMETERS,
            ProblemType.EXPIRED,
            ProblemType.IDEMPOTENCY_KEY_REUSED,
            ProblemType.OUTCOME_UNKNOWN,
        ),
    ),
)
