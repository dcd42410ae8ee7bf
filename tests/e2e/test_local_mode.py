"""`make run` and `make demo`, as a person uses them."""

import asyncio
import json
import signal
import sys
import threading
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest

from sluice_local.processes import ChildProcess
from tests.support.client import OUTCOME_SECONDS, Client
from tests.unit.runtime.clock import pause

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

HELLO = {"workflow": "hello", "parameters": {"name": "Ada"}}
PORTS = [f"--{part}-port=0" for part in ("http", "kafka", "health", "engine")]


def sluice_local(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sluice_local", *arguments]


async def pause_and_resume(url: str) -> None:
    async with aiohttp.ClientSession(url) as http:
        client = Client(http)
        await control(http, "pause")
        # Runs whose request the dispatcher reads before the record of the pause still start.
        run_ids = [await client.accepted(HELLO)]
        while not await is_held(http, run_ids[-1]):
            run_ids.append(await client.accepted(HELLO))
        await control(http, "resume")
        for run_id in run_ids:
            assert (await client.events(run_id))[-1]["phase"] == "Succeeded"


async def control(http: aiohttp.ClientSession, verb: str) -> None:
    async with http.post(f"/v1/workflows/hello/{verb}") as response:
        assert response.status == HTTPStatus.ACCEPTED, await response.text()


async def is_held(http: aiohttp.ClientSession, run_id: str) -> bool:
    """Wait until a run is held by the pause, or has ended."""
    async with asyncio.timeout(OUTCOME_SECONDS):
        while True:
            async with http.get(f"/v1/runs/{run_id}") as response:
                run = await response.json()
            if (run["queue"] or {}).get("held_by") == "paused":
                return True
            if run["terminal"]:
                return False
            await pause(0.1)


def test_a_person_runs_sluice_counts_a_book_and_pauses_a_workflow(tmp_path: Path) -> None:
    ready = threading.Event()
    said: list[str] = []

    def listen(line: str) -> None:
        said.append(line)
        if "is ready" in line:
            ready.set()

    data = tmp_path / "data"
    runner = ChildProcess(
        "runner",
        sluice_local("run", f"--data-dir={data}", *PORTS),
        log_path=tmp_path / "runner.log",
        on_line=listen,
    )
    try:
        assert ready.wait(timeout=120), runner.tail()
        endpoints = json.loads((data / "endpoints.json").read_text())
        demo = ChildProcess(
            "demo",
            sluice_local("demo", "--url", endpoints["gateway"]),
            log_path=tmp_path / "demo.log",
        )
        assert demo.exited.result(timeout=120) == 0, demo.tail()
        printed = (tmp_path / "demo.log").read_text(encoding="utf-8")
        assert "Python's own count agrees" in printed
        assert "│ the " in printed
        asyncio.run(pause_and_resume(endpoints["gateway"]))
    finally:
        runner._process.send_signal(signal.SIGINT)
        assert runner.exited.result(timeout=60) == 0, runner.tail()
    assert said[-1] == "Everything has stopped."
    assert not (data / "endpoints.json").exists()
