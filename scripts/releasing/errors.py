"""What can go wrong."""

__all__ = ["ReleaseError"]


class ReleaseError(Exception):
    """Why a release cannot go on, and what to do."""
