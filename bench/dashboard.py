"""Measures the dashboard in Chromium: a long list, and a large run, while events arrive.

    python -m bench.dashboard [--runs 100000] [--steps 10000] [--rate 500] [--minutes 10]

The command starts its own Kafka and gateway, without a view of anything else. It opens the list of
runs and reads `--rows` of them by scrolling, then a run whose steps are all nodes of their own. On
each page events arrive for `--minutes`. It prints, for each half of the time: the longest time
between two frames, how many took over 100 ms, and what the longest was spent on; the longest task;
the share of a CPU for scripts and for layout; and the heap after a garbage collection at the start
and at the end. Then it prints how long the layout of the large graph takes. It needs Debian's
Chromium. The machine should have nothing else to do: its noise is in the frames.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.async_api import CDPSession, Page, async_playwright

from bench.status_load import StatusWriter, running_gateway, status, steadily
from sluice_contracts.records import OutgoingRecord
from sluice_contracts.status import Phase
from sluice_contracts.steps import Step
from tests.support.sluice import Sluice

CHROMIUM = "/usr/bin/chromium"
BIG = "big"
LAYERS = 100
AT_A_TIME = 500
# What the page notes of its frames, and of what keeps its thread from drawing them.
WATCH = """() => {
  const found = { longest: 0, late: 0, frames: 0, task: 0, slow: null };
  let last = performance.now();
  const frame = (now) => {
    found.longest = Math.max(found.longest, now - last);
    if (now - last > 100) found.late += 1;
    found.frames += 1;
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) found.task = Math.max(found.task, duration);
  }).observe({ type: 'longtask' });
  new PerformanceObserver((list) => {
    for (const each of list.getEntries()) {
      if (each.duration <= (found.slow?.duration ?? 0)) continue;
      const { duration, startTime, renderStart, styleAndLayoutStart } = each;
      const scripts = each.scripts.map((one) => (
        `${one.invoker} ${one.sourceFunctionName} ${Math.round(one.duration)} ms`));
      let text = scripts.join(', ') || 'no script';
      if (styleAndLayoutStart > 0) {
        text += `; callbacks of the frame ${Math.round(styleAndLayoutStart - renderStart)} ms`
          + `, styles and layout ${Math.round(startTime + duration - styleAndLayoutStart)} ms`;
      }
      found.slow = { duration, text };
    }
  }).observe({ type: 'long-animation-frame' });
  globalThis.watched = found;
}"""
# Reads more of the list for as long as there is more.
SCROLL = """async (rows) => {
  const list = document.querySelector('.list-rows');
  const table = document.querySelector('[aria-rowcount]');
  const shown = () => Number(table.getAttribute('aria-rowcount'));
  const frame = () => new Promise(requestAnimationFrame);
  while (shown() < rows) {
    const before = shown();
    list.scrollTop = list.scrollHeight;
    const until = performance.now() + 10_000;
    while (shown() === before && performance.now() < until) await frame();
    if (shown() === before) break;
  }
  list.scrollTop = 0;
  return shown();
}"""
# Lays out a graph as the page does, in its own modules; the best of some times.
LAY_OUT = """async ({ nodes, edges }) => {
  const root = document.querySelector('script[src]').src.replace('main.js', '');
  const { layOut } = await import(root + 'lib/layout.js');
  const boxes = nodes.map((id) => ({ id, width: 190, height: 46 }));
  const times = [];
  for (let time = 0; time < 5; time += 1) {
    const began = performance.now();
    layOut(boxes, edges);
    times.push(performance.now() - began);
  }
  return { first: times[0], best: Math.min(...times) };
}"""


class Watched:
    """What a page does from now on."""

    def __init__(self, page: Page, debugger: CDPSession) -> None:
        self._page = page
        self._debugger = debugger
        self._before: dict[str, float] = {}

    async def begin(self) -> None:
        """Begin to watch, once the page has loaded."""
        self._before = await self._metrics()
        await self._page.evaluate(WATCH)

    async def end(self, name: str) -> None:
        """Print what was seen."""
        seen: Any = await self._page.evaluate("watched")
        now = await self._metrics()
        took = now["Timestamp"] - self._before["Timestamp"]

        def share(metric: str) -> str:
            return f"{100 * (now[metric] - self._before[metric]) / took:.0f} %"

        heap = [each["JSHeapUsedSize"] / 1e6 for each in (self._before, now)]
        print(f"{name}: longest frame {seen['longest']:.0f} ms, longest task {seen['task']:.0f} ms")
        print(f"  frames later than 100 ms: {seen['late']}")
        print(f"  {seen['frames'] / took:.0f} frames a second over {took:.0f} s")
        if seen["slow"]:
            slow = seen["slow"]
            print(f"  longest animation frame: {slow['duration']:.0f} ms: {slow['text']}")
        print(
            f"  of a CPU: scripts {share('ScriptDuration')}, layout {share('LayoutDuration')}, "
            f"styles {share('RecalcStyleDuration')}, all {share('TaskDuration')}"
        )
        print(f"  heap {heap[0]:.1f} MB, then {heap[1]:.1f} MB", flush=True)

    async def _metrics(self) -> dict[str, float]:
        await self._debugger.send("HeapProfiler.collectGarbage")
        found = await self._debugger.send("Performance.getMetrics")
        return {each["name"]: each["value"] for each in found["metrics"]}


def step_id(number: int) -> str:
    return f"step-{number}"


def step(number: int, steps: int, phase: str) -> Step:
    """Return a step of the large run: layers, of which each step has two steps behind it."""
    width = steps // LAYERS
    behind = [number + width, number + width + 1 if (number + 1) % width else number + 1]
    began = datetime.now(UTC)
    return Step(
        id=step_id(number),
        name=f"work-{number}",
        type="Pod",
        phase=phase,
        started_at=began,
        finished_at=began if phase == "Succeeded" else None,
        children=tuple(step_id(each) for each in behind if number < each < steps),
    )


def of_big(sequence: int, steps: Sequence[Step], *, accepted_at: datetime) -> OutgoingRecord:
    return status(
        BIG, sequence, Phase.RUNNING, accepted_at=accepted_at, steps=steps, workflow="large"
    )


async def fill(writer: StatusWriter, *, runs: int, steps: int) -> None:
    """Write the runs of the list, and the large run."""
    begin = datetime.now(UTC) - timedelta(days=1)
    for number in range(runs):
        accepted_at = begin + timedelta(milliseconds=500 * number)
        await writer.write(status(f"run-{number:06}", 1, Phase.SUCCEEDED, accepted_at=accepted_at))
    for sequence, first in enumerate(range(0, steps, AT_A_TIME), start=1):
        numbers = range(first, min(first + AT_A_TIME, steps))
        some = [step(number, steps, "Running") for number in numbers]
        await writer.write(of_big(sequence, some, accepted_at=begin))
    await writer.flush()


async def measure(sluice: Sluice, given: argparse.Namespace) -> None:
    """Print what is measured."""
    half = round(given.rate * 30 * given.minutes)
    async with StatusWriter.of(sluice) as writer, async_playwright() as playwright:
        await fill(writer, runs=given.runs, steps=given.steps)
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = await browser.new_context(
            base_url=sluice.url, viewport={"width": 1440, "height": 900}
        )
        context.set_default_timeout(300_000)

        async def opened(address: str, shown: str) -> tuple[Page, Watched]:
            page = await context.new_page()
            await page.goto(address)
            await page.wait_for_selector(shown)
            debugger = await context.new_cdp_session(page)
            await debugger.send("Performance.enable")
            return page, Watched(page, debugger)

        async def write_halves(
            each: Callable[[int], OutgoingRecord], watched: Watched, name: str
        ) -> None:
            for first, which in ((0, "first half"), (half, "second half")):
                await watched.begin()
                async for number in steadily(half, a_second=given.rate):
                    await writer.write(each(first + number))
                await watched.end(f"{name}, {which}")

        page, watched = await opened("/runs", ".list-rows [role=row]")
        rows = await page.evaluate(SCROLL, given.rows)
        now = datetime.now(UTC)

        def of_the_list(number: int) -> OutgoingRecord:
            # Half of the events are of new runs, which are the first ones of the list.
            run, sequence = divmod(number, 2)
            phase = Phase.SUCCEEDED if sequence else Phase.RUNNING
            return status(f"new-{run:06}", 1 + sequence, phase, accepted_at=now)

        await write_halves(of_the_list, watched, f"list of {rows} rows")
        await page.close()

        page, watched = await opened(f"/runs/{BIG}", ".node")

        def of_the_run(number: int) -> OutgoingRecord:
            changed = step(number % given.steps, given.steps, "Succeeded")
            sequence = given.steps + number
            return of_big(sequence, [changed], accepted_at=now)

        await write_halves(of_the_run, watched, f"run of {given.steps} steps")
        graph = [step(number, given.steps, "Running") for number in range(given.steps)]
        edges = [(each.id, behind) for each in graph for behind in each.children]
        nodes = [each.id for each in graph]
        took = await page.evaluate(LAY_OUT, {"nodes": nodes, "edges": edges})
        print(f"layout of {len(nodes)} nodes, {len(edges)} edges: {took['first']:.0f} ms, ", end="")
        print(f"the best of five {took['best']:.0f} ms")
        await browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=100_000, help="rows to read into the list")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=500, help="events a second")
    parser.add_argument("--minutes", type=float, default=10)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_gateway(Path(folder)) as sluice:
        asyncio.run(measure(sluice, given))


if __name__ == "__main__":
    main()
