"""GET /v1/identity: who asks, and what they may do somewhere."""

from typing import Annotated, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from sluice_gateway.domain.identity import PrincipalKind, Scope
from sluice_gateway.handlers.app_keys import IDENTITY
from sluice_gateway.handlers.json_answers import NOT_MODIFIED, send_json
from sluice_gateway.handlers.operations import Answer, Content, Operation
from sluice_gateway.handlers.parameters import ETAG, IF_NONE_MATCH

__all__ = ["OPERATIONS"]


class IdentityDocument(BaseModel):
    """Who asks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    principal: Annotated[str, Field(description="As grants name it, e.g. `user:ada`.")]
    kind: PrincipalKind
    scopes: Annotated[
        tuple[Scope, ...],
        Field(description="What it may do to some run at least; grants say to which."),
    ]


async def get_identity(request: web.Request) -> web.StreamResponse:
    """Say who asks."""
    identity = request[IDENTITY]
    document = IdentityDocument(
        principal=str(identity.principal),
        kind=identity.principal.kind,
        scopes=tuple(each for each in Scope if identity.access.allows_somewhere(each)),
    )
    return await send_json(request, document.model_dump(mode="json"))


OPERATIONS: Final = (
    Operation(
        id="getIdentity",
        method="GET",
        path="/v1/identity",
        handler=get_identity,
        scopes=tuple(Scope),
        tag="about",
        summary="Say who asks, and what they may do.",
        headers=(IF_NONE_MATCH,),
        answers=(
            Answer(
                status=200,
                description="The principal.",
                content=(Content(model=IdentityDocument),),
                headers=(ETAG,),
            ),
            NOT_MODIFIED,
        ),
    ),
)
