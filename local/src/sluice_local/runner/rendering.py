"""Log lines for people: one format for JSON and plain lines. Pure."""

import json
import re
from datetime import datetime, tzinfo
from typing import Any

NAME_WIDTH = len("status-watcher")

# The columns have them already, or they are the same on all lines.
_SHOWN_ELSEWHERE = frozenset({"event", "level", "timestamp", "service", "logger", "exception"})
_PLAIN = re.compile(r"(?P<time>\d\d:\d\d:\d\d) (?P<rest>.*)", re.DOTALL)
_BARE = re.compile(r"[^\s\"'=]+")
_COLOURS = {
    "kafka": 35,
    "engine": 34,
    "gateway": 36,
    "dispatcher": 32,
    "status-watcher": 33,
    "log-relay": 31,
}
_LEVELS = {"warning": ("WARNING ", 33), "error": ("ERROR ", 31), "critical": ("CRITICAL ", 31)}


def render(name: str, line: str, *, now: datetime, coloured: bool) -> str:
    """Return a line of the process `name` as `12:03:44 name  message key=value`.

    JSON lines of structlog are formatted, other lines stay unchanged. Times are in the time zone of
    `now`, which is also the time of lines without one.
    """
    entry = _parse(line)
    if entry is None:
        match = _PLAIN.fullmatch(line)
        time, text = (match["time"], match["rest"]) if match else (f"{now:%H:%M:%S}", line)
    else:
        time, text = _time(entry.get("timestamp"), now), _message(entry, coloured=coloured)
    prefix = _paint(f"{name:<{NAME_WIDTH}}", _COLOURS.get(name, 37), coloured=coloured)
    return f"{_paint(time, 90, coloured=coloured)} {prefix}  {text}"


def _parse(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "event" in entry else None


def _time(timestamp: object, now: datetime) -> str:
    try:
        moment = datetime.fromisoformat(str(timestamp))
    except ValueError:
        moment = now
    zone: tzinfo | None = now.tzinfo
    return f"{moment.astimezone(zone):%H:%M:%S}"


def _message(entry: dict[str, Any], *, coloured: bool) -> str:
    word, colour = _LEVELS.get(str(entry.get("level")), ("", 0))
    fields = [
        f"{_paint(key + '=', 90, coloured=coloured)}{_value(value)}"
        for key, value in entry.items()
        if key not in _SHOWN_ELSEWHERE
    ]
    level = _paint(word, colour, coloured=coloured) if word else ""
    text = " ".join([f"{level}{entry['event']}", *fields])
    trace = str(entry.get("exception") or "")
    return text + "".join(f"\n    {line}" for line in trace.splitlines())


def _value(value: object) -> str:
    if isinstance(value, str) and _BARE.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _paint(text: str, colour: int, *, coloured: bool) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if coloured else text
