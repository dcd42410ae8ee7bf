"""Supervision of child processes: start, readiness and ordered stop, with fake programs."""

import io
import os
import signal
import sys
from pathlib import Path

import pytest

from sluice_local import ports
from sluice_local.errors import LocalModeError
from sluice_local.runner.console import Console
from sluice_local.runner.plan import Part
from sluice_local.runner.run import supervise
from sluice_local.runner.supervision import Supervisor

pytestmark = pytest.mark.integration

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
print("here", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
DYING = "import sys; print('I cannot'); sys.exit(3)"


def part(name: str, code: str = SERVER) -> Part:
    port = ports.free_ports(1)[0]
    return Part(
        name=name,
        command=[sys.executable, "-c", code, str(port)],
        environment={},
        ready_url=f"http://127.0.0.1:{port}/readyz",
    )


async def test_a_signal_stops_all_processes(tmp_path: Path) -> None:
    out = io.StringIO()

    async def start(supervisor: Supervisor) -> None:
        await supervisor.start(part("kafka"))
        await supervisor.start(part("gateway"))
        os.kill(os.getpid(), signal.SIGTERM)

    assert await supervise(start, logs_dir=tmp_path, console=Console(out)) == 0
    assert out.getvalue().endswith("Stopping.\nEverything has stopped.\n")
    assert (tmp_path / "gateway.log").read_text() == "here\n"


async def test_a_process_that_dies_stops_the_others(tmp_path: Path) -> None:
    out = io.StringIO()

    async def start(supervisor: Supervisor) -> None:
        await supervisor.start(part("engine"))
        gateway = await supervisor.start(part("gateway"))
        os.kill(gateway.pid, signal.SIGKILL)

    assert await supervise(start, logs_dir=tmp_path, console=Console(out)) == 1
    said = out.getvalue()
    assert "gateway was killed by signal 9 by itself. Its last lines:\n  here\n" in said
    assert said.endswith("Everything has stopped.\n")


async def test_a_failed_start_shows_the_last_lines(tmp_path: Path) -> None:
    out = io.StringIO()
    ended = None

    async def start(supervisor: Supervisor) -> None:
        await supervisor.start(part("engine", DYING))

    try:
        ended = await supervise(start, logs_dir=tmp_path, console=Console(out))
    except LocalModeError as error:
        out.write(str(error))
    assert ended in {None, 1}
    assert "engine ended with code 3 by itself. Its last lines:\n  I cannot" in out.getvalue()


async def test_a_failed_start_is_raised_after_the_rest_has_stopped(tmp_path: Path) -> None:
    out = io.StringIO()

    async def start(supervisor: Supervisor) -> None:
        await supervisor.start(part("engine"))
        raise LocalModeError("no luck", remedy="try again")

    with pytest.raises(LocalModeError, match="no luck"):
        await supervise(start, logs_dir=tmp_path, console=Console(out))
    assert out.getvalue().endswith("Everything has stopped.\n")
