"""Take the pictures of the dashboard and the command, docs/pictures/*.webp: `make pictures`.

A whole Sluice starts on the local engine, with runs of all kinds. Debian's Chromium shows its pages
in light and dark, and as a phone does. One picture is of what the command `sluice` writes on a
terminal. Times and ids in the pictures differ each time.

Usage: python -m tests.dashboard.pictures FOLDER
"""

import base64
import json
import math
import os
import re
import shlex
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page, expect, sync_playwright

from sluice_local.kafka import EmbeddedKafka
from tests.dashboard.terminal import THEMES, html_of, shown_by
from tests.support.engines import Engine
from tests.support.kafka import running_broker
from tests.support.matrix import LOCAL
from tests.support.sluice import Sluice

_DATA: Final = Path("tests/data/pictures")
_CHROMIUM: Final = Path("/usr/bin/chromium")
_CONTROLS: Final = {"SLUICE_KAFKA__CONTROLS_TOPIC": "pictures.controls"}
_CATALOGUE: Final = {
    "SLUICE_WORKFLOWS__CATALOGUE_FILE": str((_DATA / "catalogue.yaml").resolve()),
    **_CONTROLS,
}
_SIZES: Final = {"wide": (1280, 760), "phone": (390, 844)}
_SCALE: Final = 1.5
_QUALITY: Final = 82
_PATIENCE_MS: Final = 120_000
_BOOK: Final = "It was the best of times, it was the worst of times. " * 40
_TYPED: Final = (
    "sluice run map-reduce -p text=@book.txt --watch",
    "sluice list --limit 8",
)
_PROMPT: Final = "\x1b[2m$\x1b[0m "


def main() -> None:
    """Take all pictures."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, _running(Path(data)) as sluice:
        make_runs(sluice)
        with sync_playwright() as playwright:
            expect.set_options(timeout=_PATIENCE_MS)
            browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
            take_pictures(browser, sluice.url, folder)
            take_terminal(browser, typed_lines(sluice.url, Path(data)), folder)
            browser.close()


@contextmanager
def _running(data: Path) -> Iterator[Sluice]:
    broker = EmbeddedKafka(data_dir=data / "kafka")
    with running_broker(broker):
        sluice = Sluice(
            broker,
            data / "sluice",
            engine=Engine(LOCAL),
            environment={"gateway": _CATALOGUE, "dispatcher": _CATALOGUE},
        )
        try:
            sluice.start("engine")
            sluice.apply(_DATA / "templates.yaml")
            sluice.start("gateway", "dispatcher", "status-watcher")
            yield sluice
        finally:
            sluice.stop()


def make_runs(sluice: Sluice) -> None:
    """Start runs of all kinds, and wait until they are what the pictures show."""
    started: list[str] = []

    def start(run_id: str, workflow: str, parameters: dict[str, Any], **labels: str) -> None:
        request = {"id": run_id, "workflow": workflow, "parameters": parameters, "labels": labels}
        post(f"{sluice.url}/v1/runs", request)
        started.append(run_id)

    for number in (4708, 4709, 4710):
        start(f"order-{number}", "order-fulfilment", {"order": f"{number}"}, shop="berlin")
    start("prices-2026-11-30", "price-import", {"list": "TEA-250;3.50"}, team="purchasing")
    start("words-of-a-book", "map-reduce", {"text": _BOOK, "workers": 24}, team="research")
    start("greet-ada", "hello", {"name": "Ada"})
    start("order-4711", "order-fulfilment", {"order": "4711"}, shop="paris", customer="c-118")
    for run_id in started:
        get(f"{sluice.url}/v1/runs/{run_id}/outcome?wait=55")
    start("refund-4690", "approval", {"reason": "Refund 49.90 EUR to customer c-118"}, shop="paris")
    start("refund-4702", "approval", {"reason": "Refund 12.00 EUR to customer c-204"}, shop="rome")
    post(f"{sluice.url}/v1/workflows/diamond/pause", {"reason": "The warehouse is counted"})
    start("stock-check", "diamond", {}, team="warehouse")
    for line in (
        '{"id": "order-4712", "workflow": "order-fulfillment", "parameters": {"order": "4712"}}',
        '{"id": "order-4713", "workflow": "order-fulfilment", "parameters": {"carrier": "FedEx"}}',
        "order 4714, please",
    ):
        kcat = ["kcat", "-P", "-b", sluice.kafka.bootstrap_servers, "-t", sluice.topics.requests]
        subprocess.run(kcat, input=line.encode(), check=True)


def take_pictures(browser: Browser, url: str, folder: Path) -> None:
    """Show each page in both themes, and on a phone."""
    for name, show in _PAGES.items():
        for theme, size in (("light", "wide"), ("dark", "wide"), ("light", "phone")):
            width, height = _SIZES[size]
            context = browser.new_context(
                base_url=url,
                color_scheme="dark" if theme == "dark" else "light",
                viewport={"width": width, "height": height},
                device_scale_factor=_SCALE,
            )
            page = context.new_page()
            page.set_default_timeout(_PATIENCE_MS)
            show(page)
            kind = "phone" if size == "phone" else theme
            (folder / f"{name}-{kind}.webp").write_bytes(webp(page))
            context.close()


def typed_lines(url: str, data: Path) -> list[str]:
    """Type the commands of the picture, and return the lines of the terminal."""
    (data / "book.txt").write_text(_BOOK, "utf-8")
    # What a person has set for the command does not count here.
    own = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    environment = {**own, "SLUICE_URL": url, "SLUICE_CLI_CONFIG": str(data / "no-config.toml")}
    lines: list[str] = []
    for typed in _TYPED:
        command = [sys.executable, "-m", "sluice_cli", *shlex.split(typed)[1:]]
        lines += [f"{_PROMPT}{typed}", *shown_by(command, environment=environment, folder=data)]
    return lines


def take_terminal(browser: Browser, lines: list[str], folder: Path) -> None:
    """Show the terminal in both themes, in its own size."""
    for name, theme in THEMES.items():
        context = browser.new_context(device_scale_factor=_SCALE)
        page = context.new_page()
        page.set_content(html_of(lines, theme=theme))
        box = page.locator("pre").bounding_box()
        assert box is not None
        page.set_viewport_size(
            {"width": math.ceil(box["width"]), "height": math.ceil(box["height"])}
        )
        (folder / f"terminal-{name}.webp").write_bytes(webp(page))
        context.close()


def show_runs(page: Page) -> None:
    page.goto("/runs")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    # One more run, so that something happens.
    run_id = f"order-{4715 + page.locator('.list-rows [role=row]', has_text='order').count()}"
    post(
        page.url.replace("/runs", "/v1/runs"),
        {"id": run_id, "workflow": "order-fulfilment", "parameters": {"order": run_id}},
    )
    expect(page.get_by_role("row").filter(has_text=run_id)).to_contain_text("Running")
    expect(page.get_by_role("row").filter(has_text="refund-4702")).to_contain_text("Suspended")


def show_run(page: Page) -> None:
    """Show a state in the middle, of those that the run has had."""
    page.goto("/runs/order-4711")
    expect(page.get_by_text("Over", exact=True)).to_be_visible()
    slider = page.get_by_role("slider")
    picked = page.locator(".node", has_text="pick")
    for state in range(2, int(slider.get_attribute("max") or 0)):
        slider.fill(str(state))
        about = picked.get_attribute("aria-label") or ""
        if "✓" in about and "▶" in about:
            break
    slider.blur()


def show_time(page: Page) -> None:
    page.goto("/runs/order-4711")
    expect(page.get_by_text("Over", exact=True)).to_be_visible()
    page.get_by_role("tab", name="Time").click()
    expect(page.get_by_text("critical path")).to_be_visible()


def show_start(page: Page) -> None:
    page.goto("/start?workflow=order-fulfilment")
    order = page.get_by_role("textbox", name="order")
    order.fill("4716")
    expect(page.locator(".code pre")).to_contain_text("4716")
    expect(page.get_by_role("button", name=re.compile("validate"))).to_be_visible()
    order.blur()


def show_approvals(page: Page) -> None:
    page.goto("/approvals")
    expect(page.locator("form.answer")).to_have_count(2)


def show_dead_letters(page: Page) -> None:
    page.goto("/dead-letters")
    page.get_by_role("button", name=re.compile("order-4712")).click()
    expect(page.get_by_label("Value")).to_be_visible()


def show_limits(page: Page) -> None:
    page.goto("/limits")
    expect(page.get_by_role("row").filter(has_text="diamond")).to_contain_text("paused")


_PAGES: Final[dict[str, Callable[[Page], None]]] = {
    "runs": show_runs,
    "run": show_run,
    "time": show_time,
    "start": show_start,
    "approvals": show_approvals,
    "dead-letters": show_dead_letters,
    "limits": show_limits,
}


def webp(page: Page) -> bytes:
    """Return what is shown; Playwright itself has no WebP."""
    debugger = page.context.new_cdp_session(page)
    shot = debugger.send("Page.captureScreenshot", {"format": "webp", "quality": _QUALITY})
    return base64.b64decode(shot["data"])


def post(url: str, document: dict[str, Any]) -> None:
    request = urllib.request.Request(  # noqa: S310 - the gateway
        url, json.dumps(document).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=60).close()  # noqa: S310


def get(url: str) -> None:
    urllib.request.urlopen(url, timeout=120).close()  # noqa: S310 - the gateway


if __name__ == "__main__":
    main()
