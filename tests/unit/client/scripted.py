"""A transport whose answers are given, and a clock that a pause moves on."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sluice_client.transport import Answer, Call, StreamAnswer
from sluice_contracts.problems import ProblemType, problem

__all__ = ["Clock", "ScriptedTransport", "answer", "refusal"]


@dataclass
class Clock:
    """Seconds that pass only in pauses."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@dataclass
class ScriptedTransport:
    """Gives one answer after the other, the last one again and again; errors are raised."""

    answers: list[Answer | Exception]
    calls: list[Call] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)

    async def send(self, call: Call, *, token: str | None, within: float) -> Answer:
        self.calls.append(call)
        self.tokens.append(token)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        return found

    @asynccontextmanager
    async def stream(
        self, call: Call, *, token: str | None, within: float
    ) -> AsyncIterator[StreamAnswer]:
        found = await self.send(call, token=token, within=within)

        async def body() -> AsyncIterator[bytes]:
            yield found.body

        yield StreamAnswer(status=found.status, headers=found.headers, body=body())

    async def close(self) -> None:
        pass


def answer(status: int = 200, document: Mapping[str, Any] | None = None, **headers: str) -> Answer:
    """Give an answer; underscores in names of headers become dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=named, body=json.dumps(document or {}).encode())


def refusal(kind: ProblemType, **headers: str) -> Answer:
    """Give an answer with a problem."""
    found = problem(kind, "Why.")
    shown = {"Content_Type": "application/problem+json; charset=utf-8", **headers}
    return answer(found.status, found.model_dump(mode="json"), **shown)
