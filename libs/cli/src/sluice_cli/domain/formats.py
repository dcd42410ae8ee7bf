"""How the result of a command is written."""

from enum import StrEnum

__all__ = ["Format"]


class Format(StrEnum):
    """Choices of `--output`."""

    TABLE = "table"
    """For people."""
    JSON = "json"
    """One document."""
    NDJSON = "ndjson"
    """A document on each line, as it comes."""
    NAME = "name"
    """Ids or names alone, for other commands."""
