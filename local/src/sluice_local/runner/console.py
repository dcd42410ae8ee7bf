"""The terminal: lines of several processes in one format."""

import sys
import threading
from collections.abc import Callable
from datetime import datetime
from typing import TextIO

from sluice_local.kafka.jars import FetchProgress
from sluice_local.runner.rendering import render


class Console:
    """Writes lines from several threads."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Write a text unchanged."""
        with self._lock:
            try:
                self._stream.write(text + "\n")
                self._stream.flush()
            except BrokenPipeError:
                # The reader is gone; the log files still get all lines.
                return

    def lines_of(self, name: str) -> Callable[[str], None]:
        """Return a function that writes the lines of a process."""
        return lambda line: self.write(
            render(name, line, now=datetime.now().astimezone(), coloured=self._terminal)
        )

    def fetching(self, progress: FetchProgress) -> None:
        """Show the progress of fetching Kafka: in place, or one line per ten jars."""
        text = f"Fetching Apache Kafka (first start only): {progress}"
        if self._terminal:
            end = "\n" if progress.done == progress.total else ""
            self._stream.write(f"\r{text}\x1b[K{end}")
            self._stream.flush()
        elif progress.done % 10 == 0 or progress.done == progress.total:
            self.write(text)
