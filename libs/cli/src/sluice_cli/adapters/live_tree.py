"""The steps of a run on a terminal, as they change."""

import threading
from datetime import UTC, datetime
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from sluice_cli.adapters.styles import printable, style_of
from sluice_cli.domain.run_tree import RunTree
from sluice_cli.domain.state_text import headline
from sluice_client import Event
from sluice_contracts.graphs import PlannedGraph
from sluice_contracts.status import StatusEvent

__all__ = ["LiveTree"]

_PER_SECOND: Final = 4


class LiveTree:
    """A view that is drawn in place; what it has shown last stays on the terminal."""

    def __init__(self, console: Console, run_id: str, graph: PlannedGraph | None) -> None:
        self._console = console
        self._run_id = run_id
        self._tree = RunTree(graph)
        self._state: StatusEvent | None = None
        # rich draws in a thread of its own, so that times go on between events.
        self._changing = threading.Lock()
        self._live = Live(
            console=console,
            get_renderable=self._drawn,
            refresh_per_second=_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start(refresh=True)
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop, and leave what was drawn last: all of it, if it was higher than the terminal."""
        self._live.stop()
        self._console.print(self._drawn())

    def show(self, event: Event) -> None:
        """See `RunView.show`."""
        with self._changing:
            self._state = event.state
            self._tree.apply(event.state)

    def _drawn(self) -> Group:
        now = datetime.now(UTC)
        with self._changing:
            lines = self._tree.lines(now=now)
            state = self._state
        head = f"{self._run_id}  ..." if state is None else headline(state, now=now)
        phase = "" if state is None else state.phase
        return Group(
            Text(printable(head), style=f"bold {style_of(phase)}".strip(), no_wrap=True),
            *(
                Text(f"  {printable(str(line))}", style=style_of(line.word), no_wrap=True)
                for line in lines
            ),
        )
