"""Starts many runs: in as few requests as possible, and what failed for a time once more."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sluice_client.calling import Caller, parsed
from sluice_client.documents import encoded
from sluice_client.errors import SluiceError, problem_error
from sluice_client.retries import retry_after
from sluice_client.runs import Run
from sluice_client.transport import Call
from sluice_contracts import json_bounds, strict_json
from sluice_contracts.http_documents import HttpProblem
from sluice_contracts.http_lists import ItemDocument, ItemsDocument
from sluice_contracts.ids import RunKey, new_run_id
from sluice_contracts.requests import RunRequest

__all__ = ["Item", "start_many"]

_MAX_ITEMS: Final = 500
_MAX_BYTES: Final = 1_500_000


@dataclass(frozen=True, kw_only=True)
class Item:
    """What became of one run of many; `error` is None if it was accepted."""

    run: Run
    error: SluiceError | None

    def raise_for_error(self) -> Run:
        """Return the run, if it was accepted.

        Raises:
            SluiceError: it was not.
        """
        if self.error is not None:
            raise self.error
        return self.run


@dataclass(frozen=True, kw_only=True)
class _Line:
    key: RunKey
    body: bytes
    values: int


async def start_many(caller: Caller, requests: Iterable[RunRequest], *, tenant: str) -> list[Item]:
    """Start the runs, and return what became of each, in their order.

    Items with a problem that may go away are repeated, with their ids, for the time of the retries.
    """
    lines = [_line(each, tenant=tenant) for each in requests]
    errors: dict[int, SluiceError | None] = {}
    waiting = list(range(len(lines)))
    began, number = caller.now(), 0
    while waiting:
        again: list[int] = []
        asked = 0.0
        for portion in _portions(waiting, lines):
            found, after = await _send(caller, [lines[each] for each in portion])
            asked = max(asked, after)
            errors |= dict(zip(portion, found, strict=True))
            again += [index for index in portion if _may_be_repeated(errors[index])]
        pause = caller.retries.pause(number, asked=asked)
        if not again or caller.now() - began + pause > caller.retries.within:
            break
        await caller.pause(pause)
        waiting, number = again, number + 1
    return [
        Item(run=Run(caller, line.key), error=errors[index]) for index, line in enumerate(lines)
    ]


def _line(request: RunRequest, *, tenant: str) -> _Line:
    """Return the request with an id, as it is sent."""
    key = RunKey(
        request.tenant if "tenant" in request.model_fields_set else tenant,
        request.id or new_run_id(datetime.now(UTC)),
    )
    document = request.model_dump(mode="json", exclude_defaults=True)
    body = encoded({**document, "id": key.run_id, "tenant": key.tenant})
    measured = json_bounds.measure(
        body, most_values=strict_json.MAX_VALUES, most_depth=strict_json.MAX_DEPTH
    )
    return _Line(key=key, body=body, values=measured.values)


def _portions(indices: Sequence[int], lines: Sequence[_Line]) -> Iterator[list[int]]:
    """Yield parts of them that fit into one request each; one that is too large is alone."""
    portion: list[int] = []
    size = values = 0
    for index in indices:
        line = lines[index]
        fits = (
            len(portion) < _MAX_ITEMS
            and size + len(line.body) + 1 <= _MAX_BYTES
            and values + line.values <= strict_json.MAX_VALUES
        )
        if portion and not fits:
            yield portion
            portion, size, values = [], 0, 0
        portion.append(index)
        size += len(line.body) + 1
        values += line.values
    if portion:
        yield portion


async def _send(caller: Caller, lines: Sequence[_Line]) -> tuple[list[SluiceError | None], float]:
    """Send one request; return the error of each line, and how long to wait if there are any."""
    call = Call(
        method="POST",
        path="/v1/runs:batch",
        body=b"\n".join(line.body for line in lines),
        media_type="application/x-ndjson",
    )
    try:
        answer = await caller.call(call, unclear="Start the runs again with the same ids.")
        items = parsed(ItemsDocument, answer).items
    except SluiceError as e:
        return [e] * len(lines), 0.0
    after = retry_after(answer.headers, now=datetime.now(UTC)) or 0.0
    return [_error(item) for item in items], after


def _error(item: ItemDocument) -> SluiceError | None:
    if item.problem is None:
        return None
    return problem_error(HttpProblem.model_validate(item.problem.model_dump()))


def _may_be_repeated(error: SluiceError | None) -> bool:
    return error is not None and error.problem is not None and error.problem.repeatable
