"""Whether a chart knows the values that it is given: Helm ignores the others without a word."""

import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

_VALUES = "values.yaml"


def defaults(chart: Path) -> dict[str, Any]:
    """Return the values of a chart and, below their names, those of its subcharts."""
    texts = dict(_texts(chart))
    known: dict[str, Any] = yaml.safe_load(texts[_VALUES]) or {}
    for path, text in texts.items():
        parts = path.split("/")
        if len(parts) == 3 and parts[0] == "charts" and parts[2] == _VALUES:
            theirs = yaml.safe_load(text) or {}
            known[parts[1]] = {**theirs, **(known.get(parts[1]) or {})}
    return known


def _texts(chart: Path) -> Iterator[tuple[str, str]]:
    if chart.is_dir():
        for file in chart.rglob(_VALUES):
            yield file.relative_to(chart).as_posix(), file.read_text("utf-8")
        return
    with tarfile.open(chart) as packed:
        for member in packed:
            opened = packed.extractfile(member)
            if member.name.endswith(f"/{_VALUES}") and opened is not None:
                yield member.name.partition("/")[2], opened.read().decode()


def unknown(
    given: Mapping[str, Any], known: Mapping[str, Any], *, free: frozenset[str], path: str = ""
) -> Iterator[str]:
    """Yield the paths of values that a chart does not know.

    Args:
        given: Our values.
        known: The chart's own; an empty mapping takes anything.
        free: Paths that are right although the chart's own values lack them or what is below.
        path: Where both are.
    """
    for name, value in given.items():
        place = f"{path}.{name}".removeprefix(".")
        if place in free:
            continue
        if name not in known:
            yield place
        elif isinstance(value, Mapping) and isinstance(known[name], Mapping) and known[name]:
            yield from unknown(value, known[name], free=free, path=place)
