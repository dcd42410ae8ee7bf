"""GitHub's workflows, and that they and the pages ask of the script what it knows."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.releasing.__main__ import parser
from testbed.folders import default_folders
from testbed.stock import Stock
from testbed.versions import load_versions
from tests.support.engines import skip

WORKFLOWS = sorted(Path(".github/workflows").glob("*.yaml"))
PAGES = [Path("docs/release.md"), Path("docs/deploy.md")]
CALL = re.compile(r"scripts/release [^\n`#)|;]+")


def steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


@pytest.mark.charts
def test_actionlint_has_nothing_to_say() -> None:
    stock = Stock(load_versions(), cache=default_folders().cache)
    program = stock.program("actionlint", "actionlint")
    if not program.is_file():
        skip("actionlint is not built; `make test-charts` builds it")
    done = subprocess.run([program, *WORKFLOWS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert len(WORKFLOWS) == 2


@pytest.mark.parametrize("file", [*WORKFLOWS, *PAGES], ids=str)
def test_the_script_is_asked_for_what_it_knows(file: Path) -> None:
    calls = CALL.findall(file.read_text("utf-8"))
    assert calls
    for call in calls:
        command = shlex.split(call)[1:]
        # An optional part of a call in a page.
        asked = [word.strip("[]") for word in command]
        assert parser().parse_args(asked).command


@pytest.mark.parametrize("file", WORKFLOWS, ids=str)
def test_no_step_has_more_rights_than_its_job_asks_for(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text("utf-8"))
    assert "permissions" in workflow
    for step in steps(workflow):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"])
        # What people type gets into a shell by its environment alone.
        assert "${{" not in step.get("run", "")


def test_a_promotion_starts_no_build() -> None:
    workflow = yaml.safe_load(Path(".github/workflows/ci.yaml").read_text("utf-8"))
    # YAML 1.1 takes `on` for a yes.
    ignored = workflow[True]["push"]["paths-ignore"]
    changed = "argocd/environments/dev/sluice.yaml"
    assert Path(changed).is_file()
    assert [changed.replace("/dev/", "/*/")] == ignored
