"""The output of the demo: its progress, then the words."""

from collections import Counter
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

_WORDS_SHOWN = 10


class ProgressScreen:
    """One line of progress; without a terminal, one line per change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: tuple[str, str] | None = None
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<10}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} steps"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("Accepted", total=0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, event: dict[str, Any]) -> None:
        """Show a status event."""
        phase, progress = str(event["phase"]), str(event.get("progress") or "0/0")
        done, total = parse_progress(progress)
        self._progress.update(self._task, description=phase, completed=done, total=total)
        if not self._console.is_terminal and (phase, progress) != self._shown:
            self._console.print(f"  {phase}  {progress}")
        self._shown = (phase, progress)


def parse_progress(text: str) -> tuple[int, int]:
    """Parse Argo's progress, `done/total`."""
    done, _, total = text.partition("/")
    return int(done), int(total)


def words_table(counts: Counter[str], *, total: int) -> Table:
    """Return the most frequent words, with their counts and their share of all words."""
    table = Table()
    table.add_column("word")
    table.add_column("count", justify="right")
    table.add_column("share", justify="right")
    for word, count in counts.most_common(_WORDS_SHOWN):
        table.add_row(word, f"{count:,}", f"{count / total:.1%}")
    return table
