"""Names of partitions, where runs have several topics of requests and several of states; pure.

Ids of events and cursors have these names, so they hold on every replica.
"""

from typing import Final

from sluice_contracts.topic_sets import TopicSets

__all__ = ["PARTITION", "LogPartition", "door_and_number", "log_partition", "parse_partition"]

LogPartition = int | str
"""A partition: of the default topic its number, of a door's topic the text `door/number`."""

PARTITION: Final = r"(?:[a-z0-9-]{1,63}/)?[0-9]{1,5}"
"""A regular expression for a partition as text."""


def log_partition(topics: TopicSets, topic: str, number: int) -> LogPartition:
    """Return the name of a topic's partition."""
    door = topics.of_topic(topic).name
    return f"{door}/{number}" if door else number


def parse_partition(text: str) -> LogPartition:
    """Read the text of a partition, which is one."""
    door, number = door_and_number(text)
    return f"{door}/{number}" if door else number


def door_and_number(partition: LogPartition) -> tuple[str, int]:
    """Return the name of the door, empty for the default topic, and the number: also their order.

    Partitions of the default topic come first.
    """
    door, _, number = str(partition).rpartition("/")
    return door, int(number)
