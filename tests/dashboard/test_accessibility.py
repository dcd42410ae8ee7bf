"""No page has what axe calls serious, in either theme."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import OpenPage
from tests.dashboard.test_pages import phase, start
from tests.support.engines import skip
from tests.support.sluice import Sluice

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120, func_only=True)]

HERE = Path(__file__).parent / "axe"
SERIOUS = ("serious", "critical")


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
