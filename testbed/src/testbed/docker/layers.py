"""What an image consists of, and what it adds to its base."""

import json
from dataclasses import dataclass

from testbed.docker.daemon import Daemon


@dataclass(frozen=True)
class Layer:
    """One line of an image's history; ``size`` in bytes."""

    made_by: str
    size: int


def history(docker: Daemon, image: str) -> list[Layer]:
    """Return an image's history, the newest first."""
    lines = docker.docker(
        *("history", "--no-trunc", "--human=false", "--format", "{{json .}}", image)
    )
    entries = map(json.loads, lines.splitlines())
    return [Layer(entry["CreatedBy"], int(entry["Size"])) for entry in entries]


def on_top(docker: Daemon, image: str, *, base: str) -> list[Layer]:
    """Return what an image adds to its base, the newest first.

    Raises:
        ValueError: the image was not built from that base.
    """
    whole, below = history(docker, image), history(docker, base)
    if whole[len(whole) - len(below) :] != below:
        raise ValueError(f"The image {image} was not built from {base}.")
    return whole[: len(whole) - len(below)]
