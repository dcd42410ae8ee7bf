"""Measure the resources of an idle Sluice: `python bench/idle.py`.

The command starts its own Sluice on free ports, waits until it is idle, and measures each process'
memory and processor time from /proc over a minute (Linux only).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
MODULES = ("sluice_gateway", "sluice_dispatcher", "sluice_status_watcher", "sluice_engine")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settle", type=float, default=20, help="seconds before measuring")
    parser.add_argument("--seconds", type=float, default=60, help="seconds to measure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ports = [f"--{part}-port=0" for part in ("http", "kafka", "health", "engine")]
        command = [sys.executable, "-m", "sluice_local", "run", f"--data-dir={folder}", *ports]
        runner = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_for(Path(folder) / "endpoints.json", runner)
            print(f"settling for {options.settle:g} s, measuring for {options.seconds:g} s")
            time.sleep(options.settle)
            report(children(runner.pid), seconds=options.seconds)
        finally:
            runner.terminate()
            runner.wait(timeout=60)


def wait_for(file: Path, runner: subprocess.Popen[bytes]) -> None:
    while not file.exists():
        if runner.poll() is not None:
            sys.exit("Sluice did not start; run `make run` to see why.")
        time.sleep(0.1)
    json.loads(file.read_text(encoding="utf-8"))


def children(parent: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            is_ours = int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent
        except OSError:
            continue
        for module in MODULES:
            if is_ours and module in words:
                found[module] = int(folder.name)
    return found


def report(processes: dict[str, int], *, seconds: float) -> None:
    before = {module: cpu_seconds(pid) for module, pid in processes.items()}
    time.sleep(seconds)
    print(f"{'process':24}{'RSS':>10}{'of a core':>12}")
    for module, pid in processes.items():
        share = (cpu_seconds(pid) - before[module]) / seconds
        print(f"{module:24}{rss_mb(pid):>7.0f} MB{share:>11.2%}")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mb(pid: int) -> float:
    return _memory_mb(pid, "VmRSS:")


def most_rss_mb(pid: int) -> float:
    return _memory_mb(pid, "VmHWM:")


def _memory_mb(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
