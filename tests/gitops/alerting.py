"""The real Prometheus and Alertmanager, with what the platform gives them, sixty times as fast.

A minute of a rule, a route or an interval is a second here; nothing else is changed but the paths
of files. Two stand-ins belong to it: a pod that is scraped, and services that page people.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from tests.gitops.rendering import Json

PLATFORM = Path("argocd/platform/values/kube-prometheus-stack.yaml")
RECEIVERS = ("page", "notify", "watchdog")
WATCHDOG: Json = {
    # As in kube-prometheus-stack.
    "name": "general.rules",
    "rules": [{"alert": "Watchdog", "expr": "vector(1)", "labels": {"severity": "none"}}],
}
_FASTER = 60
_UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000}
_DURATIONS = ("for", "group_wait", "group_interval", "repeat_interval")
_LISTENS = r'msg="Listening on" .*address=(127\.0\.0\.1:\d+)'


def faster(node: Any) -> Any:
    """Return a configuration in which all waits are a sixtieth."""
    if isinstance(node, list):
        return [faster(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        name: _sixtieth(each) if name in _DURATIONS else faster(each) for name, each in node.items()
    }


def _sixtieth(duration: str) -> str:
    return f"{int(duration[:-1]) * _UNITS[duration[-1]] // _FASTER}ms"


def platform_alertmanager() -> Json:
    """Return the platform's values of Alertmanager."""
    values: Json = yaml.safe_load(PLATFORM.read_text("utf-8"))["alertmanager"]
    return values


class Running:
    """A program that runs; `address` is what it listens on."""

    def __init__(self) -> None:
        self.address = ""
        self._said = ""
        self._ended = False
        self._more = asyncio.Condition()

    async def line(self, pattern: str) -> re.Match[str]:
        """Return the match in the program's log, once there is one."""
        async with self._more:
            await self._more.wait_for(lambda: self._ended or re.search(pattern, self._said))
        found = re.search(pattern, self._said)
        assert found, self._said
        return found

    async def follow(self, log: asyncio.StreamReader) -> None:
        """Read the log to its end."""
        while line := await log.readline():
            async with self._more:
                self._said += line.decode()
                self._more.notify_all()
        async with self._more:
            self._ended = True
            self._more.notify_all()


@contextlib.asynccontextmanager
async def running(*command: str | Path) -> AsyncIterator[Running]:
    """Run a program while the body runs; it listens already."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    program = Running()
    following = asyncio.create_task(program.follow(process.stderr))
    try:
        program.address = (await program.line(_LISTENS))[1]
        yield program
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        await following


class PagingServices:
    """Stand-in for the services that page people: keeps what is posted to each path."""

    def __init__(self) -> None:
        self.url = ""
        self._posted: dict[str, list[Json]] = {name: [] for name in RECEIVERS}
        self._more = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["PagingServices"]:
        """Serve while the body runs."""
        app = web.Application()
        app.router.add_post("/{receiver}", self._take)
        async with _served(app) as self.url:
            yield self

    async def _take(self, request: web.Request) -> web.Response:
        notification = await request.json()
        async with self._more:
            self._posted[request.match_info["receiver"]] += notification["alerts"]
            self._more.notify_all()
        return web.Response()

    def posted(self, receiver: str) -> list[str]:
        """Return the names of all alerts that a receiver got."""
        return [alert["labels"]["alertname"] for alert in self._posted[receiver]]

    async def alert(
        self, receiver: str, name: str, *, status: str = "firing", times: int = 1
    ) -> Json:
        """Return the alert of that name and status, once the receiver got it so many times."""

        def found() -> list[Json]:
            return [
                alert
                for alert in self._posted[receiver]
                if (alert["labels"]["alertname"], alert["status"]) == (name, status)
            ]

        async with self._more:
            await self._more.wait_for(lambda: len(found()) >= times)
        return found()[-1]

    def write_addresses(self, folder: Path) -> None:
        """Write the Secret's files, as the kubelet would."""
        folder.mkdir(exist_ok=True)
        for name in RECEIVERS:
            (folder / f"{name}-url").write_text(f"{self.url}/{name}\n", "ascii")


@dataclass
class ScrapedPod:
    """Stand-in for a pod that Prometheus scrapes."""

    metrics: dict[str, float]
    address: str = ""

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["ScrapedPod"]:
        """Serve while the body runs."""
        app = web.Application()
        app.router.add_get("/metrics", self._show)
        async with _served(app) as url:
            self.address = url.removeprefix("http://")
            yield self

    async def _show(self, _: web.Request) -> web.Response:
        lines = [f"{name} {value}\n" for name, value in self.metrics.items()]
        return web.Response(text="".join(lines))


@contextlib.asynccontextmanager
async def _served(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def alertmanager(binary: Path, folder: Path) -> AsyncIterator[Running]:
    """Run Alertmanager with the platform's values; its Secret is `folder`/receiver."""
    values = platform_alertmanager()
    [mount] = values["alertmanagerSpec"]["volumeMounts"]
    text = yaml.safe_dump(faster(values["config"]))
    config = folder / "alertmanager.yaml"
    config.write_text(text.replace(mount["mountPath"], str(folder / "receiver")), "utf-8")
    async with running(
        binary,
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        "--web.listen-address=127.0.0.1:0",
        "--cluster.listen-address=",
    ) as program:
        yield program


@contextlib.asynccontextmanager
async def prometheus(
    program: Path, folder: Path, *, groups: Iterable[Json], pod: ScrapedPod, alertmanager: str
) -> AsyncIterator[None]:
    """Run Prometheus with these groups of rules, one pod to scrape, and an Alertmanager."""
    rules = folder / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": faster(list(groups))}), "utf-8")
    labels = {"namespace": "sluice", "pod": "sluice-gateway-0"}
    config = folder / "prometheus.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
                "rule_files": [str(rules)],
                "scrape_configs": [
                    {
                        "job_name": "sluice",
                        "static_configs": [{"targets": [pod.address], "labels": labels}],
                    }
                ],
                "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
            }
        ),
        "utf-8",
    )
    async with running(
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        "--web.listen-address=127.0.0.1:0",
    ):
        yield


class Alerts:
    """Alertmanager's own API."""

    def __init__(self, address: str, http: aiohttp.ClientSession) -> None:
        self._url = f"http://{address}"
        self._http = http

    async def fire(self, *alerts: Mapping[str, str]) -> None:
        """Send alerts with these labels."""
        body = [{"labels": dict(labels)} for labels in alerts]
        async with self._http.post(f"{self._url}/api/v2/alerts", json=body) as response:
            assert response.status == 200, await response.text()

    async def inhibited(self) -> set[str]:
        """Return the names of alerts that another one holds back."""
        async with self._http.get(f"{self._url}/api/v2/alerts") as response:
            known: list[Json] = await response.json()
        return {each["labels"]["alertname"] for each in known if each["status"]["inhibitedBy"]}
