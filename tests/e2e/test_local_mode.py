"""`make run` and `make demo`, as a person uses them."""

import json
import signal
import sys
import threading
from pathlib import Path

import pytest

from sluice_local.processes import ChildProcess

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PORTS = [f"--{part}-port=0" for part in ("http", "kafka", "health", "engine")]


def sluice_local(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sluice_local", *arguments]


def test_a_person_runs_sluice_and_counts_a_book(tmp_path: Path) -> None:
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
    finally:
        runner._process.send_signal(signal.SIGINT)
        assert runner.exited.result(timeout=60) == 0, runner.tail()
    assert said[-1] == "Everything has stopped."
    assert not (data / "endpoints.json").exists()
