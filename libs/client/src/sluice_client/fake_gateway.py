"""Answers as a gateway does, from memory: what the real client sends is what this gets."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

from sluice_client.fake_documents import (
    ANYBODY,
    RefusedError,
    accepted_of,
    asked_for,
    command_of,
    item_of,
    json_answer,
    links_of,
    named_of,
    once,
    preview_of,
    problem_answer,
    run_request_of,
    selects,
    state_of,
    summary_of,
    waiting_of,
    workflow_of,
)
from sluice_client.fake_letters import FakeLetters
from sluice_client.fake_runs import FakeRun, FakeRuns
from sluice_client.transport import Answer, Call, StreamAnswer
from sluice_contracts.ids import DEFAULT_TENANT, RunKey, new_run_id
from sluice_contracts.problems import ProblemType
from sluice_contracts.requests import InvalidRequestError, RunRequest
from sluice_contracts.status_codec import QUEUED, event_type

__all__ = ["FakeGateway"]

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
_STATES: Final = {"pause": "paused", "drain": "draining", "resume": "running"}


class FakeGateway:
    """A `Transport` whose server is this object."""

    def __init__(self, runs: FakeRuns) -> None:
        self._runs = runs
        self.letters = FakeLetters(runs)
        self._stated: dict[tuple[str, str], _Json] = {}
        self._failures: list[tuple[ProblemType, bool]] = []

    def fail_next(self, kind: ProblemType, *, carried_out: bool, times: int) -> None:
        """Answer the next requests with a problem, which are carried out all the same or not."""
        self._failures += [(kind, carried_out)] * times

    async def send(self, call: Call, *, token: str | None, within: float) -> Answer:  # noqa: ARG002
        """See `Transport.send`."""
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None and not failure[1]:
            return problem_answer(asked_for(failure[0]))
        try:
            answer = await self._answer(call)
        except RefusedError as e:
            answer = problem_answer(e)
        except InvalidRequestError as e:
            answer = problem_answer(
                RefusedError(ProblemType.INVALID_REQUEST, "Not valid.", e.errors)
            )
        if failure is not None:
            return problem_answer(asked_for(failure[0]))
        return answer

    @asynccontextmanager
    async def stream(
        self,
        call: Call,
        *,
        token: str | None,  # noqa: ARG002
        within: float,  # noqa: ARG002
    ) -> AsyncIterator[StreamAnswer]:
        """See `Transport.stream`."""
        after = call.headers.get("Last-Event-ID")
        run: FakeRun | None = None
        try:
            if call.path != "/v1/events":
                run = self._run(call.path.split("/")[3], list(call.query))
        except RefusedError as e:
            refused = problem_answer(e)
            yield StreamAnswer(status=refused.status, headers=refused.headers, body=once(refused))
            return
        begin = len(self._runs.log) if run is None else 0
        if after:
            begin = int(after.rpartition(":")[2]) + (0 if run is None else 1)
        if run is not None and run.terminal and begin > run.places[-1]:
            yield StreamAnswer(status=204, headers={}, body=once(None))
            return
        frames = self._frames(run, list(call.query), begin)
        try:
            yield StreamAnswer(status=200, headers={}, body=frames)
        finally:
            await frames.aclose()

    async def close(self) -> None:
        """See `Transport.close`."""

    async def _frames(
        self, run: FakeRun | None, query: _Query, begin: int
    ) -> AsyncGenerator[bytes]:
        log, place = self._runs.log, begin
        if run is not None and not run.events:
            yield f"event: {QUEUED}\ndata: {json.dumps(waiting_of(run))}\n\n".encode()
        while True:
            while place < len(log):
                source, event = log[place]
                place += 1
                # The stream of all runs has the next offset, that of one run the last one.
                shown = f"0:{place - 1}" if run else f"0:{place}"
                if run is None and not selects(query, source, event.phase):
                    continue
                if run is None or source is run:
                    kind, data = event_type(event.phase), event.model_dump_json()
                    yield f"id: {shown}\nevent: {kind}\ndata: {data}\n\n".encode()
            if run is not None and run.terminal:
                return
            await self._runs.changed(place)

    async def _answer(self, call: Call) -> Answer:
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
            return json_answer(200, state_of(known))
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
        for run in selected:
            self._runs.command(run, command_of(call, command, run.key))
        items = [item_of(run.key, status=202) for run in selected]
        return json_answer(202, {"items": items})

    async def _state(self, call: Call, id: str) -> Answer:  # noqa: A002
        return json_answer(200, state_of(self._run(id, list(call.query))))

    async def _outcome(self, call: Call, id: str) -> Answer:  # noqa: A002
        run = self._run(id, list(call.query))
        with suppress(TimeoutError):
            async with asyncio.timeout(call.wait):
                while not run.terminal:
                    await self._runs.changed(len(self._runs.log))
        return json_answer(200 if run.terminal else 202, state_of(run), {"Retry-After": "0"})

    async def _rerun(self, call: Call, id: str) -> Answer:  # noqa: A002
        run, body = self._run(id, list(call.query)), json.loads(call.body or b"{}")
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
        run = self._run(id, list(call.query))
        self._runs.command(run, command_of(call, command, run.key))
        request = f"sluice.requests/0@{len(self._runs.commands)}"
        shown = {**named_of(run.key), "command": command, "request": request}
        return json_answer(202, shown | {"links": links_of(run.key)})

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

    def _run(self, run_id: str, query: _Query) -> FakeRun:
        run = self._runs.runs.get(RunKey(dict(query).get("tenant", DEFAULT_TENANT), run_id))
        if run is None:
            raise RefusedError(ProblemType.UNKNOWN_RUN, "There is no such run.")
        return run

    def _selected(self, query: _Query) -> list[FakeRun]:
        """Return the selected runs, newest first."""
        runs = reversed(self._runs.runs.values())
        return [run for run in runs if selects(query, run, run.phase)]
