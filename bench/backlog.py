"""Work off a backlog while single runs come in by HTTP: `python -m bench.backlog`.

Kafka, the gateway and a dispatcher are real, and processes of their own. A stand-in for the API
server ends each Workflow after 0.2 seconds. First the gateway answers single POSTs alone. Then
`--requests` records are written to the request topic; the dispatcher starts, and the POSTs go on
until all are started. Each POST has its time on a schedule, and is measured from that time on.

The output has the memory of both processes as the backlog gets smaller, and the times of the POSTs
before and meanwhile. The command fails if a request has no Workflow, or two. A million take
three quarters of an hour. The machine should have nothing else to do.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from aiokafka import AIOKafkaProducer

from bench.half_load import percentiles, post_on_schedule
from bench.idle import rss_mb
from sluice_local.kafka import EmbeddedKafka
from tests.support.counting_cluster import CountingCluster
from tests.support.engines import running_engine
from tests.support.kafka import KafkaServer, running_broker
from tests.support.matrix import LOCAL
from tests.support.sluice import DATA, Sluice

_RUN_S = 0.2
_ALONE_S = 30.0
_SHOWN = 10
_REQUEST = {"workflow": "moment"}


class Posts:
    """Posts runs on a schedule; `accepted` are their ids, and `took` their milliseconds."""

    def __init__(self, url: str, *, rate: float) -> None:
        self._url = url
        self._rate = rate
        self.accepted: list[str] = []
        self.took: list[float] = []

    async def run(self, *, seconds: float) -> None:
        """Post for so long; until it is cancelled, if that comes first."""
        async with aiohttp.ClientSession(self._url) as http:
            await post_on_schedule(
                http,
                "/v1/runs",
                body=json.dumps(_REQUEST),
                rate=self._rate,
                seconds=seconds,
                then=self._note,
            )

    def _note(self, answer: bytes, milliseconds: float) -> None:
        self.accepted.append(json.loads(answer)["id"])
        self.took.append(milliseconds)


async def measure(options: argparse.Namespace, sluice: Sluice, cluster: CountingCluster) -> bool:
    """Print what was seen, and return whether each request has exactly one Workflow."""
    await asyncio.to_thread(sluice.start, "gateway")
    alone = Posts(sluice.url, rate=options.rate)
    await alone.run(seconds=_ALONE_S)
    _print_times("alone", alone)
    began = time.monotonic()
    await _write(sluice, count=options.requests)
    print(f"{options.requests} requests written in {time.monotonic() - began:.0f} s", flush=True)

    await asyncio.to_thread(sluice.start, "dispatcher")
    began = time.monotonic()
    meanwhile = Posts(sluice.url, rate=options.rate)
    posting = asyncio.create_task(meanwhile.run(seconds=24 * 3600))
    for part in range(1, _SHOWN + 1):
        await cluster.until_created(options.requests * part // _SHOWN)
        if posting.done():
            posting.result()
        memory = "  ".join(
            f"{name} {rss_mb(sluice.child(name).pid):.0f} MB" for name in ("dispatcher", "gateway")
        )
        took = time.monotonic() - began
        print(f"{part / _SHOWN:4.0%} after {took:.0f} s: {memory}", flush=True)
    posting.cancel()
    await asyncio.wait({posting})
    _print_times("meanwhile", meanwhile)
    expected = len(alone.accepted) + options.requests + len(meanwhile.accepted)
    async with asyncio.timeout(600):
        await cluster.until_created(expected)
    rate = options.requests / took
    print(f"{options.requests} were started in {took:.0f} s, {rate:.0f} a second")
    runs = [each.run_id for each in cluster.created]
    lost = {*alone.accepted, *meanwhile.accepted, *map(_name, range(options.requests))} - {*runs}
    return not lost and len(runs) == len({*runs})


async def _write(sluice: Sluice, *, count: int) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=sluice.kafka.bootstrap_servers, acks="all", linger_ms=5
    )
    await producer.start()
    try:
        for number in range(count):
            document = {"id": _name(number), **_REQUEST}
            await producer.send(
                sluice.topics.requests, json.dumps(document).encode(), key=_name(number).encode()
            )
        await producer.flush()
    finally:
        await producer.stop()


def _name(number: int) -> str:
    return f"old-{number}"


def _print_times(what: str, posts: Posts) -> None:
    p50, p99 = percentiles(posts.took)
    print(f"{what}: {len(posts.took)} posts, p50 {p50:.1f} ms, p99 {p99:.1f} ms", flush=True)


async def run(options: argparse.Namespace, kafka: KafkaServer, folder: Path) -> bool:
    """Run the services, and measure."""
    catalogue = {"SLUICE_WORKFLOWS__CATALOGUE_FILE": str((DATA / "fair-catalogue.yaml").resolve())}
    async with CountingCluster(run_seconds=_RUN_S).running() as cluster:
        kubeconfig = cluster.kubeconfig(folder, client="dispatcher")
        sluice = Sluice(
            kafka,
            folder / "sluice",
            engine=running_engine(LOCAL),
            environment={
                "gateway": catalogue,
                "dispatcher": catalogue | {"SLUICE_KUBERNETES__KUBECONFIG": str(kubeconfig)},
            },
        )
        try:
            return await measure(options, sluice, cluster)
        finally:
            await asyncio.to_thread(sluice.stop)


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.backlog",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--requests", type=int, default=1_000_000, help="(%(default)s)")
    parser.add_argument("--rate", type=float, default=20, help="posts/s (%(default)s)")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_broker(EmbeddedKafka(data_dir=Path(folder) / "kafka")) as kafka,
    ):
        if not asyncio.run(run(options, kafka, Path(folder))):
            sys.exit("A request has no Workflow, or two.")
    print("Each request has exactly one Workflow.")


if __name__ == "__main__":
    main()
