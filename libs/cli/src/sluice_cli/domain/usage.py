"""A command that cannot be carried out as it was typed."""

__all__ = ["UsageError"]


class UsageError(Exception):
    """What was typed, or a file that it names, is wrong; the message says where and what to do."""
