"""The terminal: lines of several processes, whole and in one format."""

import sys
import threading
from collections.abc import Callable
from datetime import datetime
from typing import TextIO

from sluice_local.kafka.jars import FetchProgress
from sluice_local.runner.rendering import render


class Console:
    """Writes lines that come from several threads."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Write a text as it is."""
        with self._lock:
            try:
                self._stream.write(text + "\n")
                self._stream.flush()
            except BrokenPipeError:
                # Nobody reads any more; the log files still get every line.
                return

    def lines_of(self, name: str) -> Callable[[str], None]:
        """Return what shows the lines of a process."""
        return lambda line: self.say(
            render(name, line, now=datetime.now().astimezone(), coloured=self._terminal)
        )

    def fetching(self, progress: FetchProgress) -> None:
        """Show how far the fetching of Kafka has come: in place, or a line every ten jars."""
        text = f"Fetching Apache Kafka, this once: {progress}"
        if self._terminal:
            end = "\n" if progress.done == progress.total else ""
            self._stream.write(f"\r{text}\x1b[K{end}")
            self._stream.flush()
        elif progress.done % 10 == 0 or progress.done == progress.total:
            self.say(text)
