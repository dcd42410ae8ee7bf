"""Which runs a list, a count, a stream or a command to many is about."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypedDict

from sluice_contracts.status import Phase

__all__ = ["RunFilters", "query_of"]


class RunFilters(TypedDict, total=False):
    """What selects runs; all of it has to hold.

    `labels` have to be equal, `without_labels` different or missing. `text` is a part of the id.
    `since` and `until` are about the time at which the request was accepted.
    """

    workflow: str | None
    phases: Iterable[Phase | str]
    labels: Mapping[str, str]
    without_labels: Mapping[str, str]
    tenant: str | None
    since: datetime | None
    until: datetime | None
    text: str | None


def query_of(filters: RunFilters) -> list[tuple[str, str]]:
    """Return the filters as query parameters.

    Raises:
        ValueError: a time has no offset.
        TypeError: there is no such filter.
    """
    if unknown := set(filters) - set(RunFilters.__annotations__):
        raise TypeError(f"There is no filter {min(unknown)!r}.")
    query: list[tuple[str, str]] = []
    phases = filters.get("phases", ())
    # A text is a sequence of texts, too: of letters.
    query += [("phase", str(each)) for each in ([phases] if isinstance(phases, str) else phases)]
    query += [("label", f"{name}={value}") for name, value in filters.get("labels", {}).items()]
    query += [
        ("label", f"{name}!={value}") for name, value in filters.get("without_labels", {}).items()
    ]
    single: tuple[tuple[str, Any], ...] = (
        ("workflow", filters.get("workflow")),
        ("tenant", filters.get("tenant")),
        ("since", _rfc3339(filters.get("since"))),
        ("until", _rfc3339(filters.get("until"))),
        ("q", filters.get("text")),
    )
    return query + [(name, value) for name, value in single if value is not None]


def _rfc3339(moment: datetime | None) -> str | None:
    if moment is not None and moment.utcoffset() is None:
        raise ValueError("A time needs an offset, as in datetime.now(UTC).")
    return None if moment is None else moment.isoformat()
