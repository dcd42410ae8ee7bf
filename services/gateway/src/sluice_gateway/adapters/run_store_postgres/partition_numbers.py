"""Partitions as numbers: the tables have one integer for the partition of any topic.

Those of the default topics keep Kafka's numbers. A door has a number here, for as long as the
database exists, and its partitions follow on 100,000 times that.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from sluice_gateway.adapters.run_store_postgres.types import Connection
from sluice_gateway.domain.partitions import LogPartition, door_and_number

__all__ = ["PER_DOOR", "PartitionNumbers"]

PER_DOOR: Final = 100_000
"""More partitions than a topic has."""

# Any number that nothing else in the database locks.
_LOCK: Final = 7_140_622_017

# No door has a name like that.
_UNNAMED: Final = re.compile("-[0-9]{1,4}")

_ADD: Final = """
INSERT INTO doors (name, number) SELECT $1, COALESCE(max(number), 0) + 1 FROM doors
"""


class PartitionNumbers:
    """The numbers of all partitions; `doors` are those of the doors, from 1 on."""

    def __init__(self, doors: Mapping[str, int]) -> None:
        self._begins = {"": 0} | {name: number * PER_DOOR for name, number in doors.items()}
        self._doors = {begin // PER_DOOR: name for name, begin in self._begins.items()}

    @classmethod
    async def load(cls, connection: Connection, doors: Iterable[str]) -> "PartitionNumbers":
        """Read the numbers of all doors that there ever were; new ones are given one."""
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            known = {name for (name,) in await connection.fetch("SELECT name FROM doors")}
            for name in sorted(set(doors) - known):
                await connection.execute(_ADD, name)
            rows = await connection.fetch("SELECT name, number FROM doors")
        return cls(dict(rows))

    def begin_of(self, door: str) -> int:
        """Return the number of a door's first partition; a name that is empty is the default."""
        return self._begins[door]

    def number_of(self, partition: LogPartition) -> int | None:
        """Return the number of a partition; None for one that there never was."""
        door, number = door_and_number(partition)
        begin = self._begins.get(door)
        if begin is None and _UNNAMED.fullmatch(door):
            begin = int(door[1:]) * PER_DOOR
        return None if begin is None or number >= PER_DOOR else begin + number

    def name_of(self, number: int) -> LogPartition:
        """Return the partition that has this number.

        A newer replica may have opened a door of which this one knows the number alone.
        """
        door = self._doors.get(number // PER_DOOR, f"-{number // PER_DOOR}")
        return f"{door}/{number % PER_DOOR}" if door else number
