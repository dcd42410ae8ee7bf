"""Writes the request part of runs: that of the request record which stands first."""

from collections.abc import Iterable
from typing import Final

from sluice_contracts.ids import RunKey
from sluice_gateway.adapters.run_store_postgres.texts import storable
from sluice_gateway.adapters.run_store_postgres.types import Connection
from sluice_gateway.domain.run_changes import RequestChange

__all__ = ["write_requests"]

_COLUMNS: Final = {
    "tenant": "text",
    "run_id": "text",
    "request_epoch": "integer",
    "request_partition": "integer",
    "request_offset": "bigint",
    "request_workflow": "text",
    "request_fingerprint": "text",
    "request_facts": "text",
    "parameters": "text",
    "accepted_ms": "bigint",
}

_CONTENT: Final = tuple(_COLUMNS)[2:-1]

# On a tie the record is the same one.
_IS_FIRST: Final = """(runs.request_offset IS NULL
    OR (excluded.request_epoch, excluded.request_offset, excluded.request_partition)
        < (runs.request_epoch, runs.request_offset, runs.request_partition))"""

# In the order of keys, so that transactions that write the same runs wait for each other, and never
# in a circle.
_WRITE: Final = f"""
INSERT INTO runs ({", ".join(_COLUMNS)})
SELECT * FROM unnest({", ".join(f"${n}::{t}[]" for n, t in enumerate(_COLUMNS.values(), 1))})
    AS given ({", ".join(_COLUMNS)})
ORDER BY tenant, run_id
ON CONFLICT (tenant, run_id) DO UPDATE SET
    {
    ", ".join(
        f"{name} = CASE WHEN {_IS_FIRST} THEN excluded.{name} ELSE runs.{name} END"
        for name in _CONTENT
    )
},
    accepted_ms = LEAST(runs.accepted_ms, excluded.accepted_ms)
WHERE {_IS_FIRST} OR excluded.accepted_ms < runs.accepted_ms
"""  # noqa: S608


async def write_requests(
    connection: Connection, changes: Iterable[RequestChange], *, epoch: int
) -> None:
    """Write what the requests say; a run that has a request before them keeps that one."""
    first: dict[RunKey, RequestChange] = {}
    accepted: dict[RunKey, int] = {}
    for change in changes:
        key = change.key
        known = first.get(key)
        if known is None or (change.offset, change.partition) < (known.offset, known.partition):
            first[key] = change
        accepted[key] = min(change.accepted_ms, accepted.get(key, change.accepted_ms))
    if not first:
        return
    rows = [
        (
            *change.key,
            epoch,
            change.partition,
            change.offset,
            storable(change.workflow),
            change.fingerprint,
            change.facts.to_json(),
            change.parameters,
            accepted[key],
        )
        for key, change in first.items()
    ]
    await connection.execute(_WRITE, *map(list, zip(*rows, strict=True)))
