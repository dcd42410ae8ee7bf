"""The documents of the fake: they have the shapes of the contracts."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, Final

from sluice_client.fake_runs import FakeRun
from sluice_client.transport import Answer, Call
from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.problems import FieldError, ProblemType, problem
from sluice_contracts.requests import Command, InvalidRequestError, RunRequest, read_request
from sluice_contracts.status import Phase

__all__ = [
    "ANYBODY",
    "RefusedError",
    "accepted_of",
    "asked_for",
    "command_of",
    "item_of",
    "json_answer",
    "links_of",
    "named_of",
    "once",
    "preview_of",
    "problem_answer",
    "run_request_of",
    "selects",
    "state_of",
    "summary_of",
    "waiting_of",
    "workflow_of",
]

_Json = dict[str, Any]

ANYBODY: Final[_Json] = {
    "principal": "anonymous:fake",
    "kind": "anonymous",
    "scopes": [
        "runs:start",
        "runs:read",
        "payloads:read",
        "runs:command",
        "dlq",
        "admin",
    ],
}
"""Whom a gateway without identities sees, who may do everything."""


class RefusedError(Exception):
    """The request gets this problem for an answer."""

    def __init__(self, kind: ProblemType, detail: str, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail)
        self.problem = problem(kind, detail, errors=errors)


def asked_for(kind: ProblemType) -> RefusedError:
    """Return the failure that a test has asked for."""
    return RefusedError(kind, "A failure that the test asked for.")


def json_answer(
    status: int, document: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Answer:
    """Return an answer with the document."""
    shown = {"Content-Type": "application/json", **(headers or {})}
    return Answer(status=status, headers=shown, body=json.dumps(document).encode())


def problem_answer(refused: RefusedError) -> Answer:
    """Return an answer with the problem; what may be repeated may be so at once."""
    headers = {"Content-Type": "application/problem+json"}
    if refused.problem.type.repeatable:
        headers["Retry-After"] = "0"
    body = refused.problem.model_dump_json().encode()
    return Answer(status=refused.problem.status, headers=headers, body=body)


async def once(answer: Answer | None) -> AsyncIterator[bytes]:
    """Yield the body of an answer, or nothing."""
    if answer is not None:
        yield answer.body


def run_request_of(document: _Json) -> RunRequest:
    """Return the request for a run.

    Raises:
        InvalidRequestError: it is none.
    """
    request = read_request(document)
    if not isinstance(request, RunRequest):
        raise InvalidRequestError((FieldError(pointer="/type", detail="Must be run."),))
    return request


def command_of(call: Call, command: str, key: RunKey) -> Command:
    """Return the command to a run.

    Raises:
        InvalidRequestError: it is none.
    """
    body = json.loads(call.body or b"{}")
    request = read_request({**body, "type": command, "id": key.run_id, "tenant": key.tenant})
    if not isinstance(request, Command):
        raise InvalidRequestError((FieldError(pointer="/type", detail="Must be a command."),))
    return request


def named_of(key: RunKey) -> _Json:
    """Return the members that name a run."""
    return {"id": key.run_id, "tenant": key.tenant}


def links_of(key: RunKey) -> _Json:
    """Return where to continue with a run."""
    path = f"/v1/runs/{key.run_id}"
    return {
        "self": f"{path}?tenant={key.tenant}",
        "events": f"{path}/events?tenant={key.tenant}",
    }


def accepted_of(key: RunKey, workflow: str) -> _Json:
    """Return the document of a run that was just accepted."""
    return {
        **named_of(key),
        "workflow": workflow,
        "workflow_name": workflow_name(key),
        "phase": "Accepted",
        "links": links_of(key),
    }


def state_of(run: FakeRun) -> _Json:
    """Return the document of the latest state."""
    known = {
        "id": run.key.run_id,
        "parameters": run.request.parameters,
        "links": links_of(run.key),
    }
    if run.events:
        return run.events[-1].model_dump(mode="json") | known
    return known | {
        "event_id": None,
        "run_id": run.key.run_id,
        "tenant": run.key.tenant,
        "workflow": run.request.workflow,
        "workflow_name": workflow_name(run.key),
        "phase": "Accepted",
        "terminal": False,
        "labels": run.request.labels,
        "priority": run.request.priority,
        "parent": run.request.parent,
        "accepted_at": run.accepted_at.isoformat(),
        "observed_at": None,
        "sequence": -1,
        "queue": {},
    }


def waiting_of(run: FakeRun) -> _Json:
    """Return the state of a run that waits, as a stream has it."""
    state = state_of(run)
    del state["parameters"]
    return state


def summary_of(run: FakeRun) -> _Json:
    """Return the document of a run in a list."""
    state = state_of(run)
    names = ["id", "tenant", "workflow", "workflow_name", "phase", "terminal", "labels", "links"]
    names += ["priority", "parent", "accepted_at"]
    optional = ("progress", "started_at", "finished_at")
    return (
        {name: state[name] for name in names}
        | {name: state.get(name) for name in optional}
        | {"attempt": state.get("attempt", 1)}
    )


def item_of(
    key: RunKey, *, status: int = 0, phase: str | None = None, error: RefusedError | None = None
) -> _Json:
    """Return what became of one item of many."""
    return {
        **named_of(key),
        "status": error.problem.status if error else status,
        "phase": phase,
        "problem": error.problem.model_dump(mode="json") if error else None,
        "links": None if error else links_of(key),
    }


def preview_of(request: RunRequest, known: FakeRun | None, *, same: bool) -> _Json:
    """Return what would become of a request."""
    key = RunKey(request.tenant, request.id) if request.id else None
    use = "free" if known is None else "same-content" if same else "other-content"
    return {
        "id": request.id,
        "tenant": request.tenant,
        "workflow": request.workflow,
        "workflow_name": workflow_name(key) if key else None,
        "id_use": use if key else None,
        "phase": known.phase if known else None,
        "links": links_of(key) if key and known else None,
    }


def workflow_of(name: str) -> _Json:
    """Return the document of an entry of the catalogue, which takes any parameters."""
    return {
        "name": name,
        "description": "A workflow of the fake.",
        "parameters": {"type": "object"},
        "links": {"self": f"/v1/workflows/{name}"},
    }


def selects(query: list[tuple[str, str]], run: FakeRun, phase: Phase) -> bool:
    """Return whether the filters of a query select the run, in this phase."""
    single = dict(query)
    request, key = run.request, run.key
    phases = {value for name, value in query if name == "phase"}
    accepted = run.accepted_at
    return (
        single.get("workflow") in (None, request.workflow)
        and single.get("tenant") in (None, key.tenant)
        and (not phases or phase in phases)
        and single.get("q", "") in key.run_id
        and ("since" not in single or accepted >= datetime.fromisoformat(single["since"]))
        and ("until" not in single or accepted < datetime.fromisoformat(single["until"]))
        and all(_has(request.labels, value) for name, value in query if name == "label")
    )


def _has(labels: Mapping[str, str], test: str) -> bool:
    name, _, value = test.partition("=")
    if name.endswith("!"):
        return labels.get(name[:-1]) != value
    return labels.get(name) == value
