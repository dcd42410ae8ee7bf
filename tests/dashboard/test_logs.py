"""The log of a step in its panel, while the step writes it."""

import re

import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import OpenPage
from tests.dashboard.test_pages import phase, start
from tests.support.sluice import Sluice

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def test_a_log_is_read_live_until_its_step_has_ended(open_page: OpenPage, sluice: Sluice) -> None:
    page = open_page(f"/runs/{start(sluice, 'chatter')}")
    page.get_by_role("button", name=re.compile("^talk")).click()
    side = page.locator("aside")
    side.get_by_text("Log", exact=True).click()
    log = side.get_by_label("Log")
    expect(log).to_contain_text("line 9999")
    expect(log).not_to_contain_text("line 9000\n")
    expect(side.get_by_text("Live.")).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Stop", exact=True).click()
    expect(log).to_contain_text("bye")
    expect(side.get_by_text("Live.")).to_be_hidden()
    phase(page, "Failed")


def test_a_step_without_a_container_has_none(open_page: OpenPage, sluice: Sluice) -> None:
    page = open_page(f"/runs/{start(sluice, 'approval')}")
    phase(page, "Suspended")
    page.get_by_role("button", name=re.compile("^approve")).click()
    expect(page.locator("aside").get_by_text("Phase")).to_be_visible()
    expect(page.locator("aside").get_by_text("Log", exact=True)).to_have_count(0)
