"""Which runs a list, a stream or a command to many is about, as it is typed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast, get_args

from sluice_cli.domain.moments import moment
from sluice_cli.domain.usage import UsageError
from sluice_client import DeadLetterFilters, Phase, RunFilters
from sluice_contracts.http_dead_letters import LetterState

__all__ = ["LetterSelection", "Selection", "labels_of"]

_TYPES: Final = "urn:sluice:problem:"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which runs, as it was typed."""

    workflow: str | None = None
    phases: Sequence[str] = ()
    labels: Sequence[str] = ()
    since: str | None = None
    until: str | None = None
    text: str | None = None

    def filters(self, *, tenant: str | None, now: datetime) -> RunFilters:
        """Return the filters of the client.

        Raises:
            UsageError: a phase, a label or a time is not one.
        """
        filters = RunFilters(
            workflow=self.workflow,
            tenant=tenant,
            text=self.text,
            phases=[_phase(each) for each in self.phases],
            since=None if self.since is None else moment(self.since, now=now),
            until=None if self.until is None else moment(self.until, now=now),
        )
        filters["labels"], filters["without_labels"] = _sorted(self.labels)
        return filters


@dataclass(frozen=True, kw_only=True)
class LetterSelection:
    """Which dead letters, as it was typed; `types` are those of problems, with their ends alone."""

    states: Sequence[str] = ()
    types: Sequence[str] = ()
    since: str | None = None
    until: str | None = None

    def filters(self, *, tenant: str | None, now: datetime) -> DeadLetterFilters:
        """Return the filters of the client.

        Raises:
            UsageError: a state or a time is not one.
        """
        return DeadLetterFilters(
            states=[_letter_state(each) for each in self.states],
            reasons=[each if ":" in each else f"{_TYPES}{each}" for each in self.types],
            tenant=tenant,
            since=None if self.since is None else moment(self.since, now=now),
            until=None if self.until is None else moment(self.until, now=now),
        )


def labels_of(texts: Iterable[str]) -> dict[str, str]:
    """Return the labels of a new run.

    Raises:
        UsageError: one is not like `name=value`.
    """
    equal, different = _sorted(texts)
    if different:
        raise UsageError("A label of a run must be like name=value.")
    return equal


def _sorted(texts: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    equal: dict[str, str] = {}
    different: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or name in ("", "!"):
            raise UsageError(f"{text!r} must be like name=value.")
        if name.endswith("!"):
            different[name[:-1]] = value
        else:
            equal[name] = value
    return equal, different


def _phase(text: str) -> Phase:
    for phase in Phase:
        if phase.lower() == text.lower():
            return phase
    raise UsageError(f"There is no phase {text!r}; there are {', '.join(Phase)}.")


def _letter_state(text: str) -> LetterState:
    for state in get_args(LetterState):
        if state == text:
            return cast("LetterState", state)
    raise UsageError(f"There is no state {text!r}; there are {', '.join(get_args(LetterState))}.")
