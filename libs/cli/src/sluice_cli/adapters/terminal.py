"""Writes to the terminal: results to standard output, everything else to standard error."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from sluice_cli.adapters.live_tree import LiveTree
from sluice_cli.adapters.plain_lines import PlainLines
from sluice_cli.adapters.styles import json_text, printable, style_of
from sluice_cli.domain.formats import Format
from sluice_cli.domain.state_text import event_line, outcome_lines
from sluice_cli.domain.tables import Table, plain_lines
from sluice_cli.ports import Document, RunView
from sluice_client import Event
from sluice_contracts.graphs import PlannedGraph
from sluice_contracts.status import StatusEvent

__all__ = ["Terminal"]

_INDENT: Final = 2


class Terminal:
    """The screen of a command; see `ports.Screen`.

    Args:
        format: of the results.
        out: gets the results.
        err: gets notes, errors, and how runs go on.
    """

    def __init__(self, format: Format, *, out: TextIO, err: TextIO) -> None:  # noqa: A002 - as typed
        self._format = format
        self._file = out
        self._out = Console(file=out, highlight=False, markup=False, emoji=False)
        self._err = Console(file=err, highlight=False, markup=False, emoji=False)

    def now(self) -> datetime:
        """See `Screen.now`."""
        return datetime.now(UTC)

    def result(self, document: Document, *, lines: Iterable[str], name: str) -> None:
        """See `Screen.result`."""
        match self._format:
            case Format.TABLE:
                for line in lines:
                    self._write(printable(line))
            case Format.JSON:
                self._write(json_text(_plain(document), indent=_INDENT))
            case Format.NDJSON:
                self._write(json_text(_plain(document)))
            case Format.NAME:
                self._write(name)

    def results(self, documents: Sequence[Document], *, table: Table, names: Sequence[str]) -> None:
        """See `Screen.results`."""
        match self._format:
            case Format.TABLE:
                self._table(table)
            case Format.JSON:
                shown = [_plain(each) for each in documents]
                self._write(json_text(shown, indent=_INDENT))
            case Format.NDJSON:
                for each in documents:
                    self._write(json_text(_plain(each)))
            case Format.NAME:
                for name in names:
                    self._write(name)

    def event(self, event: Event) -> None:
        """See `Screen.event`."""
        match self._format:
            case Format.TABLE:
                line = event_line(event, now=self.now())
                style = style_of(event.state.phase) if self._out.is_terminal else ""
                self._out.print(Text(printable(line), style=style), soft_wrap=True)
            case Format.NAME:
                self._write(event.state.run_id)
            case Format.JSON | Format.NDJSON:
                state = _plain(event.state)
                shown = {"place": event.place, "type": event.type, "state": state}
                self._write(json_text(shown))
        # A reader at the other end of a pipe waits for it.
        self._out.file.flush()

    def log(self, document: Document, *, text: str) -> None:
        """See `Screen.log`."""
        match self._format:
            case Format.JSON | Format.NDJSON:
                self._write(json_text(_plain(document)))
            case Format.TABLE | Format.NAME if self._file.isatty():
                self._write(printable(text))
            case Format.TABLE | Format.NAME:
                # Whatever the locale is, and whatever NO_COLOR and its relatives say.
                self._file.buffer.write(f"{text}\n".encode(errors="replace"))
        self._file.flush()

    def note(self, text: str) -> None:
        """See `Screen.note`."""
        self._err.print(Text(printable(text)), soft_wrap=True)

    def hint(self, text: str) -> None:
        """See `Screen.hint`."""
        if self._format is Format.TABLE:
            self.note(text)

    def error(self, text: str) -> None:
        """Say what went wrong."""
        self._err.print(Text(printable(text), style="red"), soft_wrap=True)

    def view(self, run_id: str, graph: PlannedGraph | None) -> AbstractContextManager[RunView]:
        """See `Screen.view`."""
        # Both are on standard error, so that standard output has the outcome alone.
        if self._err.is_terminal and not self._err.is_dumb_terminal:
            return LiveTree(self._err, run_id, graph)
        return PlainLines(self.note, run_id, graph)

    def outcome(self, state: StatusEvent) -> None:
        """See `Screen.outcome`."""
        self.result(state, lines=outcome_lines(state, now=self.now()), name=state.run_id)

    def _table(self, table: Table) -> None:
        if not self._out.is_terminal:
            for line in plain_lines(table):
                self._write(printable(line))
            return
        shown = RichTable(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
        for heading in table.headings:
            shown.add_column(heading, header_style="bold")
        for row in table.rows:
            shown.add_row(*(Text(printable(cell), style=style_of(cell)) for cell in row))
        self._out.print(shown)

    def _write(self, text: str) -> None:
        # Not by rich: it would wrap lines, and look for markup.
        self._out.file.write(f"{text}\n")


def _plain(document: Document) -> Any:  # noqa: ANN401 - JSON
    return document.model_dump(mode="json") if isinstance(document, BaseModel) else document
