"""One real PostgreSQL for the whole test session: Debian's, as a process of its own.

It keeps its defaults, so every commit is flushed to disk as in production. It listens on a socket
in its folder and on no port.
"""

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

_USER = "sluice"
_DEBIAN = Path("/usr/lib/postgresql")
_START_SECONDS = 60
_counter = itertools.count(1)


def _program(name: str) -> str:
    """Return the program's path: Debian's folder first, because its links want more packages."""
    installed = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda each: int(each.parts[-3]))
    found = str(installed[-1]) if installed else shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is missing: install the package `postgresql`.")
    return found


class PostgresServer:
    """A PostgreSQL with a folder of its own, which may be killed and started again."""

    def __init__(self) -> None:
        # Not below pytest's folders: they are closed to the user that PostgreSQL runs as.
        self._folder = Path(tempfile.mkdtemp(prefix="sluice-postgres-"))
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        # It refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self._run("initdb", "--auth=trust", f"--username={_USER}", "--encoding=UTF8", "--locale=C")

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self._process = subprocess.Popen(
            [
                *(_program("postgres"), "-D", str(self._data)),
                *("-k", str(self._folder), "-c", "listen_addresses="),
                *("-c", "log_min_messages=fatal", "-c", "max_connections=200"),
            ],
            user=self._user,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._accepts_connections():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL does not start.")
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it, as a machine that loses its power would: nothing is written any more."""
        self._signal(signal.SIGQUIT)

    def stop(self) -> None:
        """Stop it and remove its folder."""
        self._signal(signal.SIGINT)
        shutil.rmtree(self._folder)

    def dsn(self, database: str) -> str:
        """Return how to connect to one of its databases."""
        return f"postgresql://{_USER}@/{database}?host={self._folder}"

    def _accepts_connections(self) -> bool:
        asked = subprocess.run(
            [_program("pg_isready"), "-q", "-h", str(self._folder)], check=False, timeout=10
        )
        return asked.returncode == 0

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run(
            [_program(name), "-D", str(self._data), *arguments],
            user=self._user,
            cwd=self._folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Yield a running PostgreSQL, shared by the session."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
async def database(postgres: PostgresServer) -> str:
    """Return how to connect to an empty database of the test's own."""
    return await create_database(postgres)


async def create_database(postgres: PostgresServer) -> str:
    """Make an empty database, and return how to connect to it."""
    name = f"test_{next(_counter)}"
    connection = await asyncpg.connect(postgres.dsn("postgres"))
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return postgres.dsn(name)
