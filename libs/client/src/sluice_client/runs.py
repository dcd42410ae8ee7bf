"""A run, to follow and to command."""

from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from pydantic import JsonValue

from sluice_client.calling import Caller, parsed
from sluice_client.documents import checked, command_body
from sluice_client.errors import WaitTimeoutError
from sluice_client.following import follow
from sluice_client.logs import LogLine, follow_log
from sluice_client.outcomes import Event, Outcome
from sluice_client.protocols import RunHandle
from sluice_client.retries import retry_after
from sluice_client.transport import Answer, Call, Repeat
from sluice_contracts.http_documents import (
    AcceptedCommandDocument,
    AcceptedRunDocument,
    RunDocument,
)
from sluice_contracts.ids import DEFAULT_TENANT, RunKey, new_run_id
from sluice_contracts.requests import CommandType, Priority

__all__ = ["REPEAT_COMMAND", "Run", "started_run"]

# Proxies have to keep a connection that is silent for 15 seconds.
_LONGEST_WAIT_S: Final = 14
_NEXT_LOOK_S: Final = 1.0
_REPLAYED: Final = "Idempotency-Replayed"

REPEAT_COMMAND: Final[dict[CommandType, Repeat]] = {
    "stop": Repeat.ALWAYS,
    "terminate": Repeat.ALWAYS,
    "suspend": Repeat.ALWAYS,
    # A second one could answer the next step, or run again what the first one has run.
    "resume": Repeat.IF_NOTHING_WAS_WRITTEN,
    "retry": Repeat.IF_NOTHING_WAS_WRITTEN,
}
"""Each command is carried out as often as it is written."""


class Run(RunHandle):
    """A run; making one asks nothing.

    `watch_link` is a path that shows it to others, if the gateway makes such links. `existed` says
    that a start has found it there, and `found` is its state then; None if it may not be read.
    """

    def __init__(
        self,
        caller: Caller,
        key: RunKey,
        *,
        watch_link: str | None = None,
        existed: bool = False,
        found: RunDocument | None = None,
    ) -> None:
        super().__init__(key)
        self._caller = caller
        self.watch_link = watch_link
        self.existed = existed
        self.found = found

    async def state(self) -> RunDocument:
        """Return the latest state, with all steps.

        Raises:
            NotFoundError: there is no such run.
        """
        return parsed(RunDocument, await self._caller.call(self._get("")))

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - of several requests
        *,
        attempt: int = 1,
    ) -> Outcome:
        """Return how the run has ended, once it has; at most after `timeout` seconds.

        `attempt` is the first attempt that counts: after a `retry`, that of the outcome plus 1.

        Raises:
            WaitTimeoutError: it has not ended in time. It goes on.
            NotFoundError: there is no such run.
        """
        began = self._caller.now()
        while True:
            left = None if timeout is None else max(0.0, began + timeout - self._caller.now())
            wait = _LONGEST_WAIT_S if left is None else min(_LONGEST_WAIT_S, int(left))
            asked_at = self._caller.now()
            answer = await self._caller.call(self._get("/outcome", ("wait", str(wait)), wait=wait))
            state = parsed(RunDocument, answer)
            over = answer.status == HTTPStatus.OK
            if over and state.attempt >= attempt:
                return Outcome(state)
            if left is not None and left <= 0:
                raise WaitTimeoutError(
                    f"Run {self.id!r} is {state.phase} after {timeout:g} s. It goes on; wait again."
                )
            # A gateway that holds too many waits answers at once.
            waited = self._caller.now() - asked_at
            pause = 0.0 if waited >= wait > 0 and not over else _next_look(answer)
            await self._caller.pause(pause if left is None else min(pause, left))

    def events(self, *, after: str | None = None) -> AsyncGenerator[Event]:
        """Yield what happens to the run, from its first event on, until it is over.

        `after` is the place of an event: the next one is the one behind it. Broken connections are
        made again, and each event comes once.

        Raises:
            NotFoundError: there is no such run.
        """
        return follow(self._caller, self._get("/events"), after=after)

    def logs(
        self, step: str, *, tail: int | None = None, follow: bool = False, after: str | None = None
    ) -> AsyncGenerator[LogLine]:
        """Yield what a step has written; with `follow`, also what it writes until it ends.

        `step` is its id, or its name if no other step has it. `tail` is for the last so many
        lines, and `after` is the place of a line: the next one is the one behind it. Broken
        connections are made again, and each line comes once.

        Raises:
            NotFoundError: there is no such run or step, or no logs are set up.
            NotApplicableError: the step has no log, because it runs no container.
            LogGoneError: its pod is gone.
        """
        call = self._get(
            f"/steps/{quote(step, safe='')}/logs",
            *(() if tail is None else (("tail", str(tail)),)),
            *((("follow", "true"),) if follow else ()),
        )
        return follow_log(self._caller, call, after=after)

    async def rerun(
        self,
        *,
        id: str | None = None,  # noqa: A002 - the name that it has everywhere
        parameters: Mapping[str, JsonValue] | None = None,
        labels: Mapping[str, str] | None = None,
        priority: Priority | None = None,
        expires_at: datetime | None = None,
    ) -> "Run":
        """Start a new run with the parameters of this one, which becomes its parent.

        `parameters` and `labels` replace those of the same name.

        Raises:
            NotApplicableError: the parameters are private, or not known any more.
        """
        key = checked(RunKey(self.tenant, id or new_run_id(datetime.now(UTC))))
        body = {
            "id": key.run_id,
            "parameters": dict(parameters or {}),
            "labels": dict(labels or {}),
            "priority": priority,
            "expires_at": None if expires_at is None else expires_at.isoformat(),
        }
        call, unclear = self._post("/rerun", body), f"Rerun it as {key.run_id!r}."
        return started_run(self._caller, key, await self._caller.call(call, unclear=unclear))

    async def _command(self, command: CommandType, members: dict[str, Any]) -> str:
        answer = await self._caller.call(
            self._post(f"/{command}", members, repeat=REPEAT_COMMAND[command]),
            unclear=f"Read run {self.id!r}, and repeat {command} if it had no effect.",
        )
        return parsed(AcceptedCommandDocument, answer).request

    def _get(self, path: str, *query: tuple[str, str], wait: float = 0.0) -> Call:
        return Call(method="GET", path=self._path(path), query=(*self._query(), *query), wait=wait)

    def _post(self, path: str, body: dict[str, Any], *, repeat: Repeat = Repeat.ALWAYS) -> Call:
        return Call(
            method="POST",
            path=self._path(path),
            query=self._query(),
            body=command_body(**body),
            repeat=repeat,
        )

    def _path(self, path: str) -> str:
        return f"/v1/runs/{self.id}{path}"

    def _query(self) -> tuple[tuple[str, str], ...]:
        return () if self.tenant == DEFAULT_TENANT else (("tenant", self.tenant),)


def started_run(caller: Caller, key: RunKey, answer: Answer) -> Run:
    """Return the run that a start was answered with.

    Raises:
        UnexpectedAnswerError: the answer is not one of Sluice's.
    """
    if answer.status == HTTPStatus.ACCEPTED:
        links = parsed(AcceptedRunDocument, answer).links
        existed = answer.headers.get(_REPLAYED) == "true"
        return Run(caller, key, watch_link=links.watch, existed=existed)
    # Without a wait, 200 is for a run that was there.
    return Run(caller, key, existed=True, found=parsed(RunDocument, answer))


def _next_look(answer: Answer) -> float:
    return retry_after(answer.headers, now=datetime.now(UTC)) or _NEXT_LOOK_S
