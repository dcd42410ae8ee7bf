"""The dashboard in a real browser, over a whole Sluice on the local engine."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from sluice_local.kafka import EmbeddedKafka
from tests.support.engines import Engine, skip
from tests.support.kafka import running_broker
from tests.support.matrix import LOCAL
from tests.support.sluice import Sluice, running_sluice

CHROMIUM = Path("/usr/bin/chromium")
SECONDS = 30
CONTROLS = {"SLUICE_KAFKA__CONTROLS_TOPIC": "dashboard.controls"}


@pytest.fixture(scope="session")
def sluice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sluice]:
    """A Sluice without identities, for all tests that look at it."""
    broker = EmbeddedKafka(data_dir=tmp_path_factory.mktemp("kafka"))
    with (
        running_broker(broker),
        running_sluice(
            broker,
            tmp_path_factory.mktemp("sluice"),
            engine=Engine(LOCAL),
            environment={"gateway": CONTROLS, "dispatcher": CONTROLS},
        ) as running,
    ):
        yield running


@pytest.fixture(scope="session")
def browser(sluice: Sluice) -> Iterator[Browser]:  # noqa: ARG001 - see below
    """Debian's Chromium.

    Playwright's event loop runs in this thread from here on, and Sluice needs its own to start.
    """
    if not CHROMIUM.exists():
        skip("Chromium is not installed (Debian's package chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            # The tests of CI run as root.
            args=["--no-sandbox"],
        )
        yield browser
        browser.close()


class Faults:
    """What a page must never do: report an error, break its policy, or ask anybody else."""

    def __init__(self, origin: str) -> None:
        self.found: list[str] = []
        self._origin = origin
        self._expected: list[str] = []

    def expect(self, text: str) -> None:
        """Pass over messages with this text from now on: the test provokes them."""
        self._expected.append(text)

    def watch(self, page: Page) -> None:
        """Note the faults of the page from now on."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        is_expected = any(text in message.text for text in self._expected)
        if message.type in ("error", "warning") and not is_expected:
            self.found.append(f"{message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if f"{parts.scheme}://{parts.netloc}" != self._origin:
            self.found.append(f"foreign request: {request.url}")


OpenPage = Callable[..., Page]


@pytest.fixture
def faults(sluice: Sluice) -> Faults:
    """What pages have done wrong."""
    return Faults(sluice.url)


@pytest.fixture
def open_page(browser: Browser, sluice: Sluice, faults: Faults) -> Iterator[OpenPage]:
    """Open addresses of the dashboard; no page may have done anything wrong at the end."""
    contexts = []

    def opened(address: str = "/", *, theme: str = "light", width: int = 1280) -> Page:
        context = browser.new_context(
            base_url=sluice.url,
            color_scheme="dark" if theme == "dark" else "light",
            viewport={"width": width, "height": 800},
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SECONDS * 1000)
        expect.set_options(timeout=SECONDS * 1000)
        faults.watch(page)
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults.found == []
