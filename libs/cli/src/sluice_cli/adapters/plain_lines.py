"""How a run goes on, in lines: for pipes, logs of CI and dumb terminals."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Self

from sluice_cli.domain.run_tree import RunTree
from sluice_cli.domain.state_text import waits
from sluice_client import Event
from sluice_contracts.graphs import PlannedGraph

__all__ = ["PlainLines"]


class PlainLines:
    """A view that writes a line for each change."""

    def __init__(
        self, write: Callable[[str], None], run_id: str, graph: PlannedGraph | None
    ) -> None:
        self._write = write
        self._run_id = run_id
        self._tree = RunTree(graph)
        self._shown: dict[tuple[str, ...], str] = {}
        self._last = ""

    def __enter__(self) -> Self:
        """Do nothing: there is nothing to show yet."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Do nothing: all is written."""

    def show(self, event: Event) -> None:
        """See `RunView.show`."""
        state, now = event.state, datetime.now(UTC)
        self._tree.apply(state)
        changed = []
        for line in self._tree.lines(now=now):
            # Without the time that it takes, which changes always.
            said = f"{line.name}{line.detail}" if line.is_group else f"{line.name} {line.word}"
            if line.word != "planned" and self._shown.get(line.path) != said:
                self._shown[line.path] = said
                changed.append(said)
        parts = [
            f"{state.phase}{f' {state.progress}' if state.progress else ''}",
            waits(state, now=now),
        ]
        text = "  ".join([*filter(None, parts), "; ".join(changed)]).rstrip()
        if text != self._last:
            self._last = text
            self._write(f"{now.astimezone():%H:%M:%S}  {self._run_id}  {text}")
