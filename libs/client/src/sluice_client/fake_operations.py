"""What the fake gateway answers to each request: the operations of the API, from memory."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

from sluice_client.fake_documents import (
    ANYBODY,
    RefusedError,
    accepted_of,
    command_of,
    item_of,
    json_answer,
    links_of,
    named_of,
    preview_of,
    run_request_of,
    selects,
    state_of,
    summary_of,
    workflow_of,
)
from sluice_client.fake_letters import FakeLetters
from sluice_client.fake_runs import FakeRun, FakeRuns
from sluice_client.transport import Answer, Call
from sluice_contracts.ids import DEFAULT_TENANT, RunKey, new_run_id
from sluice_contracts.problems import ProblemType
from sluice_contracts.requests import Command, RunRequest
from sluice_contracts.status import Phase

__all__ = ["FakeOperations"]

_Json = dict[str, Any]
_Query = list[tuple[str, str]]

_COMMAND: Final = r"(?P<command>stop|terminate|suspend|resume|retry)"
_ROUTES: Final = (
    ("POST", r"/v1/runs", "start"),
    ("POST", r"/v1/runs:batch", "batch"),
    ("GET", r"/v1/runs", "page"),
    ("GET", r"/v1/runs:counts", "counts"),
    ("POST", rf"/v1/runs:{_COMMAND}", "command_all"),
    ("GET", r"/v1/runs/(?P<id>[^/]+)", "state"),
    ("GET", r"/v1/runs/(?P<id>[^/]+)/outcome", "outcome"),
    ("POST", r"/v1/runs/(?P<id>[^/]+)/rerun", "rerun"),
    ("POST", rf"/v1/runs/(?P<id>[^/]+)/{_COMMAND}", "command"),
    ("GET", r"/v1/workflows", "workflows"),
    ("GET", r"/v1/workflows/(?P<name>[^/]+)", "workflow"),
    ("GET", r"/v1/identity", "identity"),
    ("GET", r"/v1/controls", "controls"),
    (
        "POST",
        r"/v1/(?P<kind>workflow|tenant)s/(?P<name>[^/]+)/(?P<verb>pause|drain|resume)",
        "control",
    ),
)
_NEVER_AGAIN: Final = frozenset({Phase.REJECTED, Phase.EXPIRED, Phase.DELETED})
_STATES: Final = {"pause": "paused", "drain": "draining", "resume": "running"}


class FakeOperations:
    """The operations on the runs of the fake, on its letters and on its controls."""

    def __init__(self, runs: FakeRuns) -> None:
        self._runs = runs
        self.letters = FakeLetters(runs)
        self._stated: dict[tuple[str, str], _Json] = {}

    async def answer(self, call: Call) -> Answer:
        """Answer a request.

        Raises:
            RefusedError: it is not carried out.
            InvalidRequestError: its document is not valid.
        """
        if call.path.startswith("/v1/dead-letters"):
            return self.letters.answer(call)
        for method, pattern, name in _ROUTES:
            found = re.fullmatch(pattern, call.path) if method == call.method else None
            if found is not None:
                answering: Callable[..., Any] = getattr(self, f"_{name}")
                path = {name: unquote(value) for name, value in found.groupdict().items()}
                answer: Answer = await answering(call, **path)
                return answer
        raise RefusedError(ProblemType.NOT_FOUND, "There is nothing at this path.")

    async def _start(self, call: Call) -> Answer:
        request = run_request_of(json.loads(call.body or b"{}"))
        preview = ("validate_only", "true") in call.query
        return self._started(request, preview=preview)

    def _started(self, request: RunRequest, *, preview: bool = False) -> Answer:
        key = RunKey(request.tenant, request.id or new_run_id(datetime.now(UTC)))
        known = self._runs.runs.get(key)
        same = known is not None and known.request.fingerprint == request.fingerprint
        if not same:
            self._validate(request)
        if preview:
            return json_answer(200, preview_of(request, known, same=same))
        if known is not None and not same:
            raise RefusedError(ProblemType.ID_CONFLICT, "This id belongs to another run.")
        if known is not None:
            return json_answer(200, state_of(known), {"Idempotency-Replayed": "true"})
        self._runs.start(request.named(key.run_id), key)
        return json_answer(202, accepted_of(key, request.workflow))

    def _validate(self, request: RunRequest) -> None:
        workflows = self._runs.workflows
        if workflows is not None and request.workflow not in workflows:
            raise RefusedError(ProblemType.UNKNOWN_WORKFLOW, "The fake has no such workflow.")
        if request.has_expired(datetime.now(UTC)):
            raise RefusedError(ProblemType.EXPIRED, "The request had expired when it came.")

    async def _batch(self, call: Call) -> Answer:
        items = []
        for line in (call.body or b"").splitlines():
            request = run_request_of(json.loads(line))
            key = RunKey(request.tenant, request.id or "")
            try:
                answer = json.loads(self._started(request).body)
                status = 202 if answer["phase"] == "Accepted" else 200
                items.append(item_of(key, status=status, phase=answer["phase"]))
            except RefusedError as e:
                items.append(item_of(key, error=e))
        status = 207 if any(each["problem"] for each in items) else 200
        return json_answer(status, {"items": items})

    async def _page(self, call: Call) -> Answer:
        query = dict(call.query)
        before = int(query.get("cursor") or len(self._runs.runs))
        selected = [run for run in self._selected(list(call.query)) if run.number < before]
        page = selected[: int(query.get("limit", "50"))]
        cursor = str(page[-1].number) if len(selected) > len(page) else None
        links = {"next": None if cursor is None else f"/v1/runs?cursor={cursor}"}
        runs = [summary_of(run) for run in page]
        return json_answer(200, {"runs": runs, "next_cursor": cursor, "links": links})

    async def _counts(self, call: Call) -> Answer:
        counts = Counter(str(run.phase) for run in self._selected(list(call.query)))
        return json_answer(200, {"counts": counts, "total": counts.total()})

    async def _command_all(self, call: Call, command: str) -> Answer:
        selected = self._selected(list(call.query))
        if len(selected) != int(dict(call.query)["expect"]):
            detail = f"{len(selected)} runs fulfil the filter."
            raise RefusedError(ProblemType.COUNT_CHANGED, detail)
        items = []
        for run in selected:
            phase = run.phase
            try:
                self._give(run, command_of(call, command, run.key))
                items.append(item_of(run.key, status=202, phase=phase))
            except RefusedError as e:
                items.append(item_of(run.key, error=e))
        status = 207 if any(each["problem"] for each in items) else 202
        return json_answer(status, {"items": items})

    async def _state(self, call: Call, id: str) -> Answer:  # noqa: A002
        return json_answer(200, state_of(self.run(id, list(call.query))))

    async def _outcome(self, call: Call, id: str) -> Answer:  # noqa: A002
        run = self.run(id, list(call.query))
        with suppress(TimeoutError):
            async with asyncio.timeout(call.wait):
                while not run.terminal:
                    await self._runs.changed(len(self._runs.log))
        return json_answer(200 if run.terminal else 202, state_of(run), {"Retry-After": "0"})

    async def _rerun(self, call: Call, id: str) -> Answer:  # noqa: A002
        run, body = self.run(id, list(call.query)), json.loads(call.body or b"{}")
        request = run.request
        return self._started(
            run_request_of(
                request.model_dump(mode="json")
                | {"parameters": request.parameters | body.get("parameters", {})}
                | {"labels": request.labels | body.get("labels", {})}
                | {"priority": body.get("priority", request.priority)}
                | {"expires_at": body.get("expires_at"), "parent": id, "id": body.get("id")}
            )
        )

    async def _command(self, call: Call, id: str, command: str) -> Answer:  # noqa: A002
        run = self.run(id, list(call.query))
        phase = run.phase
        self._give(run, command_of(call, command, run.key))
        request = f"sluice.requests/0@{len(self._runs.commands)}"
        shown = {**named_of(run.key), "command": command, "request": request, "phase": phase}
        return json_answer(202, shown | {"links": links_of(run.key)})

    def _give(self, run: FakeRun, command: Command) -> None:
        if run.phase in _NEVER_AGAIN:
            raise RefusedError(ProblemType.NOT_APPLICABLE, f"The run is {run.phase}.")
        self._runs.command(run, command)

    async def _workflows(self, call: Call) -> Answer:  # noqa: ARG002
        names = self._runs.workflows or {}
        return json_answer(200, {"workflows": [workflow_of(name) for name in names]})

    async def _workflow(self, call: Call, name: str) -> Answer:  # noqa: ARG002
        if name not in (self._runs.workflows or {}):
            raise RefusedError(ProblemType.NOT_FOUND, "The fake has no such workflow.")
        return json_answer(200, workflow_of(name) | {"graph": None})

    async def _identity(self, call: Call) -> Answer:  # noqa: ARG002
        return json_answer(200, ANYBODY)

    async def _controls(self, call: Call) -> Answer:  # noqa: ARG002
        in_force = [each for each in self._stated.values() if each["state"] != "running"]
        return json_answer(200, {"controls": in_force})

    async def _control(self, call: Call, kind: str, name: str, verb: str) -> Answer:
        stated = {
            "kind": kind,
            "name": name,
            "state": _STATES[verb],
            "reason": json.loads(call.body or b"{}").get("reason"),
            "by": None,
            "at": datetime.now(UTC).isoformat(),
        }
        self._stated[kind, name] = stated
        return json_answer(202, stated | {"request": f"sluice.controls/0@{len(self._stated)}"})

    def run(self, run_id: str, query: _Query) -> FakeRun:
        """Return the run of this id, of the tenant in the query.

        Raises:
            RefusedError: there is none.
        """
        run = self._runs.runs.get(RunKey(dict(query).get("tenant", DEFAULT_TENANT), run_id))
        if run is None:
            raise RefusedError(ProblemType.UNKNOWN_RUN, "There is no such run.")
        return run

    def _selected(self, query: _Query) -> list[FakeRun]:
        """Return the selected runs, newest first."""
        runs = reversed(self._runs.runs.values())
        return [run for run in runs if selects(query, run, run.phase)]
