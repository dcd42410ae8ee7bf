"""POST /v1/runs/{id}/stop, terminate, suspend, resume and retry."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel

from sluice_contracts.audit import Verdict
from sluice_contracts.http_documents import AcceptedCommandDocument
from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_contracts.requests import Command, CommandType
from sluice_gateway.domain.identity import Scope
from sluice_gateway.handlers.app_keys import COMMANDS, IDENTITY, TRACEPARENT
from sluice_gateway.handlers.auditing import about, note
from sluice_gateway.handlers.command_documents import (
    COMMAND_BODIES,
    COMMAND_MODELS,
)
from sluice_gateway.handlers.operations import Answer, Content, Operation
from sluice_gateway.handlers.optional_body import read_optional_body
from sluice_gateway.handlers.parameters import LOCATION, RUN_ID, TENANT, run_key
from sluice_gateway.handlers.representations import command_document, run_path
from sluice_gateway.handlers.request_body import admitted_body, wait_for_topics

__all__ = ["OPERATIONS", "read_command_body", "to_run"]

_SUMMARIES: Final[dict[CommandType, str]] = {
    "stop": "Stop a run; its exit handlers run.",
    "terminate": "Terminate a run at once.",
    "suspend": "Suspend a run.",
    "resume": "Resume a suspended run, or answer one of its steps.",
    "retry": "Run the failed steps of a finished run again.",
}


def _post(kind: CommandType) -> Handler:
    async def post_command(request: web.Request) -> web.Response:
        key = run_key(request)
        about(request, key)
        async with admitted_body(request) as pieces:
            body = await read_command_body(request, pieces, kind)
            command = to_run(key, kind, body)
            wait_for_topics(request, key.tenant, Scope.COMMAND)
            written = await request.app[COMMANDS].send(
                command, identity=request[IDENTITY], traceparent=request[TRACEPARENT]
            )
        note(request, Verdict.ACCEPTED, key=key)
        return web.json_response(
            command_document(command, written), status=202, headers={"Location": run_path(key)}
        )

    return post_command


async def read_command_body(
    request: web.Request, pieces: list[bytes], kind: CommandType
) -> BaseModel:
    """Read the body of a command; it may be missing.

    Raises:
        ProblemError: TOO_LARGE, MALFORMED_JSON or INVALID_REQUEST.
    """
    return await read_optional_body(request, pieces, COMMAND_BODIES[kind])


def to_run(key: RunKey, kind: CommandType, body: BaseModel) -> Command:
    """Return the command for one run."""
    return COMMAND_MODELS[kind].model_validate(
        {**dict(body), "type": kind, "id": key.run_id, "tenant": key.tenant}
    )


def _operation(kind: CommandType) -> Operation:
    return Operation(
        id=f"{kind}Run",
        method="POST",
        path=f"/v1/runs/{{id}}/{kind}",
        handler=_post(kind),
        scopes=(Scope.COMMAND,),
        summary=_SUMMARIES[kind],
        description="The command is written to the request topic. Whether it applies to the run's "
        "state is decided when it is read; the run's events show what it did.",
        path_parameters=(RUN_ID,),
        query=(TENANT,),
        body=(Content(model=COMMAND_BODIES[kind]),),
        body_required=False,
        answers=(
            Answer(
                status=202,
                description="Every in-sync replica of Kafka has the command.",
                content=(Content(model=AcceptedCommandDocument),),
                headers=(LOCATION,),
            ),
        ),
        problems=(
            ProblemType.MALFORMED_JSON,
            ProblemType.UNKNOWN_RUN,
            ProblemType.NOT_APPLICABLE,
            ProblemType.TOO_LARGE,
            ProblemType.OUTCOME_UNKNOWN,
        ),
    )


OPERATIONS: Final = tuple(_operation(kind) for kind in COMMAND_MODELS)
