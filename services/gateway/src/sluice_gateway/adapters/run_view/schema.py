"""The tables of the view."""

from typing import Final

__all__ = ["TABLES", "VERSION"]

VERSION: Final = 3
"""Raise it with every change of the tables or of the projection: the file is then rebuilt."""

TABLES: Final = """
-- A run is what its first request record and its latest status event say of it.
CREATE TABLE IF NOT EXISTS runs (
    tenant TEXT NOT NULL,
    run_id TEXT NOT NULL,

    request_partition INTEGER,
    request_offset INTEGER,
    request_workflow TEXT,
    request_fingerprint TEXT,
    accepted_ms INTEGER,

    sequence INTEGER NOT NULL DEFAULT -1,
    attempt INTEGER NOT NULL DEFAULT 1,
    phase TEXT NOT NULL DEFAULT 'Accepted',
    terminal INTEGER NOT NULL DEFAULT 0,
    status_workflow TEXT,
    status_fingerprint TEXT,
    status_ms INTEGER,
    status_partition INTEGER,
    status_offset INTEGER,

    -- Whether events before the last one were dropped to save room, and the latest that was.
    trimmed INTEGER NOT NULL DEFAULT 0,
    dropped_sequence INTEGER NOT NULL DEFAULT -1,

    PRIMARY KEY (tenant, run_id)
);
CREATE INDEX IF NOT EXISTS runs_newest_first
    ON runs (tenant, COALESCE(accepted_ms, status_ms) DESC, run_id);

CREATE INDEX IF NOT EXISTS runs_oldest_whole ON runs (status_ms) WHERE terminal AND NOT trimmed;
CREATE INDEX IF NOT EXISTS runs_oldest_trimmed ON runs (status_ms) WHERE terminal AND trimmed;

-- The status events that said something new, word for word.
CREATE TABLE IF NOT EXISTS events (
    tenant TEXT NOT NULL,
    run_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    type TEXT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (tenant, run_id, sequence)
);

-- Events carry the steps that changed; this is the latest of each. Kept in order of appearance.
CREATE TABLE IF NOT EXISTS steps (
    tenant TEXT NOT NULL,
    run_id TEXT NOT NULL,
    step_id TEXT NOT NULL,
    step TEXT NOT NULL,
    PRIMARY KEY (tenant, run_id, step_id)
);
"""
