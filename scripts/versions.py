"""Lists every version that somebody chose, with where it is used: `make versions`.

docs/versions.md is written from the places themselves, so it cannot say anything else than they do;
a test compares both. Renovate reads the page, too, and so corrects it in the same pull request.
Not here: Python packages (requirements/*.txt), and what is derived from a version (go.sum, jars).
"""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import yaml

__all__ = ["PAGE", "Pin", "page_of", "pins"]

PAGE: Final = Path("docs/versions.md")
_HEAD: Final = """\
# Versions

Every version that somebody chose, and the files that have it.
Python packages are in `requirements/*.txt`.
What is derived from a version (checksums, locks) is beside it.

`make versions` writes this page from those files, and a test compares them.
[Renovate](../renovate.json) proposes newer versions of all sources but `none`.
It changes the files and this page together.

| package | source | version | used in |
| --- | --- | --- | --- |
"""
# A name with a registry, or one that follows a word for an image.
_IMAGE: Final = re.compile(
    r"((?<![\w./])(?:[a-z0-9][a-z0-9-]*\.)+[a-z]+/[a-z0-9-]+(?:/[a-z0-9-]+)*"
    r"|(?:(?<=image: )|(?<=IMAGE:-))[a-z0-9-]+(?:/[a-z0-9-]+)*)"
    r":(v?\d[\w.-]*(?:@sha256:[0-9a-f]{64})?|bookworm|trixie)\b"
)
_IMAGES: Final = (
    "Dockerfile",
    "docker-compose.yml",
    "examples/templates/*.yaml",
    "helm/sluice/values.yaml",
    "libs/workflows/src/sluice_workflows/settings.py",
    "services/dispatcher/src/sluice_dispatcher/settings.py",
    "testbed/src/testbed/docker/*.Dockerfile",
    ".github/workflows/*.yaml",
)
_KAFKA: Final = ("maven", "org.apache.kafka:kafka_2.13")
_ARGO_CD: Final = ("helm", "argo-cd")
_ARGO_CD_IMAGE: Final = ("github-tags", "argoproj/argo-cd")
_ARGO_WORKFLOWS: Final = ("github-tags", "argoproj/argo-workflows")
# The first group of each expression is a version of that source and package.
_PLAIN: Final = (
    ("helm/kafka/values.yaml", r"^  version: (\S+)$", _KAFKA),
    ("helm/kafka/Chart.yaml", r'^appVersion: "(.+)"$', _KAFKA),
    ("local/src/sluice_local/kafka/jars.py", r'^DEFAULT_VERSION = "(.+)"$', _KAFKA),
    ("docker-compose.yml", r"argo-workflows/releases/download/(v[\d.]+)/", _ARGO_WORKFLOWS),
    ("argocd/platform/values/argo-workflows.yaml", r"image: \{tag: (v[^}]+)\}", _ARGO_WORKFLOWS),
    ("argocd/argo-cd.yaml", r"--version (\d\S+)", _ARGO_CD),
    ("argocd/argo-cd.yaml", r"image: \{tag: (v[^}]+)\}", _ARGO_CD_IMAGE),
    ("docs/deploy.md", r"argo-cd --repo \S+ --version (\S+)", _ARGO_CD),
    (".github/workflows/*.yaml", r'go-version: "([\d.]+)"', ("none", "Go")),
)
# Constants of pulumi/sluice_infra/versions.py that Renovate knows.
_CONSTANTS: Final = {"ARGO_CD_CHART": _ARGO_CD, "KUBERNETES": ("endoflife-date", "amazon-eks")}


class Pin(NamedTuple):
    """A version of a package in a file; ``source``: what Renovate calls a datasource."""

    package: str
    source: str
    version: str
    file: str


def pins(root: Path) -> list[Pin]:
    """Return all versions of the repository, sorted."""
    found = (_platform, _infrastructure, _testbed, _images, _actions, _plain)
    return sorted({pin for each in found for pin in each(root)})


def page_of(some: Iterable[Pin]) -> str:
    """Return the page that lists them."""
    rows: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for package, source, version, file in some:
        rows[package, source, version].append(f"`{file}`")
    lines = [
        f"| {package} | {source} | {version} | {', '.join(files)} |\n"
        for (package, source, version), files in rows.items()
    ]
    return _HEAD + "".join(lines)


def _platform(root: Path) -> Iterator[Pin]:
    parts = yaml.safe_load((root / "argocd/root/files/parts.yaml").read_text("utf-8"))
    files = [root / "argocd/root/values.yaml", *root.glob("argocd/environments/*/root.yaml")]
    for file in files:
        for name, given in yaml.safe_load(file.read_text("utf-8"))["platform"].items():
            if "version" in given:
                of = ("helm", name)
                if "chart" not in parts[name]:
                    of = ("github-tags", parts[name]["repoURL"].removeprefix("https://github.com/"))
                yield Pin(of[1], of[0], given["version"], _shown(file, root))


def _infrastructure(root: Path) -> Iterator[Pin]:
    """Give the constants, and the entries of tables as `NAME.key`, that are versions."""
    file = root / "pulumi/sluice_infra/versions.py"
    for node in ast.parse(file.read_text("utf-8")).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        name, value = ast.unparse(target), _literal(node.value)
        table = value if isinstance(value, dict) else {}
        labelled = {f"{name}.{key}": each for key, each in table.items()} or {name: value}
        for label, version in labelled.items():
            if isinstance(version, str) and re.match(r"v?\d", version):
                source, package = _CONSTANTS.get(label, ("none", label))
                yield Pin(package, source, version, _shown(file, root))


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _testbed(root: Path) -> Iterator[Pin]:
    file = root / "testbed/src/testbed/versions.toml"
    page, shown = tomllib.loads(file.read_text("utf-8")), _shown(file, root)
    for entry in [*page["go"].values(), page["openapi"], *page["crds"].values()]:
        yield Pin(entry["module"], "go", entry["version"], shown)
    for version in page["kafka"].values():
        yield Pin(_KAFKA[1], _KAFKA[0], version, shown)
    yield Pin("strimzi", "helm", page["strimzi"]["version"], shown)
    yield Pin("Debian", "none", page["debian"]["suite"], shown)
    image, _, version = page["debian"]["python_image"].partition(":")
    yield Pin(image, "docker", version, shown)


def _images(root: Path) -> Iterator[Pin]:
    for file in _files(root, *_IMAGES):
        for image, version in _IMAGE.findall(file.read_text("utf-8")):
            yield Pin(image, "docker", version, _shown(file, root))


def _actions(root: Path) -> Iterator[Pin]:
    for file in _files(root, ".github/workflows/*.yaml", ".github/actions/*/action.yaml"):
        for action, version in re.findall(
            r"uses: ([\w-]+/[\w-]+)(?:/[\w-]+)?@[0-9a-f]{40} # (v\S+)", file.read_text("utf-8")
        ):
            yield Pin(action, "github-tags", version, _shown(file, root))


def _plain(root: Path) -> Iterator[Pin]:
    for pattern, expression, (source, package) in _PLAIN:
        for file in _files(root, pattern):
            for version in re.findall(expression, file.read_text("utf-8"), re.MULTILINE):
                yield Pin(package, source, version, _shown(file, root))


def _files(root: Path, *patterns: str) -> Iterator[Path]:
    for pattern in patterns:
        yield from root.glob(pattern)


def _shown(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


def main() -> int:
    """Write the page."""
    PAGE.write_text(page_of(pins(Path())), "utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
