"""Announces to all replicas what was projected, so that none has to ask.

PostgreSQL delivers a notification when the transaction that sent it commits, to every connection
that listens (https://www.postgresql.org/docs/current/sql-notify.html). It has room for 8,000
bytes, so runs are named by hashes: one that is mistaken for another wakes a reader in vain.
"""

import base64
import json
import struct
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Self

from sluice_gateway.adapters.run_store_postgres.types import Connection

__all__ = ["CHANNEL", "Announcement", "key_hash"]

CHANNEL: Final = "sluice_runs"

# Four bytes each, in base64, beside the offsets.
_MOST_HASHES: Final = 1000


def key_hash(key: str) -> int:
    """Return the 32 bits that name a run, whose key this is, in an announcement."""
    return zlib.crc32(key.encode())


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """A transaction moved the partitions of `topic` to `offsets`, and changed runs.

    `hashes` are theirs.
    """

    topic: str
    offsets: Mapping[int, int]
    hashes: frozenset[int]

    async def send(self, connection: Connection) -> None:
        """Notify when the transaction commits, in as many parts as it takes."""
        hashes = sorted(self.hashes)
        parts = [hashes[at : at + _MOST_HASHES] for at in range(0, len(hashes), _MOST_HASHES)]
        await connection.executemany(
            "SELECT pg_notify($1, $2)",
            [(CHANNEL, self._payload(part)) for part in parts or [[]]],
        )

    def _payload(self, hashes: Collection[int]) -> str:
        packed = base64.b64encode(struct.pack(f">{len(hashes)}I", *hashes)).decode()
        return json.dumps([self.topic, list(self.offsets.items()), packed])

    @classmethod
    def parse(cls, payload: str) -> Self:
        """Read what `send` sent."""
        topic, offsets, packed = json.loads(payload)
        hashes = base64.b64decode(packed)
        return cls(
            topic=topic,
            offsets=dict(offsets),
            hashes=frozenset(struct.unpack(f">{len(hashes) // 4}I", hashes)),
        )
