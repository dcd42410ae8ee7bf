"""The types of asyncpg, which has none of its own."""

from typing import Any

__all__ = ["Connection", "Pool"]

Connection = Any
"""An asyncpg.Connection."""

Pool = Any
"""An asyncpg.Pool."""
