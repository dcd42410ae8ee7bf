"""How runs leave the view that the topics have forgotten; within a transaction."""

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sluice_contracts.topic_sets import TopicSets
from sluice_gateway.adapters.run_view.dropping import drop_runs
from sluice_gateway.domain.partitions import log_partition
from sluice_gateway.domain.run_changes import milliseconds

__all__ = ["expire_runs"]

# The topics hold nothing any more, or they are of a door that was closed and are not read.
_FORGOTTEN: Final = """
(request_offset IS NULL OR COALESCE(request_offset < (
    SELECT offset FROM oldest_records WHERE kind = 'r' AND partition = request_partition
), typeof(request_partition) = 'text'))
AND (COALESCE(status_offset, notice_offset) IS NULL
     OR COALESCE(COALESCE(status_offset, notice_offset) < (
        SELECT offset FROM oldest_records
        WHERE kind = 's' AND partition = COALESCE(status_partition, notice_partition)
    ), typeof(COALESCE(status_partition, notice_partition)) = 'text'))
"""

# Runs that are over and old, each kind by its own index, and those that never began.
_OVER: Final = f"""
SELECT number FROM (
    SELECT number FROM runs
    WHERE terminal AND NOT trimmed AND status_ms <= ?1 AND {_FORGOTTEN}
    UNION ALL
    SELECT number FROM runs
    WHERE terminal AND trimmed AND status_ms <= ?1 AND {_FORGOTTEN}
    UNION ALL
    SELECT number FROM runs WHERE sequence < 0 AND {_FORGOTTEN}
) LIMIT ?2
"""  # noqa: S608

_NEWEST: Final = "SELECT COALESCE(MAX(timestamp_ms), 0) FROM last_records"

# Runs per transaction, so that readers come in between.
_BATCH: Final = 500

_STARTS: Final = """
SELECT topic, partition, first_offset, COALESCE(next_offset, 0)
FROM log_starts LEFT JOIN projected_offsets USING (topic, partition)
"""

_NOTE_OLDEST: Final = "INSERT OR REPLACE INTO oldest_records VALUES (?, ?, ?)"
_NOTE_MISSED: Final = "INSERT OR REPLACE INTO whole_from VALUES (?, ?)"


def expire_runs(
    connection: sqlite3.Connection,
    *,
    topics: TopicSets,
    history: timedelta,
    now: Callable[[], datetime],
) -> bool:
    """Drop finished runs that are older than the history and no longer on the topics.

    A run that goes on is kept. A clock that is wrong for a moment empties nothing: both ours and
    Kafka's have to say that a run is old.
    """
    _note_starts(connection, topics)
    [(newest_ms,)] = connection.execute(_NEWEST)
    oldest_ms = min(newest_ms, milliseconds(now())) - history // timedelta(milliseconds=1)
    found = connection.execute(_OVER, (oldest_ms, _BATCH))
    over = [number for (number,) in found]
    drop_runs(connection, over)
    return len(over) == _BATCH


def _note_starts(connection: sqlite3.Connection, topics: TopicSets) -> None:
    """Note the oldest records that Kafka has, by the names which partitions have here.

    Events that a topic deleted before they were read here are missing.
    """
    oldest, missed = [], []
    for topic, number, first_offset, next_offset in connection.execute(_STARTS):
        is_status = topic in topics.status
        if not is_status and topic not in topics.requests:
            # Of a door that there was.
            continue
        partition = log_partition(topics, topic, number)
        oldest.append(("s" if is_status else "r", partition, first_offset))
        if is_status and first_offset > next_offset:
            missed.append((partition, first_offset))
    connection.execute("DELETE FROM oldest_records")
    connection.executemany(_NOTE_OLDEST, oldest)
    connection.executemany(_NOTE_MISSED, missed)
