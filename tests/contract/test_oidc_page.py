"""docs/oidc.md does what it says: its settings, its grants, and its workflow of GitHub."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from sluice_gateway.adapters.identification import opened_identification
from sluice_gateway.adapters.identity_files import read_grants
from sluice_gateway.adapters.oidc.key_ring_file import read_key_ring
from sluice_gateway.auth_settings import AuthSettings
from sluice_gateway.metrics import Metrics
from sluice_runtime.strict_yaml import FileError
from sluice_workflows.catalogue import Catalogue
from sluice_workflows.entries import Entry, TemplateRef
from tests.support.fake_github import ISSUER, FakeGitHub, fake_github
from tests.support.oidc_page import blocks, documents, section
from tests.support.stock import built_program
from tests.unit.gateway.harness import Gateway, GreetParameters, running_gateway

GITHUB = "A GitHub workflow without a secret"
SIGN_IN = "Signing in with a browser"
SLUICE = "https://runs.example.com"


def catalogue() -> Catalogue:
    """Give a catalogue with the workflow that the page starts."""
    return Catalogue(
        [
            Entry(
                name="hello",
                description="Greets somebody.",
                parameters=GreetParameters,
                template=TemplateRef(name="hello"),
            )
        ]
    )


@pytest.fixture
async def github() -> AsyncIterator[FakeGitHub]:
    async with fake_github() as github:
        yield github


@asynccontextmanager
async def gateway_of_the_page(github: FakeGitHub, folder: Path) -> AsyncIterator[Gateway]:
    """Run a gateway with the settings and grants of the page; GitHub is the stand-in."""
    page = {name: _with(github, document) for name, document in documents(GITHUB).items()}
    grants = folder / "grants.yaml"
    grants.write_text(yaml.safe_dump(page["grants"]))
    auth = AuthSettings.model_validate(
        {"mode": "required", "grants_file": grants, **page["auth"]["auth"]}
    )
    async with (
        opened_identification(auth, metrics=Metrics(CollectorRegistry())) as opened,
        running_gateway(
            folder, identification=opened.identification, catalogue=catalogue()
        ) as gateway,
    ):
        yield gateway


def _with(github: FakeGitHub, document: Any) -> Any:
    return yaml.safe_load(yaml.safe_dump(document).replace(ISSUER, github.issuer))


async def run_the_job(github: FakeGitHub, gateway: Gateway) -> tuple[int, str]:
    """Run the step of the page's workflow as a runner does; give its status and what it prints."""
    workflow = documents(GITHUB)["name"]
    [step] = workflow["jobs"]["start"]["steps"]
    assert workflow["permissions"] == {"id-token": "write"}
    assert workflow["jobs"]["start"]["env"] == {"SLUICE": SLUICE}
    # The token is for the public address; the gateway under test has none.
    script = step["run"].replace('"$SLUICE/v1', f'"{gateway.client.make_url("/v1")}')
    process = await asyncio.create_subprocess_exec(
        # https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
        *("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script),
        env={"PATH": os.environ["PATH"], "SLUICE": SLUICE, **github.job_environment()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, printed.decode()


async def test_the_workflow_starts_a_run_without_a_secret(
    github: FakeGitHub, tmp_path: Path
) -> None:
    async with gateway_of_the_page(github, tmp_path) as gateway:
        status, printed = await run_the_job(github, gateway)
        assert status == 0, printed
        [received] = gateway.requests()
        assert received.key.run_id == github.claims["sha"]
        assert received.request.workflow == "hello"
        # A job that is repeated.
        assert (await run_the_job(github, gateway))[0] == 0
        assert len(gateway.requests()) == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        # Another repository of the owner that has the same branch.
        ({"repository_id": "75"}, "403"),
        # Another owner, under the name of the one that was let in.
        ({"repository_owner_id": "66"}, "401"),
        ({"ref": "refs/heads/feature"}, "403"),
        ({"ref": "refs/pull/1/merge", "event_name": "pull_request"}, "403"),
    ],
)
async def test_another_repository_id_or_branch_starts_nothing(
    github: FakeGitHub, tmp_path: Path, change: dict[str, str], status: str
) -> None:
    github.claims |= change
    async with gateway_of_the_page(github, tmp_path) as gateway:
        failed, printed = await run_the_job(github, gateway)
        assert failed != 0
        assert f'"status":{status}' in printed
        assert not gateway.requests()


@pytest.mark.charts
def test_actionlint_has_nothing_to_say_of_the_workflow(tmp_path: Path) -> None:
    [workflow] = [each for each in blocks(GITHUB, "yaml") if each.startswith("name:")]
    file = tmp_path / "start.yaml"
    file.write_text(workflow)
    done = subprocess.run(
        [built_program("actionlint"), file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_settings_for_signing_in_are_valid() -> None:
    page = documents(SIGN_IN)
    auth = AuthSettings.model_validate(
        {"mode": "required", "grants_file": "grants.yaml", **page["auth"]["auth"]}
    )
    assert auth.sign_in.issuer == "https://accounts.example.com"
    assert auth.key_ring_file == Path("ring.yaml")
    grants = read_grants(yaml.safe_dump({"grants": page["grants"]["grants"]}).encode(), source="-")
    assert len(grants.grants) == 2
    assert "`openssl rand -base64 32`" in section(SIGN_IN)
    secret = subprocess.check_output(["openssl", "rand", "-base64", "32"], text=True).strip()
    text = yaml.safe_dump(page["keys"]).replace("PASTE-IT-HERE", secret)
    assert read_key_ring(text.encode(), source="docs/oidc.md").first.id == "2026-11"


def test_a_key_ring_that_was_copied_from_the_page_is_refused() -> None:
    text = yaml.safe_dump(documents(SIGN_IN)["keys"])
    with pytest.raises(FileError):
        read_key_ring(text.encode(), source="docs/oidc.md")
