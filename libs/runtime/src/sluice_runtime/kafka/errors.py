"""Errors of sends and of connections."""

__all__ = ["CredentialsError", "KafkaUnavailableError", "RecordRefusedError"]


class KafkaUnavailableError(Exception):
    """No broker acknowledged the record; it may have been written nevertheless."""


class RecordRefusedError(Exception):
    """The record can never be written in this form."""


class CredentialsError(OSError):
    """Certificates, tokens or keys of a connection are unavailable; the message says why.

    At the start this error ends the process. Later it is one more failed connection, which aiokafka
    and our own loops retry; both recognise it as an OSError.
    """
