"""docs/versions.md lists all versions, and Renovate's configuration finds them."""

import fnmatch
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.versions import PAGE, Pin, page_of, pins

ROOT = Path(__file__).parents[2]
PINS = pins(ROOT)
RENOVATE: dict[str, Any] = json.loads((ROOT / "renovate.json").read_text("utf-8"))

# How a version is written where somebody chooses one.
PINNED = [
    r"\buses: [\w./-]+@[0-9a-f]{40} # (v\S+)",
    r"\b(?:image|IMAGE)\b[^\n#]*?[a-z]:-?(?:[a-z0-9./-]+:)?(v?\d+\.\d[\w.-]*)",
    r"\btag: \"?(v?\d+\.\d+\.\d+)\b",
    r"^(?: +version|appVersion): \"?(v?\d+\.\d+\.\d+)\b",
    r"^\w*[vV]ersion = \"(v?\d+\.\d[\w.]*)\"",
    r"^[A-Z_]+ = \"(v?\d+\.\d+(?:\.\w+)*)\"",
    r"--version (v?\d+\.\d+\.\d+)\b",
    r"/releases/download/(v?[\d.]+)/",
    r"-version: \"([\d.]+)\"",
]
ADDRESS = re.compile(r"\d+(?:\.\d+){3}")
LOOKED_AT = [
    "*Dockerfile",
    "*.yaml",
    "*.yml",
    "*.toml",
    "*.py",
    "docs/deploy.md",
    "scripts/*",
]
# Versions of our own, examples of versions, and what was derived from a version.
OURS = [
    "tests/*",
    "*/tests/*",
    "*/ci/*",
    "bench/*",
    "*pyproject.toml",
    "pulumi/policy/PulumiPolicy.yaml",
    "helm/sluice/Chart.yaml",
    "helm/workflows/Chart.yaml",
    "argocd/root/Chart.yaml",
    "argocd/environments/*/sluice.yaml",
    "argocd/environments/*/charts/*",
    "requirements/*",
]


def tracked() -> Iterator[str]:
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    for name in listed:
        if not any(fnmatch.fnmatch(name, pattern) for pattern in LOOKED_AT):
            continue
        if (ROOT / name).is_file() and not any(fnmatch.fnmatch(name, each) for each in OURS):
            yield name


def test_the_page_is_fresh() -> None:
    assert (ROOT / PAGE).read_text("utf-8") == page_of(PINS), "run `make versions`"


def test_no_version_is_missing() -> None:
    known = {(pin.file, pin.version) for pin in PINS}
    missing = {
        (name, version)
        for name in tracked()
        for pattern in PINNED
        for version in re.findall(pattern, (ROOT / name).read_text("utf-8"), re.MULTILINE)
        if not ADDRESS.fullmatch(version)
    } - known
    assert missing == set(), "scripts/versions.py does not list these"


def test_a_version_that_nobody_lists_is_noticed() -> None:
    """As the patterns above are written for the files of today."""
    for text in ("  image: a.example.com/b:1.2.3", "  version: 1.2.3", 'version = "1.2.3"'):
        assert any(re.findall(pattern, text, re.MULTILINE) for pattern in PINNED), text


def found_by_renovate() -> Iterator[tuple[str, str, str, str]]:
    """Give what the expressions find: package, source, version and file."""
    for manager in RENOVATE["customManagers"]:
        patterns = [each.strip("/") for each in manager["managerFilePatterns"]]
        files = [name for name in listed() if any(re.search(each, name) for each in patterns)]
        assert files, manager["description"]
        for name in files:
            text = (ROOT / name).read_text("utf-8")
            for expression in manager["matchStrings"]:
                for match in re.finditer(expression.replace("(?<", "(?P<"), text):
                    groups = match.groupdict()
                    digest = groups.get("currentDigest")
                    yield (
                        groups.get("depName") or manager["depNameTemplate"],
                        groups.get("datasource") or manager["datasourceTemplate"],
                        groups["currentValue"] + (f"@{digest}" if digest else ""),
                        name,
                    )


def listed() -> list[str]:
    return subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()


def is_built_in(pin: Pin) -> bool:
    """Say whether a manager of Renovate's own reads the file."""
    if pin.file.startswith(".github/") or "Dockerfile" in pin.file:
        return True
    # It does not read the arguments of a build.
    return pin.file == "docker-compose.yml" and pin.package in ("apache/kafka", "rancher/k3s")


def test_renovate_finds_every_version_that_it_can_look_up() -> None:
    wanted = {(*pin,) for pin in PINS if pin.source != "none" and not is_built_in(pin)}
    found = {each for each in found_by_renovate() if each[3] != str(PAGE)}
    assert found == wanted


def test_renovate_finds_every_row_of_the_page() -> None:
    found = {each[:3] for each in found_by_renovate() if each[3] == str(PAGE)}
    assert found == {(*pin[:3],) for pin in PINS if pin.source != "none"}


@pytest.mark.parametrize(
    "chart", sorted({pin.package for pin in PINS if pin.source == "helm"}), ids=str
)
def test_renovate_knows_the_repository_of_every_chart(chart: str) -> None:
    [urls] = [
        rule["registryUrls"]
        for rule in RENOVATE["packageRules"]
        if "registryUrls" in rule and chart in rule["matchDepNames"]
    ]
    parts = yaml.safe_load((ROOT / "argocd/root/files/parts.yaml").read_text("utf-8"))
    places = {name: part["repoURL"] for name, part in parts.items() if "chart" in part}
    # The chart of Argo CD itself is in the repository of Argo Workflows' chart.
    assert urls == [places.get(chart, places["argo-workflows"])]
