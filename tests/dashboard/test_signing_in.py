"""People sign in at a real OpenID provider, in a real browser, and are offered what they may do."""

import base64
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.conftest import SECONDS, Faults
from tests.dashboard.test_pages import start
from tests.support.sluice import Sluice
from tests.support.stock import built_program

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120, func_only=True)]

GRANTS = """
grants:
- principals: ["user:ada@example.com"]
  tenants: ["*"]
  workflows: ["*"]
  scopes: ["runs:start", "runs:read", "payloads:read", "runs:command", "dlq", "admin"]
- principals: ["user:bob@example.com"]
  tenants: ["*"]
  workflows: ["*"]
  scopes: ["runs:read"]
"""


class Provider:
    """The running provider."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.about: dict[str, str] = self._answer()

    @property
    def origin(self) -> str:
        parts = urlsplit(self.about["issuer"])
        return f"{parts.scheme}://{parts.netloc}"

    def expect(self, email: str) -> None:
        """Let this person be the next one who signs in."""
        person = {"Subject": email, "Email": email, "EmailVerified": True}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"User": person}) + "\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """mockoidc, which signs everybody in at once. It ends with its input."""
    command = [str(built_program("mockoidc"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Provider(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def origin(
    sluice: Sluice, provider: Provider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A second gateway of the same Sluice, where people have to sign in."""
    folder = tmp_path_factory.mktemp("auth")
    # Browsers take http://localhost for secure, also for cookies.
    name, origin = sluice.another_gateway(
        lambda origin: settings_of(folder, provider.about, origin=origin)
    )
    # Playwright's event loop runs in this thread. A process ends with the thread that started it.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(sluice.start, name).result()
        yield origin
        sluice.stop(name)


def settings_of(folder: Path, provider: dict[str, str], *, origin: str) -> dict[str, str]:
    """Return the settings of a gateway whose people sign in by the provider."""
    ring, secret, grants = folder / "ring.yaml", folder / "secret", folder / "grants.yaml"
    ring.write_text(f"keys: [{{id: a, secret: {base64.b64encode(b'a' * 32).decode()}}}]")
    secret.write_text(provider["client_secret"])
    grants.write_text(GRANTS)
    sign_in = {
        "ISSUER": provider["issuer"],
        "CLIENT_ID": provider["client_id"],
        "CLIENT_SECRET_FILE": str(secret),
        "PUBLIC_ORIGIN": origin,
        "USER_ID": "email",
    }
    return {
        "SLUICE_AUTH__MODE": "required",
        "SLUICE_AUTH__GRANTS_FILE": str(grants),
        "SLUICE_AUTH__KEY_RING_FILE": str(ring),
        **{f"SLUICE_AUTH__SIGN_IN__{name}": value for name, value in sign_in.items()},
    }


@pytest.fixture
def page(browser: Browser, origin: str, provider: Provider) -> Iterator[Page]:
    """A page of a browser without cookies, that has done nothing wrong at the end."""
    faults = Faults(origin, provider.origin)
    # Nobody, and people without grants, are refused, which the browser reports.
    faults.expect("401")
    faults.expect("403")
    context = browser.new_context(base_url=origin)
    page = context.new_page()
    page.set_default_timeout(SECONDS * 1000)
    faults.watch(page)
    yield page
    context.close()
    assert faults.found == []


def sign_in(page: Page) -> None:
    page.get_by_role("link", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_somebody_signs_in_at_the_page_they_wanted_and_signs_out(
    page: Page, provider: Provider, sluice: Sluice
) -> None:
    run_id = start(sluice, "approval")
    provider.expect("ada@example.com")
    page.goto(f"/runs/{run_id}")
    expect(page.get_by_text("Sign in to see runs")).to_be_visible()
    expect(page.get_by_text(run_id)).to_have_count(0)
    sign_in(page)
    expect(page.get_by_text("ada@example.com")).to_be_visible()
    expect(page.get_by_role("heading", name=run_id)).to_be_visible()

    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".heading .phase")).to_have_text("Failed")

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("Sign in to see runs")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Sign in to see runs")).to_be_visible()
    assert page.context.cookies() == []


def test_what_a_scope_forbids_is_not_offered(
    page: Page, provider: Provider, sluice: Sluice
) -> None:
    run_id = start(sluice, "approval", parameters={"reason": "Private"})
    provider.expect("bob@example.com")
    page.goto("/runs")
    sign_in(page)
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link")).to_have_text(
        ["Runs", "Limits"]
    )
    page.get_by_role("link", name=run_id).click()
    expect(page.locator(".heading .phase")).to_have_text("Suspended")
    expect(page.get_by_text("Private, or no longer known.")).to_be_visible()
    expect(page.locator(".commands button")).to_have_count(0)
    page.get_by_role("link", name="Limits").click()
    expect(page.get_by_role("link", name="approval")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)


def test_somebody_without_a_grant_may_do_nothing(page: Page, provider: Provider) -> None:
    provider.expect("eve@example.com")
    page.goto("/runs")
    page.get_by_role("link", name="Sign in").click()
    expect(page.get_by_text("You may do nothing here")).to_be_visible()
