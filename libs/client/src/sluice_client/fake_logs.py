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

__all__ = ["FakeLogs"]

_PATH: Final = re.compile(r"/v1/runs/([^/]+)/steps/([^/]+)/logs")


class FakeLogs(FakeGateway):
    """The gateway of the fake, with logs; a step has one once it has written a line."""

    def __init__(self, runs: FakeRuns) -> None:
        super().__init__(runs)
        self._of_runs = runs
        self._lines: dict[tuple[RunKey, str], list[str]] = {}

    def write(self, key: RunKey, step: str, *lines: str) -> None:
        """Let a step write lines."""
        self._lines.setdefault((key, step), []).extend(lines)
        self._of_runs.wake()

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
        lines = self._lines.get((key, unquote(found[2])))
        if key not in self._of_runs.runs or lines is None:
            known = key in self._of_runs.runs
            kind = ProblemType.NOT_FOUND if known else ProblemType.UNKNOWN_RUN
            refused = problem_answer(RefusedError(kind, "The step has written nothing."))
            yield StreamAnswer(status=refused.status, headers=refused.headers, body=once(refused))
            return
        place = call.headers.get("Last-Event-ID")
        begin = max(0, len(lines) - int(query["tail"])) if "tail" in query else 0
        if place:
            begin = int(place.partition(":")[0])
        frames = self._log(key, lines, begin, follow=query.get("follow") == "true")
        try:
            yield StreamAnswer(status=200, headers={}, body=frames)
        finally:
            await frames.aclose()

    async def _log(
        self, key: RunKey, lines: list[str], place: int, *, follow: bool
    ) -> AsyncGenerator[bytes]:
        run = self._of_runs.runs[key]
        while True:
            while place < len(lines):
                data = json.dumps({"time": None, "text": lines[place], "truncated": False})
                place += 1
                yield f"id: {place}:1\nevent: log\ndata: {data}\n\n".encode()
            if run.terminal or not follow:
                yield b"event: end\ndata: null\n\n"
                return
            await self._of_runs.until(partial(_has_more, lines, place, run))


def _has_more(lines: Sequence[str], seen: int, run: FakeRun) -> bool:
    return len(lines) > seen or run.terminal
