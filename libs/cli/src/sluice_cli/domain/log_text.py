"""A line of a step's log, for people and for programs."""

from typing import Any

from sluice_cli.domain.log_sources import LogSource
from sluice_client import LogLine

__all__ = ["log_document", "log_text"]


def log_text(line: LogLine, *, step: str | None, times: bool) -> str:
    """Return the line as text, as the step has written it, behind its name and its time."""
    name = f"{step} | " if step is not None else ""
    time = f"{line.time} " if times and line.time else ""
    return f"{name}{time}{line.text}"


def log_document(line: LogLine, source: LogSource) -> dict[str, Any]:
    """Return the line for programs."""
    return {
        "step": source.step,
        "name": source.name,
        "place": line.place,
        "time": line.time,
        "text": line.text,
        "truncated": line.truncated,
    }
