"""`make demo`: count the words of a book, and compare with Python's own count."""

import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console

from sluice_local.demo.client import follow, start_run
from sluice_local.demo.screen import ProgressScreen, words_table
from sluice_local.demo.words import count_words
from sluice_local.errors import LocalModeError

_GIVE_UP_SECONDS = 300.0


def run_demo(url: str, *, text_file: Path, workers: int) -> int:
    """Run the demo against the Sluice at `url`; return 0 if the counts equal Python's own.

    Raises:
        LocalModeError: Sluice does not answer, the text is unreadable, or the run failed.
    """
    return asyncio.run(_demo(url, _read(text_file), workers=workers, console=Console()))


async def _demo(url: str, text: str, *, workers: int, console: Console) -> int:
    size = len(text.encode()) / 1000
    console.print(f"{size:,.0f} kB of text go to map-reduce at {url}, {workers} workers.")
    began = time.monotonic()
    event = await _run_to_its_end(url, text, workers=workers, console=console)
    seconds = time.monotonic() - began
    if event["phase"] != "Succeeded":
        raise LocalModeError(
            f"Run {event['run_id']} ended {event['phase']}: {event.get('message') or 'no message'}",
            remedy="See the terminal of `make run` and its logs.",
        )
    counted, total = parse_outputs(event["outputs"])
    own = count_words(text)
    console.print(f"\nThe most frequent of {total:,} words:")
    console.print(words_table(counted, total=total))
    console.print(f"Run {event['run_id']} took {seconds:.1f} s.")
    if not is_same_count(counted, total=total, own=own):
        console.print("[red]Python's own count differs.[/red]")
        return 1
    console.print(f"[green]Python's own count agrees[/green]: {len(own):,} different words.")
    return 0


async def _run_to_its_end(url: str, text: str, *, workers: int, console: Console) -> dict[str, Any]:
    timeout = aiohttp.ClientTimeout(total=_GIVE_UP_SECONDS)
    # A terminal event has all steps and the counts, in one line of up to a megabyte.
    async with aiohttp.ClientSession(timeout=timeout, read_bufsize=2**22) as http:
        run_url = await start_run(
            http, url, workflow="map-reduce", parameters={"workers": workers, "text": text}
        )
        console.print(f"Accepted: {run_url}")
        with ProgressScreen(console) as screen:
            async for event in follow(http, run_url):
                screen.show(event)
    return event


def parse_outputs(outputs: dict[str, str]) -> tuple[Counter[str], int]:
    """Return the counts and the total of map-reduce's outputs."""
    return Counter(json.loads(outputs["counts"])), int(outputs["total"])


def is_same_count(counted: Counter[str], *, total: int, own: Counter[str]) -> bool:
    """Return whether the count equals Python's own; a long one has the most frequent words only."""
    complete = len(counted) == len(own) or len(counted) >= 1000  # noqa: PLR2004
    return complete and total == own.total() and all(own[w] == n for w, n in counted.items())


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LocalModeError(
            f"The text {file} cannot be read: {error}.", remedy="Name one with --text FILE."
        ) from error
