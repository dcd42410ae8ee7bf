"""Measure how many runs a gateway accepts beside the barest handler: `python -m bench.gateway`.

The reference is bench.bare_gateway: aiohttp and aiokafka that parse JSON and wait for acks=all. The
command starts Kafka, both gateways and the load (wrk, 64 connections, `hello` with 50 bytes, an
API key). Each gateway runs on a core of its own, Kafka and the load on the others. Phases of both
alternate after a warm-up. The output has runs/s and processor time per run of both, and their
ratio; and the same of batches (POST /v1/runs:batch) of a hundred runs, beside single posts. Needs
`wrk`, and two cores that have nothing else to do.
"""

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path

from bench.idle import cpu_seconds, rss_mb
from sluice_contracts.api_keys import RANDOM_BYTES, digest, new_key
from sluice_local.kafka import EmbeddedKafka
from sluice_local.ports import free_ports
from tests.support.engines import running_engine
from tests.support.kafka import KafkaServer, create_topic, running_broker
from tests.support.matrix import LOCAL
from tests.support.sluice import Sluice

BODY = json.dumps({"workflow": "hello", "parameters": {"name": "Ada"}})
_BATCH = 100
_PARTITIONS = 6
LOAD = """
wrk.method = "POST"
wrk.body = [[{body}]]
wrk.headers["Content-Type"] = "{media_type}"
wrk.headers["Authorization"] = "Bearer {key}"
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format('{{"requests": %d, "seconds": %f, "failed": %d, "p50": %f, "p99": %f}}\\n',
    summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


@dataclass
class Seen:
    """The measurements of one gateway, an entry per phase."""

    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)

    def add(self, load: dict[str, float], *, cpu: float) -> None:
        """Note a phase that took `cpu` seconds of processor time."""
        self.rates.append(load["runs"] / load["seconds"])
        self.cpu_us.append(cpu / load["runs"] * 1e6)
        self.p50_ms.append(load["p50"])
        self.p99_ms.append(load["p99"])


@dataclass(frozen=True)
class Target:
    """A gateway under load: requests as the script of wrk says, each of so many runs."""

    name: str
    url: str
    pid: int
    load: Path
    key: str
    runs: int = 1


def measure(targets: Sequence[Target], *, options: argparse.Namespace) -> dict[str, Seen]:
    """Alternate phases of the targets."""
    seen = {target.name: Seen() for target in targets}
    for round_number in range(-1, options.rounds):
        for target in targets:
            before = cpu_seconds(target.pid)
            found = drive(target, seconds=options.seconds, connections=options.connections)
            if round_number < 0:
                continue  # The warm-up.
            seen[target.name].add(found, cpu=cpu_seconds(target.pid) - before)
            print(
                f"{target.name:8}{seen[target.name].rates[-1]:>8.0f}/s"
                f"{seen[target.name].cpu_us[-1]:>8.0f} us{found['p50']:>8.1f} ms"
                f"{found['p99']:>8.1f} ms{rss_mb(target.pid):>6.0f} MB",
                file=sys.stderr,
                flush=True,
            )
    return seen


def drive(target: Target, *, seconds: float, connections: int) -> dict[str, float]:
    """Load the target with wrk, and return what it has seen; `runs` is how many were accepted."""
    # As many runs in flight as there is room for, however many a request has.
    count = max(1, connections * 4 // target.runs) if target.runs > 1 else connections
    options = ["-t1", f"-c{count}", f"-d{seconds:g}s", "--timeout", "30s", "-s", str(target.load)]
    command = ["wrk", *options, target.url]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    if found["failed"]:
        raise RuntimeError(f"{found['failed']:g} requests of {target.name} failed:\n{done.stdout}")
    found["runs"] = found["requests"] * target.runs
    return found


@contextlib.contextmanager
def running_targets(home: Path, *, identified: bool = True) -> Iterator[list[Target]]:
    """Run Kafka, a gateway and the reference; yield Sluice, the reference, and Sluice by batches.

    With `identified` the gateway asks for an API key.
    """
    with contextlib.ExitStack() as stack:
        kafka = stack.enter_context(running_broker(EmbeddedKafka(data_dir=home / "kafka")))
        key, settings = _identity(home / "identity")
        single, many = home / "single.lua", home / "batch.lua"
        single.write_text(LOAD.format(body=BODY, key=key, media_type="application/json"))
        body = f"{BODY}\n" * _BATCH
        many.write_text(LOAD.format(body=body, key=key, media_type="application/x-ndjson"))
        sluice = Sluice(
            kafka,
            home / "sluice",
            engine=running_engine(LOCAL),
            environment={"gateway": settings if identified else {}},
        )
        stack.callback(sluice.stop)
        sluice.start("gateway")
        pid = sluice.child("gateway").pid
        ours = Target("sluice", f"{sluice.url}/v1/runs", pid, single, key)
        reference = stack.enter_context(_bare(kafka, f"{sluice.topics.requests}.bare", like=ours))
        by_batches = replace(ours, name="batches", url=f"{ours.url}:batch", load=many, runs=_BATCH)
        pin([ours, reference])
        yield [ours, reference, by_batches]


@contextlib.contextmanager
def _bare(kafka: KafkaServer, topic: str, *, like: Target) -> Iterator[Target]:
    """Run the reference."""
    # As many partitions as the request topic of local mode has.
    asyncio.run(create_topic(kafka, topic, partitions=_PARTITIONS))
    [port] = free_ports(1)
    command = [
        sys.executable,
        "-m",
        "bench.bare_gateway",
        kafka.bootstrap_servers,
        topic,
        str(port),
    ]
    process = subprocess.Popen(command)
    url = f"http://127.0.0.1:{port}/v1/runs"
    try:
        _wait_until_served(url)
        yield replace(like, name="bare", url=url, pid=process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait_until_served(url: str) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(url)  # noqa: S310 - ours
        except urllib.error.HTTPError as e:
            if e.code == HTTPStatus.METHOD_NOT_ALLOWED:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"nothing answers at {url}")


def _identity(folder: Path) -> tuple[str, dict[str, str]]:
    """Make a key with a grant; return it, and the settings of a gateway that takes it."""
    key = new_key(secrets.token_bytes(RANDOM_BYTES))
    key_id = key.split("_")[1]
    folder.mkdir(parents=True)
    (folder / "keys.yaml").write_text(
        f'keys:\n- id: "{key_id}"\n  principal: "bench"\n  secrets:\n'
        f'  - sha256: "{digest(key).hex()}"\n'
    )
    (folder / "grants.yaml").write_text(
        "grants:\n- principals: ['api_key:bench']\n  tenants: ['*']\n  workflows: ['*']\n"
        "  scopes: ['runs:start']\n"
    )
    return key, {
        "SLUICE_AUTH__MODE": "required",
        "SLUICE_AUTH__KEYS_FILE": str(folder / "keys.yaml"),
        "SLUICE_AUTH__GRANTS_FILE": str(folder / "grants.yaml"),
    }


def pin(targets: Sequence[Target]) -> None:
    """Give the gateways the first core, and all else the others."""
    cores = sorted(os.sched_getaffinity(0))
    others = set(cores[1:])
    if not others:
        return
    for pid in _family(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), others)
    for target in targets:
        for thread in Path(f"/proc/{target.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {cores[0]})


def _family(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def report(seen: dict[str, Seen]) -> float:
    """Print the medians and the ratios, and return the one by processor time."""
    print(f"{'':10}{'runs/s':>10}{'CPU us':>10}{'p50 ms':>10}{'p99 ms':>10}")
    for name, of in seen.items():
        values = (of.rates, of.cpu_us, of.p50_ms, of.p99_ms)
        print(f"{name:10}" + "".join(f"{statistics.median(each):>10.1f}" for each in values))
    ours, reference = seen["sluice"], seen["bare"]
    rate = statistics.median(a / b for a, b in zip(ours.rates, reference.rates, strict=True))
    cpu = statistics.median(b / a for a, b in zip(ours.cpu_us, reference.cpu_us, strict=True))
    print(f"of the bare limit: {rate:.2f} by rate, {cpu:.2f} by processor time")
    if (batches := seen.get("batches")) is not None:
        faster = statistics.median(a / b for a, b in zip(batches.rates, ours.rates, strict=True))
        print(f"batches of {_BATCH} runs: {faster:.1f} times as many runs/s as single posts")
    return cpu


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.gateway",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5, help="phases of each (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5, help="length of one (%(default)s)")
    parser.add_argument("--connections", type=int, default=64, help="of the load (%(default)s)")
    parser.add_argument("--no-auth", action="store_true", help="without identity, as in local mode")
    parser.add_argument("--hold", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    parser.add_argument(
        "--at-least",
        type=float,
        default=0.0,
        metavar="RATIO",
        help="fail if the ratio by processor time, which other load changes least, is lower",
    )
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_targets(Path(folder), identified=not options.no_auth) as targets,
    ):
        if options.hold:
            print(*(f"{each.name} {each.pid} {each.url} {each.load}" for each in targets), sep="\n")
            sys.stdout.flush()
            sys.stdin.read()
            return
        seen = measure(targets, options=options)
    ratio = report(seen)
    if options.json:
        options.json.write_text(json.dumps({name: vars(of) for name, of in seen.items()}, indent=1))
    if ratio < options.at_least:
        sys.exit(
            f"A run takes too much processor time: the ratio is {ratio:.3f}, and "
            f"{options.at_least:.3f} at least is wanted. Profile what has changed since."
        )


if __name__ == "__main__":
    main()
