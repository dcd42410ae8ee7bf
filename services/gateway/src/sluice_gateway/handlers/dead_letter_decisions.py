"""POST /v1/dead-letters/{id}/replay and drop."""

from typing import Annotated, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from sluice_contracts.audit import Verdict
from sluice_contracts.http_dead_letters import DeadLetterDocument
from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.dead_letters import Letter
from sluice_gateway.domain.identity import Scope
from sluice_gateway.handlers.app_keys import IDENTITY, LETTER_DECISIONS, TRACEPARENT
from sluice_gateway.handlers.auditing import note
from sluice_gateway.handlers.dead_letter_documents import letter_document
from sluice_gateway.handlers.dead_letters import LETTER, TAG, found_letter
from sluice_gateway.handlers.operations import Answer, Content, Operation
from sluice_gateway.handlers.optional_body import read_optional_body
from sluice_gateway.handlers.parameters import LOCATION
from sluice_gateway.handlers.representations import run_path
from sluice_gateway.handlers.request_body import admitted_body, wait_for_topics
from sluice_gateway.services.letter_decisions import Replay
from sluice_gateway.services.letter_reader import shows_payloads

__all__ = ["OPERATIONS"]

_Reason = Annotated[
    str | None, Field(min_length=1, max_length=1024, description="Shown with the letter.")
]


class DropBody(BaseModel):
    """Why, in your words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: _Reason = None


class ReplayBody(BaseModel):
    """Why, and what is to be written in place of the record."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    reason: _Reason = None
    value: Annotated[
        dict[str, JsonValue] | None,
        Field(
            description="A request for a run or a command, in place of the record with its key "
            "and headers. It is for the tenant of the record, if that is certain; a request for a "
            "run has no other `id` than the record."
        ),
    ] = None


async def post_replay(request: web.Request) -> web.Response:
    """Write the request of a dead letter."""
    letter = found_letter(request)
    async with admitted_body(request) as pieces:
        body = await read_optional_body(request, pieces, ReplayBody)
        _wait_for_topics_of(request, letter)
        decided, key = await request.app[LETTER_DECISIONS].replay(
            letter,
            Replay(
                identity=request[IDENTITY],
                traceparent=request[TRACEPARENT],
                reason=body.reason,
                value=body.value,
            ),
        )
    note(request, Verdict.ACCEPTED, key=key, dead_letter=str(letter.id))
    return _decided(request, decided, headers={"Location": run_path(key)})


async def post_drop(request: web.Request) -> web.Response:
    """Note that nobody needs a dead letter."""
    letter = found_letter(request)
    async with admitted_body(request) as pieces:
        body = await read_optional_body(request, pieces, DropBody)
        _wait_for_topics_of(request, letter)
        decided = await request.app[LETTER_DECISIONS].drop(
            letter, reason=body.reason, identity=request[IDENTITY]
        )
    note(request, Verdict.ACCEPTED, tenant=letter.tenant, dead_letter=str(letter.id))
    return _decided(request, decided, headers={})


def _wait_for_topics_of(request: web.Request, letter: Letter) -> None:
    """Hold a place among those that wait for the topics on which the letter's request stood."""
    # All that it may concern have the same topics.
    wait_for_topics(request, min(letter.tenants), Scope.DLQ)


def _decided(request: web.Request, letter: Letter, *, headers: dict[str, str]) -> web.Response:
    payloads = shows_payloads(letter, request[IDENTITY].access)
    document = letter_document(letter, payloads=payloads)
    return web.json_response(text=document.model_dump_json(), status=202, headers=headers)


OPERATIONS: Final = (
    Operation(
        id="replayDeadLetter",
        method="POST",
        path="/v1/dead-letters/{id}/replay",
        handler=post_replay,
        scopes=(Scope.DLQ,),
        tag=TAG,
        summary="Start the run of a dead letter, or carry out its command.",
        description="It is a request of yours, and needs `runs:start` or `runs:command`. The run "
        "has an id of its own, which is the same however often the letter is replayed, and with "
        "whatever value.",
        path_parameters=(LETTER,),
        body=(Content(model=ReplayBody),),
        body_required=False,
        answers=(
            Answer(
                status=202,
                description="Every in-sync replica of Kafka has the request, and that the letter "
                "is replayed.",
                content=(Content(model=DeadLetterDocument),),
                headers=(LOCATION,),
            ),
        ),
        problems=(
            ProblemType.MALFORMED_JSON,
            ProblemType.MALFORMED_EVENT,
            ProblemType.EMPTY_RECORD,
            ProblemType.NOT_FOUND,
            ProblemType.NOT_APPLICABLE,
            ProblemType.TOO_LARGE,
            ProblemType.FOREIGN_TENANT,
            ProblemType.UNKNOWN_WORKFLOW,
            ProblemType.INVALID_PARAMETERS,
            ProblemType.EXPIRED,
            ProblemType.ID_CONFLICT,
            ProblemType.UNKNOWN_RUN,
            ProblemType.RATE_LIMITED,
            ProblemType.OUTCOME_UNKNOWN,
        ),
    ),
    Operation(
        id="dropDeadLetter",
        method="POST",
        path="/v1/dead-letters/{id}/drop",
        handler=post_drop,
        scopes=(Scope.DLQ,),
        tag=TAG,
        summary="Note that nobody needs a dead letter.",
        description="It stays on its topic for as long as that keeps records.",
        path_parameters=(LETTER,),
        body=(Content(model=DropBody),),
        body_required=False,
        answers=(
            Answer(
                status=202,
                description="Every in-sync replica of Kafka has the decision.",
                content=(Content(model=DeadLetterDocument),),
            ),
        ),
        problems=(
            ProblemType.MALFORMED_JSON,
            ProblemType.NOT_FOUND,
            ProblemType.NOT_APPLICABLE,
            ProblemType.TOO_LARGE,
            ProblemType.OUTCOME_UNKNOWN,
        ),
    ),
)
