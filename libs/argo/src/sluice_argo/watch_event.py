"""What a list and a watch of Workflows yield."""

from dataclasses import dataclass
from typing import Any

__all__ = ["ListComplete", "WatchEvent"]


@dataclass(frozen=True)
class WatchEvent:
    """One Workflow as it is now; `gone` if it was deleted and this is its last state."""

    workflow: dict[str, Any]
    gone: bool = False


@dataclass(frozen=True)
class ListComplete:
    """The end of a list: exactly these Workflows exist, and each was yielded before."""

    resource_version: str
    uids: frozenset[str]
