"""The error of the release script."""

__all__ = ["ReleaseError"]


class ReleaseError(Exception):
    """A release cannot continue; the message says why, and what to do."""
