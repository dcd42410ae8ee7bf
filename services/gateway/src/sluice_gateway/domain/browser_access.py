"""What browsers may do here for pages of which sites."""

from dataclasses import dataclass

__all__ = ["BrowserAccess"]


@dataclass(frozen=True, kw_only=True)
class BrowserAccess:
    """`public_origin` is ours, as browsers see it; None if nobody can sign in.

    Pages of `other_origins` may read answers (CORS), but never with our cookie.
    """

    public_origin: str | None = None
    other_origins: frozenset[str] = frozenset()
