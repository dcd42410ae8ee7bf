"""The partition of a key is that of every other client."""

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from sluice_runtime.kafka.partitioning import choose_partition


@given(key=st.binary(max_size=70), partitions=st.integers(1, 100))
def test_a_key_is_in_the_partition_that_aiokafka_chooses(key: bytes, partitions: int) -> None:
    every = list(range(partitions))
    assert choose_partition(key, every, []) == DefaultPartitioner()(key, every, every)


def test_a_record_without_a_key_goes_where_there_is_a_leader() -> None:
    assert choose_partition(None, [0, 1, 2], [2]) == 2
    assert {choose_partition(None, [0, 1], []) for _ in range(100)} == {0, 1}
