"""POST /v1/runs:stop, terminate, suspend, resume and retry: commands to many runs."""

from typing import Annotated, Final

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import Field

from sluice_contracts.audit import Verdict
from sluice_contracts.http_lists import ItemDocument, ItemsDocument
from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_contracts.requests import COMMANDS, Command, CommandType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Scope
from sluice_gateway.handlers.app_keys import BULK_COMMANDS, IDENTITY, TRACEPARENT
from sluice_gateway.handlers.auditing import note
from sluice_gateway.handlers.command_documents import COMMAND_BODIES
from sluice_gateway.handlers.commands import read_command_body, to_run
from sluice_gateway.handlers.item_answers import SOME_FAILED, item, items_response
from sluice_gateway.handlers.operations import Answer, Content, Operation, QueryParameter
from sluice_gateway.handlers.request_body import admitted_body, wait_for_topics
from sluice_gateway.handlers.run_filters import FILTER, run_filter
from sluice_gateway.services.bulk_commands import MAX_BYTES, MAX_RUNS

__all__ = ["OPERATIONS"]

_EXPECT: Final[QueryParameter[int]] = QueryParameter(
    name="expect",
    type=Annotated[int, Field(ge=0, le=MAX_RUNS)],
    description="How many runs fulfil the filter; another number is refused with 412.",
    required=True,
)


def _post(kind: CommandType) -> Handler:
    async def post_commands(request: web.Request) -> web.Response:
        # The answer names the runs, so they have to be readable as well.
        query, expected = run_filter(request, Scope.COMMAND, Scope.READ), _EXPECT.of(request)
        async with admitted_body(request) as pieces:
            body_bytes = sum(map(len, pieces))
            body = await read_command_body(request, pieces, kind)

            def command_to(key: RunKey) -> Command:
                wait_for_topics(request, key.tenant, Scope.COMMAND)
                return to_run(key, kind, body)

            sent = await request.app[BULK_COMMANDS].send(
                query,
                command_to,
                body_bytes=body_bytes,
                expected=expected,
                identity=request[IDENTITY],
                traceparent=request[TRACEPARENT],
            )
        errors: list[ProblemError] = []
        items: list[ItemDocument] = []
        for each in sent:
            if isinstance(each.result, ProblemError):
                note(request, each.result, key=each.key)
                errors.append(each.result)
                items.append(item(each.key, status=202, error=each.result))
            else:
                note(request, Verdict.ACCEPTED, key=each.key)
                items.append(item(each.key, status=202, phase=each.result.phase))
        return items_response(items, all_well=202, errors=errors)

    return post_commands


def _operation(kind: CommandType) -> Operation:
    return Operation(
        id=f"{kind}Runs",
        method="POST",
        path=f"/v1/runs:{kind}",
        handler=_post(kind),
        scopes=(Scope.COMMAND,),
        summary=f"{kind.capitalize()} all runs that fulfil a filter.",
        description="The filters are those of the list and the counts. Each run gets a command of "
        f"its own; at most {MAX_RUNS}. The body times `expect` has at most "
        f"{MAX_BYTES // 1024**2} MiB.",
        query=(*FILTER, _EXPECT),
        body=(Content(model=COMMAND_BODIES[kind]),),
        body_required=False,
        answers=(
            Answer(
                status=202,
                description="Every in-sync replica of Kafka has the commands.",
                content=(Content(model=ItemsDocument),),
            ),
            SOME_FAILED,
        ),
        problems=(
            ProblemType.MALFORMED_JSON,
            ProblemType.COUNT_CHANGED,
            ProblemType.TOO_LARGE,
        ),
    )


OPERATIONS: Final = tuple(_operation(kind) for kind in COMMANDS)
