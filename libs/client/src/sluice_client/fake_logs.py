"""The logs of the fake's steps: the lines that a test lets them write."""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from urllib.parse import unquote

from sluice_client.fake_documents import RefusedError, once, problem_answer
from sluice_client.fake_gateway import FakeGateway
from sluice_client.fake_runs import FakeRun, FakeRuns
from sluice_client.transport import Call, StreamAnswer
from sluice_contracts.ids import DEFAULT_TENANT, RunKey
from sluice_contracts.problems import ProblemType
from sluice_contracts.steps import Step

__all__ = ["FakeLogs"]

_PATH: Final = re.compile(r"/v1/runs/([^/]+)/steps/([^/]+)/logs")
_NOT_RUN: Final = frozenset({"Skipped", "Omitted"})
_LIVE: Final = frozenset({"Pending", "Running"})


class FakeLogs(FakeGateway):
    """The gateway of the fake, with logs.

    A step has one once it has written a line, or once an event shows that it runs a pod.
    """

    def __init__(self, runs: FakeRuns) -> None:
        super().__init__(runs)
        self._of_runs = runs
        self._lines: dict[tuple[RunKey, str], list[str]] = {}
        self._gone: set[tuple[RunKey, str]] = set()

    def write(self, key: RunKey, step: str, *lines: str) -> None:
        """Let a step write lines."""
        run = self._of_runs.runs.get(key)
        found = _step_of(run, step) if run else None
        names = (step,) if found is None else (found.id, found.name)
        written = self._written(key, names)
        if written is None:
            written = self._lines[key, names[0]] = []
        written.extend(lines)
        self._of_runs.wake()

    def delete(self, key: RunKey, step: str) -> None:
        """Let the log of a step be gone, with its pod."""
        self._gone.add((key, step))

    @asynccontextmanager
    async def stream(
        self, call: Call, *, token: str | None, within: float
    ) -> AsyncIterator[StreamAnswer]:
        """See `Transport.stream`."""
        found = _PATH.fullmatch(call.path)
        if found is None:
            async with super().stream(call, token=token, within=within) as answer:
                yield answer
            return
        query = dict(call.query)
        key = RunKey(query.get("tenant", DEFAULT_TENANT), unquote(found[1]))
        try:
            step, lines = self._opened(key, unquote(found[2]))
        except RefusedError as e:
            refused = problem_answer(e)
            yield StreamAnswer(status=refused.status, headers=refused.headers, body=once(refused))
            return
        place = call.headers.get("Last-Event-ID")
        begin = max(0, len(lines) - int(query["tail"])) if "tail" in query else 0
        if place:
            begin = int(place.partition(":")[0])
        run = self._of_runs.runs[key]
        frames = self._log(run, step, lines, begin, follow=query.get("follow") == "true")
        try:
            yield StreamAnswer(status=200, headers={}, body=frames)
        finally:
            await frames.aclose()

    def _opened(self, key: RunKey, asked: str) -> tuple[str, list[str]]:
        """Return the id of a step, and the lines that it has written by its id or its name.

        Raises:
            RefusedError: it has no log.
        """
        run = self._of_runs.runs.get(key)
        if run is None:
            raise RefusedError(ProblemType.UNKNOWN_RUN, "There is no such run.")
        step = _step_of(run, asked)
        names = (asked,) if step is None else (step.id, step.name)
        written = self._written(key, names)
        if any((key, it) in self._gone for it in names):
            archived = step.logs.get("main") if step else None
            kept = f" Its archived log is at {archived}." if archived else ""
            raise RefusedError(ProblemType.LOG_GONE, f"The pod of the step is gone.{kept}")
        if step is None and written is None:
            raise RefusedError(ProblemType.NOT_FOUND, "The run has no such step.")
        if step is not None and (step.type != "Pod" or step.phase in _NOT_RUN):
            raise RefusedError(ProblemType.NOT_APPLICABLE, f"It is {step.type}, {step.phase}.")
        if written is None:
            written = self._lines[key, names[0]] = []
        return names[0], written

    def _written(self, key: RunKey, names: Sequence[str]) -> list[str] | None:
        return next((self._lines[key, it] for it in names if (key, it) in self._lines), None)

    async def _log(
        self, run: FakeRun, step: str, lines: list[str], place: int, *, follow: bool
    ) -> AsyncGenerator[bytes]:
        while True:
            while place < len(lines):
                data = json.dumps({"time": None, "text": lines[place], "truncated": False})
                place += 1
                yield f"id: {place}:1\nevent: log\ndata: {data}\n\n".encode()
            if _is_over(run, step) or not follow:
                yield b"event: end\ndata: null\n\n"
                return
            await self._of_runs.until(partial(_has_more, lines, place, run, step))


def _step_of(run: FakeRun, asked: str) -> Step | None:
    """Return the step of this id, or of this name.

    Raises:
        RefusedError: several have the name.
    """
    steps = run.events[-1].steps if run.events else ()
    found = [each for each in steps if each.id == asked]
    found = found or [each for each in steps if each.name == asked]
    if len(found) > 1:
        raise RefusedError(ProblemType.NOT_APPLICABLE, f"{len(found)} steps have this name.")
    return found[0] if found else None


def _is_over(run: FakeRun, step: str) -> bool:
    found = _step_of(run, step)
    return run.terminal or (found is not None and found.phase not in _LIVE)


def _has_more(lines: Sequence[str], seen: int, run: FakeRun, step: str) -> bool:
    return len(lines) > seen or _is_over(run, step)
