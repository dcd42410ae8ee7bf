"""Text as PostgreSQL takes it."""

__all__ = ["storable"]


def storable(text: str) -> str:
    """Return the text without NUL, the one character that PostgreSQL cannot store."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
