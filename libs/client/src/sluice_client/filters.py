"""Which runs a list, a count, a stream or a command to many is about."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypedDict

from sluice_contracts.status import Phase, StatusEvent

__all__ = ["RunFilters", "pairs", "query_of", "rfc3339", "selects"]


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
    labels, without = filters.get("labels", {}), filters.get("without_labels", {})
    return [
        *pairs("phase", filters.get("phases", ())),
        *pairs("label", [f"{name}={value}" for name, value in labels.items()]),
        *pairs("label", [f"{name}!={value}" for name, value in without.items()]),
        *pairs("workflow", filters.get("workflow")),
        *pairs("tenant", filters.get("tenant")),
        *pairs("since", rfc3339(filters.get("since"))),
        *pairs("until", rfc3339(filters.get("until"))),
        *pairs("q", filters.get("text")),
    ]


def selects(filters: RunFilters, state: StatusEvent) -> bool:
    """Return whether the filters select an event, as those of the gateway do."""
    phases = [str(each) for each in filters.get("phases", ())]
    labels, without = filters.get("labels", {}), filters.get("without_labels", {})
    since, until, accepted = filters.get("since"), filters.get("until"), state.accepted_at
    return (
        filters.get("workflow") in (None, state.workflow)
        and filters.get("tenant") in (None, state.tenant)
        and (not phases or state.phase in phases)
        and (filters.get("text") or "") in state.run_id
        and all(state.labels.get(name) == value for name, value in labels.items())
        and all(state.labels.get(name) != value for name, value in without.items())
        and (since is None or (accepted is not None and accepted >= since))
        and (until is None or (accepted is not None and accepted < until))
    )


def pairs(name: str, values: Iterable[str] | None) -> list[tuple[str, str]]:
    """Return a query parameter with each of its values, or with a single one; None has none."""
    # A text is a sequence of texts, too: of letters.
    single = isinstance(values, str)
    return [(name, str(each)) for each in ([values] if single else values or ())]


def rfc3339(moment: datetime | None) -> str | None:
    """Return the time as text.

    Raises:
        ValueError: it has no offset.
    """
    if moment is not None and moment.utcoffset() is None:
        raise ValueError("A time needs an offset, as in datetime.now(UTC).")
    return None if moment is None else moment.isoformat()
