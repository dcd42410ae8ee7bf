"""Answers as a gateway does, from memory: what the real client sends is what this gets."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from sluice_client.fake_documents import (
    RefusedError,
    asked_for,
    once,
    problem_answer,
    selects,
    waiting_of,
)
from sluice_client.fake_letters import FakeLetters
from sluice_client.fake_operations import FakeOperations
from sluice_client.fake_runs import FakeRun, FakeRuns
from sluice_client.transport import Answer, Call, StreamAnswer
from sluice_contracts.problems import ProblemType
from sluice_contracts.requests import InvalidRequestError
from sluice_contracts.status_codec import QUEUED, event_type

__all__ = ["FakeGateway"]

_Query = list[tuple[str, str]]


class FakeGateway:
    """A `Transport` whose server is this object: its failures and its streams."""

    def __init__(self, runs: FakeRuns) -> None:
        self._runs = runs
        self._operations = FakeOperations(runs)
        self._failures: list[tuple[ProblemType, bool]] = []

    @property
    def letters(self) -> FakeLetters:
        """Its dead letters."""
        return self._operations.letters

    def fail_next(self, kind: ProblemType, *, carried_out: bool, times: int) -> None:
        """Answer the next requests with a problem, which are carried out all the same or not."""
        self._failures += [(kind, carried_out)] * times

    async def send(self, call: Call, *, token: str | None, within: float) -> Answer:  # noqa: ARG002
        """See `Transport.send`."""
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None and not failure[1]:
            return problem_answer(asked_for(failure[0]))
        try:
            answer = await self._operations.answer(call)
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
                run = self._operations.run(call.path.split("/")[3], list(call.query))
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
