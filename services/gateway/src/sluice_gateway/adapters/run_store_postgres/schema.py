"""The tables of the store, and how they come to be.

https://www.postgresql.org/docs/current/ddl.html
"""

from typing import Final

import structlog

from sluice_gateway.adapters.run_store_postgres.types import Connection

__all__ = ["migrate"]

_log = structlog.get_logger(__name__)

# Any number that nothing else in the database locks.
_LOCK: Final = 7_140_622_016

# Seconds for a statement, and for another replica that migrates the tables.
_PATIENCE: Final = 600.0

_FIRST: Final = """
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- Epochs count how often a topic was replaced by one of the same name: its offsets begin again.
CREATE TABLE topics (
    topic text PRIMARY KEY,
    epoch integer NOT NULL DEFAULT 0
);

-- How far the topics are projected. Rows and offsets change in one transaction, and the offset that
-- a projector has last seen is its fencing token: once another one has taken over, it is no longer
-- the stored one.
CREATE TABLE projected (
    topic text NOT NULL REFERENCES topics,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    -- The record that was projected last, to recognise a topic that is not the one it was.
    last_offset bigint,
    last_ms bigint,
    -- Events below are no longer kept, or never were.
    first_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);

-- A run is what its first request record and its latest status event say of it.
CREATE TABLE runs (
    tenant text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,

    request_epoch integer,
    request_partition integer,
    request_offset bigint,
    request_workflow text COLLATE "C",
    request_fingerprint text,
    request_facts text,
    parameters text,
    accepted_ms bigint,

    sequence bigint NOT NULL DEFAULT -1,
    attempt integer NOT NULL DEFAULT 1,
    phase text COLLATE "C" NOT NULL DEFAULT 'Accepted',
    terminal boolean NOT NULL DEFAULT false,
    status_workflow text COLLATE "C",
    status_fingerprint text,
    status_facts text,
    progress text,
    started_at text,
    finished_at text,
    status_ms bigint,
    status_partition integer,
    status_offset bigint,
    first_ms bigint,
    events_from_ms bigint,
    -- The events from which on steps and groups count: they are those of the current attempt.
    steps_from bigint NOT NULL DEFAULT 0,
    groups_from bigint NOT NULL DEFAULT 0,

    notice text,
    notice_ms bigint,
    notice_partition integer,
    notice_offset bigint,

    place_ms bigint GENERATED ALWAYS AS (COALESCE(accepted_ms, first_ms, 0)) STORED,
    workflow text COLLATE "C"
        GENERATED ALWAYS AS (COALESCE(status_workflow, request_workflow)) STORED,
    labels jsonb NOT NULL
        GENERATED ALWAYS AS (
            COALESCE(COALESCE(status_facts, request_facts)::jsonb -> 0, '{}'::jsonb)
        ) STORED,

    PRIMARY KEY (tenant, run_id)
);
-- An index for every filter that may select little; each is in the order of lists.
CREATE INDEX runs_newest ON runs (place_ms, tenant, run_id);
CREATE INDEX runs_of_tenant ON runs (tenant, place_ms, run_id);
CREATE INDEX runs_of_workflow ON runs (workflow, place_ms, tenant, run_id);
CREATE INDEX runs_in_phase ON runs (phase, place_ms, tenant, run_id);
-- The queue, and how fast it moves.
CREATE INDEX runs_queued ON runs (place_ms, tenant, run_id) WHERE sequence < 0;
CREATE INDEX runs_started ON runs USING brin (events_from_ms) WITH (autosummarize = on);
-- New entries are collected first, but few: that halves the work of writing, and readers scan
-- 256 kB more.
CREATE INDEX runs_by_label ON runs
    USING gin (labels jsonb_path_ops) WITH (gin_pending_list_limit = 256);
CREATE INDEX runs_by_text ON runs
    USING gin (run_id gin_trgm_ops) WITH (gin_pending_list_limit = 256);
-- The planner has to know how rare a label is.
ALTER TABLE runs ALTER COLUMN labels SET STATISTICS 1000;
ALTER TABLE runs ALTER COLUMN run_id SET STATISTICS 1000;
-- A table of millions is analysed and cleaned after thousands of changes, not after a fifth of it.
ALTER TABLE runs SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02
);

-- The status events that said something new, word for word.
CREATE TABLE events (
    tenant text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    epoch integer NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    appended_ms bigint NOT NULL,
    phase text COLLATE "C" NOT NULL,
    type text NOT NULL,
    bytes integer NOT NULL,
    event text NOT NULL,
    PRIMARY KEY (tenant, run_id, sequence)
);
CREATE UNIQUE INDEX events_as_logged ON events (epoch, partition, "offset");
"""

_DOORS: Final = """
-- Topic sets beside the default one. The partitions of a door have numbers of their own in all
-- tables but `projected`: `PartitionNumbers`.
CREATE TABLE doors (
    name text COLLATE "C" PRIMARY KEY,
    number integer NOT NULL UNIQUE CHECK (number BETWEEN 1 AND 9999)
);
"""

_MIGRATIONS: Final = (_FIRST, _DOORS)
"""Each leads from the version that is its place in this tuple to the next one; never change one."""


async def migrate(connection: Connection) -> None:
    """Create the tables, or bring them to this version; replicas that start together wait.

    Raises:
        asyncpg.PostgresError: the user may not do that.
        NewerSchemaError: a newer version of Sluice has been here.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK, timeout=_PATIENCE)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL)"
        )
        found = await connection.fetchval("SELECT version FROM schema_version")
        version = 0 if found is None else found
        if version > len(_MIGRATIONS):
            raise NewerSchemaError(
                f"The database has version {version} of the tables, and this version of Sluice "
                f"knows {len(_MIGRATIONS)}. Run the newer Sluice, or use another database."
            )
        for number, statements in enumerate(_MIGRATIONS[version:], start=version + 1):
            await connection.execute(statements, timeout=_PATIENCE)
            _log.info("tables migrated", version=number)
        if version < len(_MIGRATIONS):
            await connection.execute("DELETE FROM schema_version")
            await connection.execute("INSERT INTO schema_version VALUES ($1)", len(_MIGRATIONS))


class NewerSchemaError(Exception):
    """The tables are those of a newer version; the message says what to do."""
