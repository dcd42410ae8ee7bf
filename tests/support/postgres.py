"""One real PostgreSQL for the whole test session: Debian's, as a process of its own.

It keeps its defaults, so every commit is flushed to disk as in production. It listens on a socket
in its folder and on no port.
"""

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

_USER = "sluice"
_DEBIAN = Path("/usr/lib/postgresql")
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
        self.folder = Path(tempfile.mkdtemp(prefix="sluice-postgres-"))
        # It refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self._run("initdb", "--auth=trust", f"--username={_USER}", "--encoding=UTF8", "--locale=C")

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = f"-k {self.folder} -c listen_addresses= -c max_connections=200"
        log = str(self.folder / "log")
        self._run("pg_ctl", "start", "--wait", f"--options={options}", f"--log={log}")

    def kill(self) -> None:
        """Stop it as a machine that loses its power would: nothing more is written."""
        self._run("pg_ctl", "stop", "--mode=immediate")

    def remove(self) -> None:
        """Stop it, if it runs, and remove its folder."""
        if (self.folder / "data/postmaster.pid").exists():
            self.kill()
        shutil.rmtree(self.folder)

    def dsn(self, database: str) -> str:
        """Return how to connect to one of its databases."""
        return f"postgresql://{_USER}@/{database}?host={self.folder}"

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run(
            [_program(name), f"--pgdata={self.folder}/data", *arguments],
            user=self._user,
            cwd=self.folder,
            check=True,
            stdin=subprocess.DEVNULL,
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
        server.remove()


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
