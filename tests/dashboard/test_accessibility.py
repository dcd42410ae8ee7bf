"""No page has what axe calls serious, in either theme."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.dashboard.conftest import Faults, OpenPage
from tests.dashboard.test_pages import phase, start, write
from tests.support.engines import skip
from tests.support.kafka import unique_name
from tests.support.sluice import Sluice

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120, func_only=True)]

HERE = Path(__file__).parent / "axe"
SERIOUS = ("serious", "critical")
# Parts that have to be scrolled sideways.
WIDER = """() => [...document.querySelectorAll('html, main, .panel, .inbox, .list-rows')]
  .filter((part) => part.scrollWidth > part.clientWidth)
  .map((part) => `${part.tagName} ${part.className}: ${part.scrollWidth}`)"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of axe."""
    if shutil.which("npm") is None:
        skip("npm is not installed")
    folder = tmp_path_factory.mktemp("axe")
    shutil.copytree(HERE, folder, dirs_exist_ok=True)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return (folder / "node_modules/axe-core/axe.min.js").read_text("utf-8")


def serious(page: Page, axe: str) -> list[str]:
    """Return what is wrong with the page, and where."""
    # A script in the page would be against its policy; the debugger's is not.
    page.evaluate(axe)
    found: list[Any] = page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{each['id']}: {node['html'][:160]}: {node['failureSummary']}"
        for each in found
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "address", ["/runs", "/start?workflow=map-reduce", "/limits", "/dead-letters"]
)
def test_pages(open_page: OpenPage, axe: str, address: str, theme: str, sluice: Sluice) -> None:
    start(sluice, "hello", labels={"team": "a"})
    page = open_page(address, theme=theme)
    expect(page.locator("h1")).to_be_visible()
    shown = "No dead letters" if address == "/dead-letters" else "hello"
    expect(page.locator("main").get_by_text(shown).last).to_be_visible()
    assert serious(page, axe) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_run_that_waits_and_the_inbox(
    open_page: OpenPage, axe: str, theme: str, sluice: Sluice
) -> None:
    run_id = start(sluice, "approval", parameters={"reason": "Pay"})
    page = open_page(f"/runs/{run_id}", theme=theme)
    phase(page, "Suspended")
    expect(page.get_by_role("button", name="approve Suspended")).to_be_visible()
    assert serious(page, axe) == []
    page.get_by_role("button", name="propose Succeeded").click()
    for tab in ("Steps", "Time"):
        page.get_by_role("tab", name=tab).click()
        assert serious(page, axe) == [], tab
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert serious(page, axe) == [], "dialog"
    page.goto("/approvals")
    expect(page.get_by_text(run_id)).to_be_visible()
    assert serious(page, axe) == [], "approvals"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_dead_letter_and_what_is_behind(
    open_page: OpenPage, axe: str, theme: str, sluice: Sluice
) -> None:
    run_id = unique_name("run")
    write(sluice, {"id": run_id, "workflow": "hallo"})
    page = open_page("/limits", theme=theme)

    def behind(route: Route) -> None:
        route.fulfill(json={**route.fetch().json(), "behind": ["finance"]})

    page.route("**/v1/dead-letters?**", behind)
    page.get_by_role("link", name="Dead letters").click()
    page.get_by_role("button", name=re.compile(run_id)).click()
    expect(page.get_by_label("Value")).to_be_visible()
    assert serious(page, axe) == []
    page.unroute_all(behavior="wait")
    # Others expect that there are no open ones.
    page.get_by_role("button", name="Drop", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Drop").click()
    expect(page.get_by_role("button", name=re.compile(run_id))).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_that_nobody_has_signed_in_to(
    open_page: OpenPage, axe: str, theme: str, faults: Faults
) -> None:
    page = open_page("/limits", theme=theme)
    faults.expect("401")
    problem = {
        "type": "urn:sluice:problem:unauthenticated",
        "status": 401,
        "title": "",
        "detail": "",
    }
    page.route("**/v1/**", lambda route: route.fulfill(status=401, json=problem))
    page.goto("/runs")
    expect(page.get_by_text("Sign in to see runs")).to_be_visible()
    assert serious(page, axe) == []


@pytest.mark.parametrize("address", ["/runs", "/start", "/approvals", "/dead-letters", "/limits"])
def test_no_page_is_wider_than_a_phone(open_page: OpenPage, address: str, sluice: Sluice) -> None:
    start(sluice, "approval", parameters={"reason": "Pay"})
    page = open_page(address, width=390)
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator(".state.loading")).to_have_count(0)
    wider: list[str] = page.evaluate(WIDER)
    assert wider == []
