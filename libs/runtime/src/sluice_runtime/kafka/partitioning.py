"""Which partition a record's key chooses: the same one as by the Java client's default."""

import random
import struct
from collections.abc import Sequence
from typing import Final

__all__ = ["choose_partition"]

_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF
_SEED: Final = 0x9747B28C


def choose_partition(key: bytes | None, partitions: Sequence[int], available: Sequence[int]) -> int:
    """Return one of a topic's partitions, as aiokafka's default partitioner does in less time.

    A record without a key goes to any of those that are available.
    """
    if key is None:
        return random.choice(available or partitions)  # noqa: S311 - spreads load
    return partitions[(_murmur2(key) & 0x7FFFFFFF) % len(partitions)]


def _murmur2(data: bytes) -> int:
    """Return what `org.apache.kafka.common.utils.Utils.murmur2` does, four bytes at a time."""
    length = len(data)
    h = _SEED ^ length
    words = length // 4
    for word in struct.unpack_from(f"<{words}I", data):
        k = word * _M & _MASK
        h = (h * _M & _MASK) ^ ((k ^ k >> 24) * _M & _MASK)
    if length % 4:
        h = (h ^ int.from_bytes(data[words * 4 :], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15
