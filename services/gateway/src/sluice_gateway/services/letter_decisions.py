"""Replays dead letters, or drops them.

A replay is a request of the one who replays: what it may start or command is for its own grants to
say, and not for the letter. Its run has an id that depends on the letter alone, and the letter's
tenant if that is certain. So two people who replay a letter at once, or one who repeats it after a
crash, start one run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

import structlog
from pydantic import JsonValue

from sluice_contracts import strict_json
from sluice_contracts.dead_letters import LetterDecision
from sluice_contracts.ids import RunKey, derive_run_id
from sluice_contracts.problems import FieldError, ProblemType
from sluice_contracts.record_origins import RecordOrigins
from sluice_contracts.records import IncomingRecord, Position
from sluice_contracts.request_codec import (
    InvalidRecordError,
    ReceivedCommand,
    ReceivedRun,
    decode_request,
)
from sluice_contracts.requests import RunRequest
from sluice_gateway.domain.dead_letters import DeadLetters, Letter
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Identity
from sluice_gateway.domain.redaction import redacted_problem
from sluice_gateway.ports import LetterTopics
from sluice_gateway.services.appending import append_problems
from sluice_gateway.services.commands import Commands
from sluice_gateway.services.letter_reader import LetterReader, shows_payloads
from sluice_gateway.services.submission import Asked, Submission

__all__ = ["LetterDecisions", "Replay"]

_log = structlog.get_logger(__name__)

_LONGEST_NAME: Final = 256
_OF_THE_RECORD: Final = frozenset(
    {
        ProblemType.MALFORMED_JSON,
        ProblemType.MALFORMED_EVENT,
        ProblemType.INVALID_REQUEST,
        ProblemType.UNKNOWN_WORKFLOW,
        ProblemType.INVALID_PARAMETERS,
    }
)
"""Problems that say what stands in a record."""


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Who replays a letter, and why; `value` is a request to be written in place of the record."""

    identity: Identity
    traceparent: str
    reason: str | None = None
    value: Mapping[str, JsonValue] | None = None


class LetterDecisions:
    """Decides what becomes of dead letters."""

    def __init__(
        self,
        *,
        letters: DeadLetters,
        reader: LetterReader,
        topics: LetterTopics,
        submission: Submission,
        commands: Commands,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._letters = letters
        self._reader = reader
        self._topics = topics
        self._submission = submission
        self._commands = commands
        # No keys: the principal that replays the record answers for it.
        self._origins = RecordOrigins(letters.topics)
        self._now = now

    async def replay(self, letter: Letter, replay: Replay) -> tuple[Letter, RunKey]:
        """Write the request of the letter; return the letter as it is then, and the request's run.

        The request comes first. After a crash the letter is still open, and its replay is the same
        run; only a command would be given twice.

        Raises:
            ProblemError: NOT_APPLICABLE, the letter is not open or was truncated; what is wrong
                with the request, or OUTCOME_UNKNOWN.
        """
        _check_open(letter)
        try:
            key = await self._write(letter, replay)
        except ProblemError as e:
            if replay.value is not None or shows_payloads(letter, replay.identity.access):
                raise
            raise _without_values(e) from e
        unknown = (
            f"The request of run {key.run_id!r} was written, but the letter may still count as "
            "open. Replay it again: a run is not started twice."
        )
        decided = await self._decide(
            letter,
            "replayed",
            reason=replay.reason,
            identity=replay.identity,
            run=key,
            unknown=unknown,
        )
        return decided, key

    async def drop(self, letter: Letter, *, reason: str | None, identity: Identity) -> Letter:
        """Note that nobody needs the letter; return it as it is then.

        Raises:
            ProblemError: NOT_APPLICABLE, it is not open; or OUTCOME_UNKNOWN.
        """
        _check_open(letter)
        unknown = (
            "Kafka did not acknowledge in time that the letter is dropped. Read the letter, and "
            "drop it again if it is still open."
        )
        return await self._decide(
            letter, "dropped", reason=reason, identity=identity, run=None, unknown=unknown
        )

    async def _write(self, letter: Letter, replay: Replay) -> RunKey:
        received = await self._received(letter, replay.value)
        if replay.value is not None:
            _check_place(received, letter, stated=replay.value.get("id"))
        if isinstance(received, ReceivedCommand):
            await self._commands.send(
                received.command, identity=replay.identity, traceparent=replay.traceparent
            )
            return received.key
        request = _as_new_run(received, letter)
        key = RunKey(request.tenant, request.id or "")
        try:
            # A run that is there already is the letter's own: no other has this id.
            await self._submission.submit(
                Asked(
                    request=request,
                    content=request.content(),
                    idempotency_key=None,
                    traceparent=replay.traceparent,
                    identity=replay.identity,
                )
            )
        except ProblemError as e:
            if e.problem.type is ProblemType.ID_CONFLICT:
                raise _replayed_otherwise(key) from e
            raise
        return key

    async def _received(
        self, letter: Letter, value: Mapping[str, JsonValue] | None
    ) -> ReceivedRun | ReceivedCommand:
        """Read the request as the dispatcher would; an edited value is one without key and headers.

        Raises:
            ProblemError: it is not valid, or the record is not kept whole.
        """
        own, place = self._letters.topics.of_topic(letter.position.topic), letter.received
        # The topic may have had another name.
        position = Position(own.topics.requests, place.partition, place.offset)
        if value is not None:
            record = IncomingRecord(
                position=position,
                timestamp_ms=letter.received_ms,
                key=None,
                value=strict_json.canonical(
                    dict(value) if letter.tenant is None else {"tenant": letter.tenant, **value}
                ),
            )
        elif letter.truncated:
            raise ProblemError.of(
                ProblemType.NOT_APPLICABLE,
                "Only the head of this record was kept, so it cannot be replayed as it is. Give "
                "its whole value as `value`.",
            )
        else:
            content = await self._reader.content(letter)
            record = replace(content.received, position=position)
        try:
            return decode_request(record, origins=self._origins)
        except InvalidRecordError as e:
            raise ProblemError(e.problem) from e

    async def _decide(
        self,
        letter: Letter,
        kind: Literal["replayed", "dropped"],
        *,
        reason: str | None,
        identity: Identity,
        run: RunKey | None,
        unknown: str,
    ) -> Letter:
        decision = LetterDecision(
            letter=str(letter.position),
            decision=kind,
            by=str(identity.principal)[:_LONGEST_NAME],
            at=self._now(),
            reason=reason,
            run=None if run is None else str(run),
        )
        with append_problems(unknown=unknown):
            appended = await self._topics.append_decision(letter.position, decision)
        offset = appended.position.offset
        # At once, so that the next request here sees it; it is read from the topic as well.
        self._letters.decide(letter.position, decision, offset=offset)
        _log.info("dead letter decided", letter=str(letter.position), decision=kind)
        return replace(letter, decision=decision, decided_by_offset=offset)


def _check_open(letter: Letter) -> None:
    decision = letter.decision
    if decision is not None:
        raise ProblemError.of(
            ProblemType.NOT_APPLICABLE,
            f"This dead letter was {decision.decision} at {decision.at.isoformat()} by "
            f"{decision.by}.",
        )


def _without_values(error: ProblemError) -> ProblemError:
    if error.problem.type not in _OF_THE_RECORD:
        return error
    return ProblemError(redacted_problem(error.problem), retry_after=error.retry_after)


def _check_place(
    received: ReceivedRun | ReceivedCommand, letter: Letter, *, stated: JsonValue
) -> None:
    """Refuse an edited value for another tenant, or with an id: each would be a run of its own.

    The id of the record may stay, which is what it has in place of the run's. That of a command is
    the run that it is for.
    """
    errors: list[FieldError] = []
    if letter.tenant is not None and received.key.tenant != letter.tenant:
        errors.append(FieldError(pointer="/tenant", detail=f"Must be {letter.tenant}, or missing."))
    own = None if letter.run is None else letter.run.run_id
    if isinstance(received, ReceivedRun) and stated is not None and stated != own:
        errors.append(FieldError(pointer="/id", detail="Must be the record's, or missing."))
    if errors:
        raise ProblemError.of(
            ProblemType.INVALID_REQUEST,
            "A dead letter is replayed as one run, whose id depends on the letter, for the tenant "
            "of its record. Leave out `id` and `tenant`; or start another run with "
            "POST /v1/runs, and drop the letter.",
            errors=tuple(errors),
        )


def _replayed_otherwise(key: RunKey) -> ProblemError:
    return ProblemError.of(
        ProblemType.ID_CONFLICT,
        f"This dead letter was replayed before with other content, as run {key.run_id!r}, which "
        "goes on. Replay it with that content, or drop it, so that it no longer counts as open.",
    )


def _as_new_run(received: ReceivedRun, letter: Letter) -> RunRequest:
    """Return the request with the id of the letter's run.

    The id of the record is spent: by its rejection, or by the run that it belongs to. Without one
    it would come from the place of the record, and so be another one for each replay.
    """
    request, spent, place = received.request, letter.run, letter.position
    new_id = derive_run_id(
        "dead letter", place.topic, str(place.partition), str(place.offset), str(letter.at_ms)
    )
    changes: dict[str, str] = {"id": new_id}
    was_rejected = letter.reason is not ProblemType.ID_CONFLICT
    if spent is not None and was_rejected and letter.tenant == spent.tenant == request.tenant:
        changes["parent"] = request.parent or spent.run_id
    return request.model_copy(update=changes)
