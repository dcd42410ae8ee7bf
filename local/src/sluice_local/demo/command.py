"""`make demo`: count the words of a book by `sluice run`, and compare with Python's own count."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from rich.console import Console

from sluice_local.demo.screen import words_table
from sluice_local.demo.words import count_words
from sluice_local.errors import LocalModeError

# The demo goes to the Sluice of this machine, by HTTP and without a token.
_NOT_FOR_THE_DEMO = ("SLUICE_BROKERS", "SLUICE_PROFILE", "SLUICE_TOKEN", "SLUICE_TOKEN_FILE")


def run_demo(url: str, *, text_file: Path, workers: int) -> int:
    """Run the demo against the Sluice at `url`; return 0 if the counts equal Python's own.

    Raises:
        LocalModeError: the text is unreadable, or the run did not succeed.
    """
    console = Console()
    own = count_words(_read(text_file))
    words = ["run", "map-reduce", "-p", f"workers={workers}", "-p", f"text=@{text_file}", "--watch"]
    console.print(f"$ {shlex.join(['sluice', *words])}", highlight=False)
    began = time.monotonic()
    outputs = _run([*words, "--output", "json", "--url", url])
    seconds = time.monotonic() - began
    counted, total = parse_outputs(outputs)
    console.print(f"\nThe most frequent of {total:,} words, after {seconds:.1f} s:")
    console.print(words_table(counted, total=total))
    if not is_same_count(counted, total=total, own=own):
        console.print("[red]Python's own count differs.[/red]")
        return 1
    console.print(f"[green]Python's own count agrees[/green]: {len(own):,} different words.")
    return 0


def _run(words: list[str]) -> dict[str, str]:
    """Type the command; return the outputs of its run."""
    environment = {
        name: value for name, value in os.environ.items() if name not in _NOT_FOR_THE_DEMO
    }
    done = subprocess.run(  # noqa: S603 - the command of this installation
        [sys.executable, "-m", "sluice_cli", *words],
        stdout=subprocess.PIPE,
        env={**environment, "SLUICE_CLI_CONFIG": os.devnull},
        check=False,
    )
    if done.returncode != 0:
        raise LocalModeError(
            f"The command above has failed with exit code {done.returncode}.",
            remedy="If no Sluice answers, start it in another terminal with `make run`, and wait "
            "until it reports that it is ready. Use --url if it has another address.",
        )
    outputs: dict[str, str] = json.loads(done.stdout)["outputs"]
    return outputs


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
