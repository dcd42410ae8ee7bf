"""What people do with the dashboard."""

import json
import re
import subprocess
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.dashboard.conftest import Faults, OpenPage
from tests.support.kafka import unique_name
from tests.support.sluice import Sluice

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120, func_only=True)]

Json = dict[str, Any]


def post(sluice: Sluice, path: str, document: Json) -> Json:
    """POST a document to the gateway."""
    request = urllib.request.Request(  # noqa: S310 - the gateway's URL
        f"{sluice.url}{path}",
        data=json.dumps(document).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the same
        found: Json = json.load(answer)
    return found


def get(sluice: Sluice, path: str) -> Json:
    """GET a document of the gateway."""
    with urllib.request.urlopen(f"{sluice.url}{path}", timeout=60) as answer:  # noqa: S310 - as above
        found: Json = json.load(answer)
    return found


def start(sluice: Sluice, workflow: str, **more: Any) -> str:
    """Start a run, and return its id."""
    run_id = unique_name("run")
    document = {"id": run_id, "workflow": workflow, **more}
    return str(post(sluice, "/v1/runs", document)["id"])


def write(sluice: Sluice, document: Json) -> None:
    """Write a record to the request topic."""
    subprocess.run(
        ["kcat", "-P", "-b", sluice.kafka.bootstrap_servers, "-t", sluice.topics.requests],
        input=json.dumps(document).encode(),
        check=True,
    )


def phase(page: Page, name: str) -> None:
    """Wait until the page's run has the phase."""
    expect(page.locator(".heading .phase")).to_have_text(name)


def test_a_run_is_started_from_the_form_and_its_graph_fills(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("link", name="Start", exact=True).click()
    page.get_by_role("link", name="map-reduce").click()
    expect(page.get_by_role("button", name="split Planned")).to_be_visible()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_disabled()
    page.get_by_label("workers").fill("51")
    expect(page.get_by_text("This must be at most 50.")).to_be_visible()
    page.get_by_label("workers").fill("3")
    page.get_by_label("text").fill("a b a\nc")
    expect(page.locator(".code pre")).to_contain_text('"workers":3')
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile("/runs/"))
    phase(page, "Succeeded")
    expect(page.get_by_role("button", name=re.compile("^count .*3 ✓"))).to_be_visible()
    expect(page.get_by_text('{"a":2,"b":1,"c":1}')).to_be_visible()
    expect(page.get_by_text("Over", exact=True)).to_be_visible()


def test_every_state_of_a_run_can_be_seen_again(open_page: OpenPage, sluice: Sluice) -> None:
    page = open_page(f"/runs/{start(sluice, 'map-reduce', parameters={'text': 'a b'})}")
    phase(page, "Succeeded")
    slider = page.get_by_role("slider")
    slider.press("Home")
    phase(page, "Submitted")
    expect(page.get_by_role("button", name="sum Planned")).to_be_visible()
    page.get_by_role("button", name="Latest").click()
    phase(page, "Succeeded")


def usual_time(page: Page) -> Locator:
    """Open the strip of time of the page's run, and return what it says is usual."""
    page.get_by_role("tab", name="Time").click()
    return page.get_by_role("status").filter(has_text="usually")


def test_a_run_shows_how_long_its_workflow_usually_takes(
    open_page: OpenPage, sluice: Sluice
) -> None:
    for _ in range(3):
        get(sluice, f"/v1/runs/{start(sluice, 'hello')}/outcome?wait=30")
    page = open_page(f"/runs/{start(sluice, 'hello')}")
    phase(page, "Succeeded")
    expect(usual_time(page)).to_have_text(re.compile(r"^usually (< )?\d+ s$"))
    expect(page.locator(".mark")).to_have_count(0)


@pytest.mark.parametrize(
    ("took", "text"),
    [(timedelta(hours=1), "usually 1 h"), (timedelta(0), "usually < 1 s, longer than usual")],
)
def test_a_live_run_is_compared_with_what_is_usual(
    open_page: OpenPage, sluice: Sluice, took: timedelta, text: str
) -> None:
    run_id = start(sluice, "approval")
    began = datetime(2026, 1, 1, tzinfo=UTC)
    times = {"started_at": began.isoformat(), "finished_at": (began + took).isoformat()}
    runs = [{"id": f"r{n}", "tenant": "default", "attempt": 1, **times} for n in range(3)]
    page = open_page("/limits")
    page.route("**/v1/runs?workflow=approval**", lambda route: route.fulfill(json={"runs": runs}))
    page.goto(f"/runs/{run_id}")
    phase(page, "Suspended")
    expect(usual_time(page)).to_have_text(text)
    expect(page.locator(".mark")).to_be_visible()


def test_an_approval_is_answered(open_page: OpenPage, sluice: Sluice) -> None:
    run_id = start(sluice, "approval", parameters={"reason": "Pay"})
    page = open_page("/approvals")
    card = page.locator("form.answer").filter(has_text=run_id)
    card.get_by_label("decision").select_option("approve")
    card.get_by_label("comment").fill("Yes.")
    card.get_by_label("Reason").fill("It is due.")
    card.get_by_role("button", name="Answer").click()
    expect(card).to_have_count(0)
    page.goto(f"/runs/{run_id}")
    phase(page, "Succeeded")
    expect(page.locator(".values", has_text="Outputs")).to_contain_text("Yes.")


def test_a_run_is_stopped_after_a_question(open_page: OpenPage, sluice: Sluice) -> None:
    page = open_page(f"/runs/{start(sluice, 'approval')}")
    phase(page, "Suspended")
    page.get_by_role("button", name="Stop", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Stop run-")
    dialog.get_by_role("button", name="Cancel").click()
    phase(page, "Suspended")
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_label("Reason (optional)").fill("Not wanted")
    page.get_by_role("dialog").get_by_role("button", name="Stop", exact=True).click()
    phase(page, "Failed")
    expect(page.get_by_role("button", name="Retry", exact=True)).to_be_visible()


def test_a_run_that_is_retried_is_followed_again(open_page: OpenPage, sluice: Sluice) -> None:
    page = open_page(f"/runs/{start(sluice, 'failure')}")
    phase(page, "Failed")
    expect(page.get_by_text("Over", exact=True)).to_be_visible()
    page.get_by_role("button", name="Retry", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Retry", exact=True).click()
    expect(page.get_by_text("attempt 2")).to_be_visible(timeout=30_000)


def test_a_run_is_retried_from_a_step_that_has_succeeded(
    open_page: OpenPage, sluice: Sluice
) -> None:
    page = open_page(f"/runs/{start(sluice, 'map-reduce', parameters={'text': 'a b'})}")
    phase(page, "Succeeded")
    page.get_by_role("button", name="sum Succeeded").click()
    page.get_by_role("button", name="Retry from here").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Retry from sum?")
    dialog.get_by_label("Reason (optional)").fill("Again")
    dialog.get_by_role("button", name="Retry", exact=True).click()
    # A retry of a step that has succeeded begins 45 s after the end.
    expect(page.get_by_text("attempt 2")).to_be_visible(timeout=75_000)
    phase(page, "Succeeded")


def test_nothing_is_missed_between_the_list_and_its_stream(
    open_page: OpenPage, sluice: Sluice
) -> None:
    run_id = start(sluice, "approval")
    # The list is read once here: what it shows must have been published before.
    page = open_page(f"/runs/{run_id}")
    phase(page, "Suspended")
    held: list[Route] = []
    page.route("**/v1/events?**", lambda route: held.append(route))  # noqa: PLW0108 - its type
    with page.expect_request("**/v1/events?**"):
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Runs").click()
    row = page.get_by_role("row").filter(has_text=run_id)
    expect(row).to_contain_text("Suspended")
    post(sluice, f"/v1/runs/{run_id}/terminate", {})
    get(sluice, f"/v1/runs/{run_id}/outcome?wait=30")
    assert held
    for route in held:
        route.continue_()
    expect(row).to_contain_text("Failed")


def test_who_is_no_longer_signed_in_is_asked_to_sign_in(
    open_page: OpenPage, faults: Faults
) -> None:
    page = open_page()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    faults.expect("401")
    problem = {
        "type": "urn:sluice:problem:unauthenticated",
        "status": 401,
        "title": "",
        "detail": "",
    }
    page.route("**/v1/**", lambda route: route.fulfill(status=401, json=problem))
    expect(page.get_by_text("Sign in to see runs")).to_be_visible(timeout=15_000)


def test_runs_are_filtered_and_the_address_can_be_shared(
    open_page: OpenPage, sluice: Sluice
) -> None:
    team = unique_name("team")
    run_id = start(sluice, "hello", labels={"team": team})
    other = start(sluice, "hello", labels={"team": "other"})
    page = open_page()
    row = page.get_by_role("row").filter(has_text=run_id)
    expect(row).to_contain_text("Succeeded")
    expect(page.get_by_role("row").filter(has_text=other)).to_be_visible()
    page.get_by_placeholder("label=value").fill(f"team={team}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row").filter(has_text=other)).to_have_count(0)
    expect(row).to_be_visible()
    shared = open_page(page.url.removeprefix(sluice.url))
    expect(shared.locator(".list-rows [role=row]")).to_have_count(1)
    shared.get_by_role("link", name=run_id).click()
    phase(shared, "Succeeded")


def test_the_list_is_live(open_page: OpenPage, sluice: Sluice) -> None:
    page = open_page()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    run_id = start(sluice, "approval")
    row = page.get_by_role("row").filter(has_text=run_id)
    expect(row).to_contain_text("Suspended")
    post(sluice, f"/v1/runs/{run_id}/terminate", {})
    expect(row).to_contain_text("Failed")


def test_runs_of_a_filter_are_commanded_together(open_page: OpenPage, sluice: Sluice) -> None:
    team = unique_name("team")
    for _ in range(3):
        start(sluice, "approval", labels={"team": team})
    page = open_page(f"/runs?label=team%3D{team}&phase=Suspended")
    expect(page.locator(".list-rows [role=row]")).to_have_count(3)
    command = page.get_by_label("Command for all that are shown")
    expect(command).to_contain_text("Command all 3", timeout=15_000)
    command.select_option("terminate")
    expect(page.get_by_role("dialog").get_by_role("listitem")).to_have_count(3)
    page.get_by_role("button", name="Terminate 3").click()
    expect(page.get_by_text("3 commands are on their way")).to_be_visible()
    expect(page.locator(".list-rows [role=row]")).to_have_count(0)


def test_a_workflow_is_paused_and_resumed(open_page: OpenPage) -> None:
    page = open_page("/limits")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="diamond"))
    row.get_by_role("button", name="Pause").click()
    page.get_by_label("Reason (optional)").fill("Maintenance")
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    expect(row).to_contain_text("paused")
    expect(row).to_contain_text("Maintenance")
    row.get_by_role("button", name="Resume").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(row).to_contain_text("open")


def test_live_runs_are_shown_against_their_limit(open_page: OpenPage, sluice: Sluice) -> None:
    tenant = unique_name("tenant")
    run_id = start(sluice, "approval", tenant=tenant)
    page = open_page(f"/runs/{run_id}?tenant={tenant}")
    phase(page, "Suspended")
    page.get_by_role("link", name="Limits").click()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=tenant))
    live, waiting = (row.get_by_role("cell").nth(at) for at in (1, 2))
    expect(live).to_have_text("1")
    expect(waiting).to_have_text("0")

    def limit(route: Route) -> None:
        document = route.fetch().json()
        for each in document["tenants"]:
            each.update(limit=2, weight=3)
        route.fulfill(json=document)

    page.route("**/v1/limits", limit)
    expect(live).to_have_text("1 / 2")
    expect(live.locator("svg")).to_be_visible()
    expect(row).to_contain_text("weight 3")
    page.unroute_all(behavior="wait")


def test_a_dead_letter_is_replayed_with_another_value(open_page: OpenPage, sluice: Sluice) -> None:
    run_id = unique_name("run")
    write(sluice, {"id": run_id, "workflow": "hallo", "parameters": {"name": "Ada"}})
    page = open_page("/dead-letters")
    page.get_by_role("button", name=re.compile(run_id)).click()
    value = page.get_by_label("Value")
    expect(page.get_by_text("Did you mean")).to_have_count(2)
    value.fill(json.dumps({"workflow": "hello", "parameters": {"name": "Ada"}}))
    page.get_by_role("button", name="Replay", exact=True).click()
    page.get_by_label("Reason (optional)").fill("A typo")
    page.get_by_role("dialog").get_by_role("button", name="Replay").click()
    page.wait_for_url(re.compile("/runs/"))
    phase(page, "Succeeded")
    expect(page.get_by_role("link", name=run_id)).to_be_visible()


def test_a_list_of_dead_letters_says_what_may_be_missing(open_page: OpenPage) -> None:
    page = open_page("/limits")

    def answer(route: Route) -> None:
        document = route.fetch().json()
        route.fulfill(json={**document, "behind": ["", "finance"]})

    notice = "these topics cannot be read now: the default ones, finance."
    page.route("**/v1/dead-letters?**", answer)
    page.get_by_role("link", name="Dead letters").click()
    expect(page.get_by_text(notice)).to_be_visible()
    page.unroute("**/v1/dead-letters?**")
    expect(page.get_by_text(notice)).to_have_count(0)


def test_a_dead_letter_is_dropped(open_page: OpenPage, sluice: Sluice) -> None:
    run_id = unique_name("run")
    write(sluice, {"id": run_id, "workflow": "hallo"})
    page = open_page("/dead-letters")
    letter = page.get_by_role("button", name=re.compile(run_id))
    letter.click()
    page.get_by_role("button", name="Drop", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Drop").click()
    expect(letter).to_have_count(0)
    page.get_by_role("button", name="dropped").click()
    expect(letter).to_be_visible()


def test_keys_search_and_lead_to_pages(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_placeholder("Search ids")).to_be_focused()
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Keys")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("l")
    expect(page.get_by_role("heading", name="Limits")).to_be_visible()


def test_an_empty_list_says_what_to_do(open_page: OpenPage) -> None:
    page = open_page("/runs?q=nothing-has-this-id")
    expect(page.get_by_text("No run fulfils the filter")).to_be_visible()
    page.get_by_role("button", name="Show all runs").click()
    expect(page).to_have_url(re.compile("/runs$"))
