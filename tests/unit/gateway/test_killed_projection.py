"""A view whose process was killed, again and again, equals one that was never killed."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from sluice_gateway.domain.run_query import RunFilter
from sluice_runtime.projection.sqlite_store import SqliteStore
from tests.unit.gateway.harness import opened_store, view_of
from tests.unit.gateway.killed_projection import project, records

KILLS = int(os.environ.get("SLUICE_TEST_KILLS", "100"))
TABLES = {
    "runs": "number",
    "events": "number, sequence",
    "steps": "number, rowid",
    "parameters": "number",
    "labels": "name, value, number",
    "kinds": "tenant, workflow, phase",
    "projected_offsets": "topic, partition",
    "last_records": "topic, partition",
}


async def contents(store: SqliteStore) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for table, order in TABLES.items():
        where = "WHERE runs > 0" if table == "kinds" else ""
        shown[table] = await store.read(f"SELECT * FROM {table} {where} ORDER BY {order}")  # noqa: S608
    for text in ("run-", "-012", "0299", "none"):
        shown[text] = await view_of(store).list(RunFilter(text=text), before=None, limit=1000)
    shown["integrity"] = await store.read("PRAGMA integrity_check")
    return shown


async def test_a_view_killed_at_random_equals_one_that_was_not(tmp_path: Path) -> None:
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.unit.gateway.killed_projection"),
        *(str(tmp_path / "killed.sqlite"), str(KILLS), "1"),
    )
    assert await killed.wait() == 0
    async with opened_store(tmp_path / "whole.sqlite") as store:
        await project(store, records(), at_a_time=500)
        expected = await contents(store)
    async with opened_store(tmp_path / "killed.sqlite") as store:
        assert await contents(store) == expected
    assert expected["integrity"] == [("ok",)]
    assert len(expected["runs"]) == 300
