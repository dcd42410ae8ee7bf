"""What can become of a send, apart from success."""

__all__ = ["KafkaUnavailableError", "RecordRefusedError"]


class KafkaUnavailableError(Exception):
    """Nobody acknowledged the record; it may have been written all the same."""


class RecordRefusedError(Exception):
    """The record can never be written as it is."""
