"""Answers to a request that has many items: a verdict for each, in their order."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from sluice_contracts.http_lists import ItemDocument, ItemsDocument
from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.handlers.operations import Answer, Content
from sluice_gateway.handlers.parameters import RETRY_AFTER
from sluice_gateway.handlers.representations import links

__all__ = ["SOME_FAILED", "item", "items_response"]

SOME_FAILED: Final = Answer(
    status=HTTPStatus.MULTI_STATUS,
    description="At least one item has a problem; each one says what became of it.",
    content=(Content(model=ItemsDocument),),
    headers=(RETRY_AFTER,),
)


def item(
    key: RunKey | None,
    *,
    status: int,
    phase: Phase | None = None,
    error: ProblemError | None = None,
) -> ItemDocument:
    """Show one item; `status` counts if there is no error."""
    return ItemDocument.model_validate(
        {
            "status": error.problem.status if error else status,
            "id": key.run_id if key else None,
            "tenant": key.tenant if key else None,
            "phase": phase,
            "problem": error.problem if error else None,
            "links": links(key) if key and not error else None,
        }
    )


def items_response(
    items: list[ItemDocument], *, all_well: int, errors: list[ProblemError]
) -> web.Response:
    """Answer with `all_well` if there are no errors, else with 207."""
    retry_after = max((each.retry_after or 0 for each in errors), default=0)
    return web.Response(
        status=HTTPStatus.MULTI_STATUS if errors else all_well,
        body=ItemsDocument(items=tuple(items)).model_dump_json().encode(),
        content_type="application/json",
        headers={"Retry-After": str(retry_after)} if retry_after else {},
    )
