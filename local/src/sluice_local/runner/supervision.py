"""Supervision of child processes: waits until each is ready, and reports the first that ends."""

import asyncio
import os
from http import HTTPStatus
from pathlib import Path

import aiohttp

from sluice_local.errors import LocalModeError
from sluice_local.processes import ChildProcess
from sluice_local.runner.console import Console
from sluice_local.runner.data_folder import log_file
from sluice_local.runner.plan import Part

READY_SECONDS = 90.0
_POLL_SECONDS = 0.05
_ANSWER_SECONDS = 5.0


class Supervisor:
    """Starts processes, reports the first that ends by itself, and stops them.

    `ended` is a future of that process. Create the supervisor on the event loop's thread, which
    must be the main thread: the processes end with it.
    """

    def __init__(self, *, logs_dir: Path, console: Console) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[ChildProcess] = self._loop.create_future()
        self._logs_dir = logs_dir
        self._console = console
        self._running: list[ChildProcess] = []
        self._expected: set[int] = set()

    async def start(self, part: Part) -> ChildProcess:
        """Start a process and return it once it is ready.

        Raises:
            LocalModeError: it ended or was not ready in time; the message has its last lines.
        """
        child = ChildProcess(
            part.name,
            part.command,
            environment={**os.environ, **part.environment},
            log_path=log_file(self._logs_dir, part.name),
            on_line=self._console.lines_of(part.name),
        )
        self.watch(child)
        await _until_ready(child, part.ready_url)
        return child

    def watch(self, child: ChildProcess) -> None:
        """Supervise a process that was started elsewhere."""
        self._running.append(child)
        child.exited.add_done_callback(
            lambda _: self._loop.call_soon_threadsafe(self._on_end, child)
        )

    async def stop(self, *names: str, grace_seconds: float) -> None:
        """Stop these processes concurrently; those that do not end in time are killed."""
        leaving = [child for child in self._running if child.name in names]
        self._expected.update(child.pid for child in leaving)
        await asyncio.gather(*(self._stop(child, grace_seconds) for child in leaving))
        self._running = [child for child in self._running if child not in leaving]

    def kill_all(self) -> None:
        """Kill all processes at once; a pending `stop` then returns."""
        for child in self._running:
            self._expected.add(child.pid)
            child.kill()

    async def _stop(self, child: ChildProcess, grace_seconds: float) -> None:
        if not await asyncio.to_thread(child.stop, grace_seconds=grace_seconds):
            self._console.write(
                f"{child.name} did not stop within {grace_seconds:.0f} s and was killed."
            )

    def _on_end(self, child: ChildProcess) -> None:
        if child.pid not in self._expected and not self.ended.done():
            self.ended.set_result(child)


def describe_end(child: ChildProcess) -> str:
    """Return how a process ended, and its last lines."""
    code = child.exited.result()
    how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    return "\n  ".join([f"{child.name} {how} by itself. Its last lines:", *child.tail()])


async def _until_ready(child: ChildProcess, url: str) -> None:
    exited = asyncio.wrap_future(child.exited)
    answer = "it never answered"
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    try:
        async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession(timeout=timeout) as http:
            while not exited.done():
                try:
                    async with http.get(url) as response:
                        if response.status == HTTPStatus.OK:
                            return
                        answer = await response.text()
                except (aiohttp.ClientError, TimeoutError):
                    answer = "it does not answer"
                await asyncio.wait([exited], timeout=_POLL_SECONDS)
    except TimeoutError:
        raise LocalModeError(
            "\n  ".join(
                [f"{child.name} was not ready after {READY_SECONDS:.0f} s: {answer}", *child.tail()]
            ),
            remedy=f"{url} lists what it waits for; see also its log.",
        ) from None
    raise LocalModeError(describe_end(child), remedy="See its whole log in the data folder's logs.")
