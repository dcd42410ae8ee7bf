"""docs/tutorial.md does what it says: its commands are executed, in the order of the page."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from sluice_local.ports import free_ports
from sluice_local.processes import ChildProcess
from tests.support.client import OUTCOME_SECONDS
from tests.unit.docs.pages import ROOT
from tests.unit.runtime.clock import pause

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PAGE = (ROOT / "docs/tutorial.md").read_text("utf-8")
LOCAL = re.compile(r'make run(?: ARGS="(.*)")?')
BLOCK = re.compile(r"^```sh\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
REFUSED = "readers=0"


class Block(NamedTuple):
    """Commands, and a part of what they print."""

    commands: str
    prints: str


def blocks() -> list[Block]:
    return [Block(commands, prints.strip()) for commands, prints in BLOCK.findall(PAGE)]


@contextmanager
def running(arguments: str, *, folder: Path, http_port: int) -> Iterator[None]:
    """Run what `make run` runs, on ports that are free."""
    ready = threading.Event()
    runner = ChildProcess(
        "runner",
        [
            *(sys.executable, "-m", "sluice_local", "run", f"--data-dir={folder / 'data'}"),
            *(f"--{part}-port=0" for part in ("kafka", "engine", "health")),
            f"--http-port={http_port}",
            *(["--workflows", str(folder / arguments.split()[1])] if arguments else []),
        ],
        log_path=folder / "runner.log",
        on_line=lambda line: ready.set() if "is ready" in line else None,
    )
    try:
        assert ready.wait(timeout=120), runner.tail()
        yield
    finally:
        runner._process.send_signal(signal.SIGINT)
        assert runner.exited.result(timeout=60) == 0, runner.tail()


def wait_for_the_question(url: str, run_id: str) -> None:
    async def wait() -> None:
        async with aiohttp.ClientSession(url) as http, asyncio.timeout(OUTCOME_SECONDS):
            while True:
                async with http.get(f"/v1/runs/{run_id}") as response:
                    if (await response.json())["phase"] == "Suspended":
                        return
                await pause(0.1)

    asyncio.run(wait())


def type_in(block: Block, *, folder: Path, url: str) -> None:
    if approved := re.search(r"sluice approve (\S+)", block.commands):
        wait_for_the_question(url, approved[1])
    done = subprocess.run(
        ["bash", "-euc", block.commands.replace("localhost:8080", url.removeprefix("http://"))],
        cwd=folder,
        env={
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(folder),
            "SLUICE_URL": url,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    assert (done.returncode != 0) == (REFUSED in block.commands), f"{block.commands}\n{said}"
    assert block.prints in said, said


def test_every_command_does_what_the_page_says(tmp_path: Path) -> None:
    [http_port] = free_ports(1)
    url = f"http://localhost:{http_port}"
    page = iter(blocks())
    starts = [each for each in blocks() if LOCAL.fullmatch(each.commands.strip())]
    assert len(starts) == 2
    block: Block | None = next(page)
    while block is not None:
        start = LOCAL.fullmatch(block.commands.strip())
        if start is None:
            raise AssertionError(f"Sluice does not run: {block.commands}")
        with running(start[1] or "", folder=tmp_path, http_port=http_port):
            while (block := next(page, None)) and not LOCAL.fullmatch(block.commands.strip()):
                type_in(block, folder=tmp_path, url=url)
