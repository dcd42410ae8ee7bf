"""Tabs of one browser read one stream of all runs."""

import re
import urllib.request

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import SECONDS, OpenPage
from tests.dashboard.test_pages import post, start
from tests.support.sluice import Sluice

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120, func_only=True)]

STREAMS = re.compile(r"^sluice_gateway_streams ([\d.]+)$", re.MULTILINE)


def streams(sluice: Sluice) -> float:
    """Return how many streams the gateway serves now."""
    url = f"{sluice.endpoints.health_url('gateway')}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - the gateway's
        [found] = STREAMS.findall(answer.read().decode())
    return float(found)


def until_there_are(count: int, page: Page, sluice: Sluice) -> None:
    """Wait until the gateway serves so many streams; it notices late that a tab was closed."""
    for _ in range(10 * SECONDS):
        if streams(sluice) == count:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{streams(sluice)} streams")


def live(page: Page) -> None:
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


def another_tab(page: Page, address: str) -> Page:
    tab = page.context.new_page()
    tab.goto(address)
    live(tab)
    return tab


def test_tabs_share_a_stream_and_the_next_one_takes_over(
    open_page: OpenPage, sluice: Sluice
) -> None:
    first = open_page("/runs?workflow=approval")
    live(first)
    until_there_are(1, first, sluice)
    second = another_tab(first, first.url)
    run_id = start(sluice, "approval")
    for page in (first, second):
        row = page.get_by_role("row").filter(has_text=run_id)
        expect(row).to_contain_text("Suspended")
    until_there_are(1, second, sluice)

    first.close()
    post(sluice, f"/v1/runs/{run_id}/terminate", {})
    expect(second.get_by_role("row").filter(has_text=run_id)).to_contain_text("Failed")
    until_there_are(1, second, sluice)


def test_another_filter_has_a_stream_of_its_own(open_page: OpenPage, sluice: Sluice) -> None:
    first = open_page("/runs?workflow=hello")
    live(first)
    second = another_tab(first, "/runs?workflow=diamond")
    until_there_are(2, second, sluice)
