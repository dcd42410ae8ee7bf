"""GET /v1/dead-letters, and one of them."""

from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import BaseModel, Field, StringConstraints

from sluice_contracts.http_dead_letters import (
    LETTER_ID,
    DeadLetterContentDocument,
    DeadLetterListDocument,
    LetterState,
)
from sluice_contracts.ids import Tenant
from sluice_contracts.problems import ProblemType
from sluice_contracts.requests import Rfc3339
from sluice_gateway.domain.dead_letters import (
    Letter,
    LetterFilter,
    LetterId,
    LetterPlace,
)
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Scope
from sluice_gateway.domain.run_query import InvalidCursorError
from sluice_gateway.handlers.app_keys import IDENTITY, LETTERS
from sluice_gateway.handlers.auditing import about
from sluice_gateway.handlers.dead_letter_documents import content_document, letter_document
from sluice_gateway.handlers.json_answers import NOT_MODIFIED, digest_of, send_versioned
from sluice_gateway.handlers.lists import ListLinks, next_path
from sluice_gateway.handlers.operations import (
    JSON,
    Answer,
    Content,
    Operation,
    Parameter,
    QueryParameter,
)
from sluice_gateway.handlers.parameters import ETAG, IF_NONE_MATCH
from sluice_gateway.services.letter_reader import shows_payloads

__all__ = ["LETTER", "OPERATIONS", "TAG", "found_letter"]

TAG: Final = "dead letters"

LETTER: Final = Parameter(
    name="id",
    type=Annotated[str, StringConstraints(pattern=LETTER_ID)],
    description="The id of the dead letter.",
    required=True,
)
_REASON: Final[QueryParameter[tuple[ProblemType, ...]]] = QueryParameter(
    name="reason",
    type=tuple[ProblemType, ...],
    description="One of the types of problem that are wanted.",
    repeatable=True,
    default=(),
)
_STATE: Final[QueryParameter[tuple[LetterState, ...]]] = QueryParameter(
    name="state",
    type=tuple[LetterState, ...],
    description="One of the states that are wanted.",
    repeatable=True,
    default=(),
)
_TENANT: Final[QueryParameter[str]] = QueryParameter(
    name="tenant", type=Tenant, description="Known to be a record of this tenant."
)
_SINCE: Final[QueryParameter[Any]] = QueryParameter(
    name="since", type=Rfc3339, description="Rejected at this time or later."
)
_UNTIL: Final[QueryParameter[Any]] = QueryParameter(
    name="until", type=Rfc3339, description="Rejected before this time."
)
_LIMIT: Final[QueryParameter[int]] = QueryParameter(
    name="limit",
    type=Annotated[int, Field(ge=1, le=500)],
    description="The most letters of this part.",
    default=50,
)
_CURSOR: Final[QueryParameter[str]] = QueryParameter(
    name="cursor",
    type=Annotated[str, StringConstraints(min_length=1, max_length=128)],
    description="The `next_cursor` of the part before; with the same filters.",
)


async def get_letters(request: web.Request) -> web.StreamResponse:
    """List dead letters, newest first."""
    access = request[IDENTITY].access
    page = request.app[LETTERS].page(
        LetterFilter(
            within=access.reach(Scope.DLQ),
            reasons=frozenset(_REASON.of(request)),
            states=frozenset(_STATE.of(request)),
            tenant=_TENANT.of(request),
            since=_SINCE.of(request),
            until=_UNTIL.of(request),
        ),
        before=_place(request),
        limit=_LIMIT.of(request),
    )
    cursor = str(page.next) if page.next else None
    document = DeadLetterListDocument(
        dead_letters=tuple(
            letter_document(each, payloads=shows_payloads(each, access)) for each in page.letters
        ),
        behind=tuple(each.name for each in request.app[LETTERS].behind(access.reach(Scope.DLQ))),
        next_cursor=cursor,
        links=ListLinks(next=next_path(request, cursor) if cursor else None),
    )
    return await _send(request, document)


async def get_letter(request: web.Request) -> web.StreamResponse:
    """Show a dead letter."""
    letter = found_letter(request)
    content = await request.app[LETTERS].content(letter)
    payloads = shows_payloads(letter, request[IDENTITY].access)
    return await _send(request, content_document(letter, content, payloads=payloads))


def found_letter(request: web.Request) -> Letter:
    """Return the letter that the path names; the audit says that the request is about it.

    Raises:
        ProblemError: NOT_FOUND or UNAVAILABLE.
    """
    try:
        letter_id = LetterId.parse(request.match_info["id"])
    except ValueError as e:
        raise ProblemError.of(ProblemType.NOT_FOUND, str(e)) from e
    about(request, dead_letter=str(letter_id))
    letter = request.app[LETTERS].find(letter_id, request[IDENTITY].access)
    about(request, tenant=letter.tenant, dead_letter=str(letter_id))
    return letter


async def _send(request: web.Request, document: BaseModel) -> web.StreamResponse:
    body = document.model_dump_json().encode()
    return await send_versioned(request, body, version=digest_of(body), media_type=JSON)


def _place(request: web.Request) -> LetterPlace | None:
    cursor = _CURSOR.of(request)
    if cursor is None:
        return None
    try:
        return LetterPlace.parse(cursor)
    except InvalidCursorError as e:
        raise ProblemError.of(ProblemType.INVALID_REQUEST, str(e)) from e


OPERATIONS: Final = (
    Operation(
        id="listDeadLetters",
        method="GET",
        path="/v1/dead-letters",
        handler=get_letters,
        scopes=(Scope.DLQ,),
        tag=TAG,
        summary="List the newest records that can never be valid.",
        query=(_REASON, _STATE, _TENANT, _SINCE, _UNTIL, _LIMIT, _CURSOR),
        headers=(IF_NONE_MATCH,),
        answers=(
            Answer(
                status=200,
                description="A part of the list.",
                content=(Content(model=DeadLetterListDocument),),
                headers=(ETAG,),
            ),
            NOT_MODIFIED,
        ),
    ),
    Operation(
        id="getDeadLetter",
        method="GET",
        path="/v1/dead-letters/{id}",
        handler=get_letter,
        scopes=(Scope.DLQ,),
        tag=TAG,
        summary="Show a dead letter, with what it holds.",
        path_parameters=(LETTER,),
        headers=(IF_NONE_MATCH,),
        answers=(
            Answer(
                status=200,
                description="The letter.",
                content=(Content(model=DeadLetterContentDocument),),
                headers=(ETAG,),
            ),
            NOT_MODIFIED,
        ),
        problems=(ProblemType.NOT_FOUND,),
    ),
)
