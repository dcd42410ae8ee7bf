"""What can become of a send, apart from success, and what keeps a connection from being made."""

__all__ = ["CredentialsError", "KafkaUnavailableError", "RecordRefusedError"]


class KafkaUnavailableError(Exception):
    """Nobody acknowledged the record; it may have been written all the same."""


class RecordRefusedError(Exception):
    """The record can never be written as it is."""


class CredentialsError(OSError):
    """What a connection is secured or authenticated with cannot be had; the message says why.

    At the start it ends the process. Later it is one more failed connection, which aiokafka and our
    own loops try again; both know such by OSError.
    """
