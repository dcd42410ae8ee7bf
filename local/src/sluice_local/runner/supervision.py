"""Processes that live together: each is awaited until ready, and the first end is noticed."""

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
    """Starts processes, notices the first that ends unasked, stops them.

    ``ended`` is a future of that process. Make it on the event loop's thread, which must be the
    main one: the processes die with it.
    """

    def __init__(self, *, logs_dir: Path, console: Console) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[ChildProcess] = self._loop.create_future()
        self._logs_dir = logs_dir
        self._console = console
        self._running: list[ChildProcess] = []
        self._expected: set[int] = set()

    async def start(self, part: Part) -> None:
        """Start a process and return when it is ready.

        Raises:
            LocalModeError: it ended, or did not get ready in time; says why as far as it told.
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

    def watch(self, child: ChildProcess) -> None:
        """Notice when a process ends that somebody else started."""
        self._running.append(child)
        child.exited.add_done_callback(
            lambda _: self._loop.call_soon_threadsafe(self._on_end, child)
        )

    def running(self) -> list[ChildProcess]:
        """Return the processes that were started and not stopped yet."""
        return list(self._running)

    async def stop(self, *names: str, grace_seconds: float) -> None:
        """Stop these processes, side by side; those that do not end in time are killed."""
        leaving = [child for child in self._running if child.name in names]
        self._expected.update(child.pid for child in leaving)
        await asyncio.gather(*(self._stop(child, grace_seconds) for child in leaving))
        self._running = [child for child in self._running if child not in leaving]

    def kill_all(self) -> None:
        """End everything now; whoever waits in :meth:`stop` gets on."""
        for child in self._running:
            self._expected.add(child.pid)
            child.kill()

    async def _stop(self, child: ChildProcess, grace_seconds: float) -> None:
        if not await asyncio.to_thread(child.stop, grace_seconds=grace_seconds):
            self._console.say(
                f"{child.name} did not stop within {grace_seconds:.0f} s and was killed."
            )

    def _on_end(self, child: ChildProcess) -> None:
        if child.pid not in self._expected and not self.ended.done():
            self.ended.set_result(child)


def describe_end(child: ChildProcess) -> str:
    """Say how a process ended, and its last words."""
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
            way_out=f"{url} says what it waits for; its log says more.",
        ) from None
    raise LocalModeError(describe_end(child), way_out="Its whole log is in the data folder's logs.")
