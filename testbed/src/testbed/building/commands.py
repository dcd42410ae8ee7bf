"""Run another program, with its output in the error if it fails."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed.errors import TestbedError

_LAST_LINES = 25


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: str | None = None,
    way_out: str = "",
) -> str:
    """Run a command to its end and return what it printed.

    Raises:
        TestbedError: it failed, or does not exist; holds its last lines.
    """
    line = " ".join(map(str, command))
    try:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=cwd,
            env=None if environment is None else dict(environment),
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise TestbedError(f"{command[0]} is not installed.", way_out=way_out) from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()[-_LAST_LINES:]
        raise TestbedError(
            "\n".join([f"`{line}` failed ({done.returncode}):", *said]), way_out=way_out
        )
    return done.stdout
