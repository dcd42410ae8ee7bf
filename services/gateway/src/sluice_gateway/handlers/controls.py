"""GET /v1/controls, and POST .../pause, drain and resume of a workflow or a tenant."""

from functools import partial
from typing import Annotated, Final, Literal

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from sluice_contracts.audit import Verdict
from sluice_contracts.controls import Control, ControlState, ControlTarget
from sluice_contracts.http_documents import AcceptedControlDocument, ControlList
from sluice_contracts.ids import Tenant, is_tenant
from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Scope
from sluice_gateway.domain.validation import did_you_mean
from sluice_gateway.handlers.app_keys import CATALOGUE, CONTROLS, IDENTITY
from sluice_gateway.handlers.auditing import about, note
from sluice_gateway.handlers.json_answers import send_json
from sluice_gateway.handlers.operations import Answer, Content, Operation, Parameter
from sluice_gateway.handlers.optional_body import read_optional_body
from sluice_gateway.handlers.parameters import WORKFLOW
from sluice_gateway.handlers.request_body import admitted_body
from sluice_gateway.services.controls import check_control, may_control_workflow
from sluice_workflows.errors import UnknownWorkflowError

__all__ = ["OPERATIONS"]

_Kind = Literal["tenant", "workflow"]

_STATES: Final[dict[str, ControlState]] = {
    "pause": "paused",
    "drain": "draining",
    "resume": "running",
}
_EFFECTS: Final = {
    "pause": "Nothing new starts until it is resumed; live runs go on, and requests wait.",
    "drain": "Nothing new starts, as after a pause; it says that you wait for the live runs to "
    "end. `GET /v1/runs:counts` counts them.",
    "resume": "What waits starts again.",
}
_TENANT: Final = Parameter(
    name="name", type=Tenant, description="The name of a tenant.", required=True
)


class ControlBody(BaseModel):
    """Why, in your words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Annotated[
        str | None,
        Field(min_length=1, max_length=1024, description="Shown to those whose runs wait."),
    ] = None


async def get_controls(request: web.Request) -> web.StreamResponse:
    """List what is paused or drained, of what the principal may see."""
    states = request.app[CONTROLS].seen_by(request[IDENTITY].access)
    in_force = (each for each in states.items() if each[1].stops_starts)
    documents = [_document(*each) for each in sorted(in_force, key=lambda each: str(each[0]))]
    return await send_json(request, {"controls": documents})


def _post(kind: _Kind, state: ControlState) -> Handler:
    async def post_control(request: web.Request) -> web.Response:
        target = ControlTarget(kind, request.match_info["name"])
        tenant = target.name if kind == "tenant" else None
        workflow = target.name if kind == "workflow" else None
        about(request, tenant=tenant, workflow=workflow)
        # Before it is looked up: the answer must not say which workflows there are.
        check_control(request[IDENTITY], target)
        _check_exists(request, target)
        async with admitted_body(request) as pieces:
            body = await read_optional_body(request, pieces, ControlBody)
        control, position = await request.app[CONTROLS].put(
            target, state, reason=body.reason, identity=request[IDENTITY]
        )
        note(request, Verdict.ACCEPTED, tenant=tenant, workflow=workflow)
        document = _document(target, control) | {"request": str(position)}
        return web.json_response(document, status=202)

    return post_control


def _check_exists(request: web.Request, target: ControlTarget) -> None:
    """Refuse what cannot be controlled, because it does not exist.

    Raises:
        ProblemError: NOT_FOUND.
    """
    shown = repr(target.name[:64])
    if target.kind == "workflow":
        try:
            request.app[CATALOGUE].get(target.name)
        except UnknownWorkflowError as e:
            hint = did_you_mean(
                target.name,
                catalogue=request.app[CATALOGUE],
                is_shown=partial(may_control_workflow, request[IDENTITY]),
            )
            raise ProblemError.of(
                ProblemType.NOT_FOUND, f"There is no workflow {shown} in the catalogue.{hint}"
            ) from e
    elif not is_tenant(target.name):
        raise ProblemError.of(ProblemType.NOT_FOUND, f"{shown} cannot name a tenant.")


def _document(target: ControlTarget, control: Control) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = control.model_dump(mode="json")
    return {"kind": target.kind, "name": target.name, **fields}


def _operation(kind: _Kind, verb: str) -> Operation:
    return Operation(
        id=f"{verb}{kind.title()}",
        method="POST",
        path=f"/v1/{kind}s/{{name}}/{verb}",
        handler=_post(kind, _STATES[verb]),
        scopes=(Scope.ADMIN,),
        tag="controls",
        summary=f"{verb.title()} a {kind}.",
        description=_EFFECTS[verb],
        path_parameters=(WORKFLOW if kind == "workflow" else _TENANT,),
        body=(Content(model=ControlBody),),
        body_required=False,
        answers=(
            Answer(
                status=202,
                description="Every in-sync replica of Kafka has the control.",
                content=(Content(model=AcceptedControlDocument),),
            ),
        ),
        problems=(
            ProblemType.MALFORMED_JSON,
            ProblemType.NOT_FOUND,
            ProblemType.NOT_APPLICABLE,
            ProblemType.TOO_LARGE,
            ProblemType.OUTCOME_UNKNOWN,
        ),
    )


OPERATIONS: Final = (
    Operation(
        id="listControls",
        method="GET",
        path="/v1/controls",
        handler=get_controls,
        scopes=(Scope.START, Scope.READ, Scope.ADMIN),
        tag="controls",
        summary="List what is paused or drained, why, and by whom.",
        answers=(
            Answer(
                status=200,
                description="The controls in force.",
                content=(Content(model=ControlList),),
            ),
        ),
    ),
    *(_operation(kind, verb) for kind in ("workflow", "tenant") for verb in _STATES),
)
