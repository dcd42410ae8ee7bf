"""The tables of the view."""

from typing import Final

__all__ = ["TABLES", "VERSION"]

VERSION: Final = 6
"""Raise it with every change of the tables or of the projection: the file is then rebuilt."""

TABLES: Final = """
-- Partitions have no type: those of the default topics are numbers, those of doors are texts.

-- A run is what its first request record and its latest status event say of it: the columns are
-- those of `ProjectedRun`. `number` is our own name of it, for the other tables.
CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    run_id TEXT NOT NULL,

    -- Its place in lists, and the workflow and the facts that are shown.
    place_ms INTEGER NOT NULL,
    workflow TEXT,
    facts TEXT,

    request_partition,
    request_offset INTEGER,
    request_workflow TEXT,
    request_fingerprint TEXT,
    request_facts TEXT,
    accepted_ms INTEGER,

    sequence INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    phase TEXT NOT NULL,
    terminal INTEGER NOT NULL,
    status_workflow TEXT,
    status_fingerprint TEXT,
    status_facts TEXT,
    progress TEXT,
    started_at TEXT,
    finished_at TEXT,
    status_ms INTEGER,
    status_partition,
    status_offset INTEGER,
    first_ms INTEGER,
    events_from_ms INTEGER,

    notice TEXT,
    notice_ms INTEGER,
    notice_partition,
    notice_offset INTEGER,

    -- Whether events before the last one were dropped to save room, and the latest that was.
    trimmed INTEGER NOT NULL DEFAULT 0,
    dropped_sequence INTEGER NOT NULL DEFAULT -1,

    UNIQUE (tenant, run_id)
);
CREATE INDEX IF NOT EXISTS runs_newest_first ON runs (place_ms, tenant, run_id);
CREATE INDEX IF NOT EXISTS runs_by_kind
    ON runs (tenant, workflow, phase, place_ms, run_id);
CREATE INDEX IF NOT EXISTS runs_queued ON runs (place_ms, tenant, run_id) WHERE sequence < 0;
CREATE INDEX IF NOT EXISTS runs_by_start ON runs (events_from_ms);

CREATE INDEX IF NOT EXISTS runs_oldest_whole ON runs (status_ms) WHERE terminal AND NOT trimmed;
CREATE INDEX IF NOT EXISTS runs_oldest_trimmed ON runs (status_ms) WHERE terminal AND trimmed;

-- How many runs there are of each kind, without those of which there are none.
CREATE TABLE IF NOT EXISTS kinds (
    tenant TEXT NOT NULL,
    workflow TEXT NOT NULL, -- '' if it is unknown
    phase TEXT NOT NULL,
    runs INTEGER NOT NULL,
    PRIMARY KEY (tenant, workflow, phase)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS runs_added AFTER INSERT ON runs BEGIN
    INSERT INTO kinds VALUES (new.tenant, COALESCE(new.workflow, ''), new.phase, 1)
    ON CONFLICT DO UPDATE SET runs = runs + 1;
END;
CREATE TRIGGER IF NOT EXISTS runs_changed AFTER UPDATE OF workflow, phase ON runs
WHEN (new.workflow, new.phase) IS NOT (old.workflow, old.phase) BEGIN
    INSERT INTO kinds VALUES (new.tenant, COALESCE(new.workflow, ''), new.phase, 1)
    ON CONFLICT DO UPDATE SET runs = runs + 1;
    UPDATE kinds SET runs = runs - 1
    WHERE tenant = old.tenant AND workflow = COALESCE(old.workflow, '') AND phase = old.phase;
END;
CREATE TRIGGER IF NOT EXISTS runs_dropped AFTER DELETE ON runs BEGIN
    UPDATE kinds SET runs = runs - 1
    WHERE tenant = old.tenant AND workflow = COALESCE(old.workflow, '') AND phase = old.phase;
END;

CREATE TABLE IF NOT EXISTS labels (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    listed_ms INTEGER NOT NULL, -- `place_ms` of the run
    number INTEGER NOT NULL,
    PRIMARY KEY (name, value, listed_ms, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS labels_of_runs ON labels (number);

-- The ids by each three characters in a row, without the ids themselves.
CREATE VIRTUAL TABLE IF NOT EXISTS ids USING fts5 (
    run_id, content = '', detail = none, tokenize = 'trigram case_sensitive 1'
);

-- Parameters of the request as canonical JSON, apart from the run, which is written more often.
CREATE TABLE IF NOT EXISTS parameters (
    number INTEGER PRIMARY KEY,
    parameters TEXT NOT NULL
);

-- The status events that said something new, word for word.
CREATE TABLE IF NOT EXISTS events (
    number INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    partition NOT NULL,
    offset INTEGER NOT NULL,
    appended_ms INTEGER NOT NULL,
    phase TEXT NOT NULL,
    type TEXT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (number, sequence)
);
CREATE UNIQUE INDEX IF NOT EXISTS events_in_order ON events (partition, offset);

-- The first offset of each partition of status topics from which on all events are here.
CREATE TABLE IF NOT EXISTS whole_from (
    partition NOT NULL PRIMARY KEY,
    offset INTEGER NOT NULL
) WITHOUT ROWID;

-- The oldest record on Kafka of each partition of requests (kind 'r') and of states ('s').
CREATE TABLE IF NOT EXISTS oldest_records (
    kind TEXT NOT NULL,
    partition NOT NULL,
    offset INTEGER NOT NULL,
    PRIMARY KEY (kind, partition)
) WITHOUT ROWID;

-- Events carry the steps that changed; this is the latest of each. Kept in order of appearance.
-- `kind` is 's' for steps and 'g' for groups of them.
CREATE TABLE IF NOT EXISTS steps (
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    step_id TEXT NOT NULL,
    step TEXT NOT NULL,
    PRIMARY KEY (number, kind, step_id)
);
"""
