"""Run the user's command in the foreground."""

import contextlib
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from testbed.errors import Terminated, TestbedError


def command_of(words: Sequence[str]) -> list[str]:
    """Return the command in the rest of a command line.

    Raises:
        TestbedError: there is none, or no such program.
    """
    command = list(words[1:] if words[:1] == ["--"] else words)
    if not command:
        raise TestbedError(
            "There is no command to run.", way_out="Write it after the options; see `--help`."
        )
    if shutil.which(command[0]) is None:
        raise TestbedError(f"There is no program {command[0]} on this computer.")
    return command


def call(command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> int:
    """Run it to its end and return its exit code.

    An interrupted caller waits for it, because it may have much to put in order.
    """
    with subprocess.Popen(command, env=None if environment is None else dict(environment)) as child:
        try:
            return child.wait()
        except KeyboardInterrupt as interrupt:
            # Ctrl-C reaches both processes, any other signal only this one.
            if isinstance(interrupt, Terminated):
                child.terminate()
            with contextlib.suppress(KeyboardInterrupt):
                child.wait()
            raise
