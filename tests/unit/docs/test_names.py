"""What the pages name exists: paths, settings, values, metrics, alerts, messages."""

import ast
import re
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

import sluice_client
from scripts.chart_docs import CHARTS, values_of
from sluice_contracts.audit import AUDIT_TOPIC
from sluice_contracts.problems import ProblemType
from sluice_contracts.requests import CommandType
from sluice_contracts.topics import TopicNames
from sluice_dispatcher import settings as dispatcher
from sluice_gateway import settings as gateway
from sluice_gateway.handlers import table
from sluice_runtime.settings import ServiceSettings
from sluice_status_watcher import settings as status_watcher
from tests.unit.docs.pages import PAGES, ROOT, code_spans, rows, section, shown
from tests.unit.docs.runbooks import alerts

OPERATIONS = ROOT / "docs/operations.md"
API = ROOT / "docs/api.md"
KAFKA = ROOT / "docs/kafka.md"
# It names what was there once.
CHANGELOG = ROOT / "CHANGELOG.md"
CURRENT = [page for page in PAGES if page != CHANGELOG]
# It names a file of another repository.
OF_OURS = [page for page in CURRENT if page != ROOT / "examples/texts/README.md"]
# Its keys below `sluice:` are Pulumi's, though some have the names of a chart's values.
OF_CHARTS = [page for page in CURRENT if page != ROOT / "docs/infrastructure.md"]
SERVICES = {
    "gateway": ROOT / "services/gateway/src",
    "dispatcher": ROOT / "services/dispatcher/src",
    "status-watcher": ROOT / "services/status-watcher/src",
}
CODE = [ROOT / "libs", ROOT / "services"]
_LOGS = re.compile(r"log\.\w+$|bind_contextvars$|bound_contextvars$|\.bind$")

each_current = pytest.mark.parametrize("page", CURRENT, ids=shown)


@cache
def source(*folders: Path) -> str:
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    return "\n".join(file.read_text("utf-8") for file in files)


@cache
def elsewhere() -> str:
    """Return what is not code of the libraries and services, and may define names too."""
    files = [
        ROOT / "Makefile",
        ROOT / "docker-compose.yml",
        *ROOT.glob("argocd/**/*.yaml"),
        *ROOT.glob("helm/**/*.yaml"),
        *ROOT.glob("helm/**/*.tpl"),
    ]
    engines = [*ROOT.glob("local/**/*.py"), *ROOT.glob("engine/**/*.py")]
    program = [*ROOT.glob("pulumi/*.py"), *ROOT.glob("pulumi/sluice_infra/*.py")]
    return "\n".join(file.read_text("utf-8") for file in [*files, *engines, *program])


# --- paths and commands


@pytest.mark.parametrize("page", OF_OURS, ids=shown)
def test_paths_exist(page: Path) -> None:
    folders = "|".join(
        re.escape(each.name) for each in ROOT.iterdir() if each.is_dir() and each.name != ".git"
    )
    for span in code_spans(page.read_text("utf-8")):
        if re.fullmatch(rf"(?:{folders})/[\w./-]+", span) and ".venv" not in span:
            there = [ROOT / span, page.parent / span, *page.parent.glob(f"src/*/{span}")]
            assert any(path.exists() for path in there), span


@each_current
def test_make_knows_its_targets(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = re.findall(r"(?:^|`|; )make ([a-z][a-z-]*)", page.read_text("utf-8"), re.MULTILINE)
    assert set(named) <= targets


# --- settings


def settings() -> Iterator[type[ServiceSettings]]:
    for module in (gateway, dispatcher, status_watcher):
        yield from (
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, ServiceSettings)
            and value is not ServiceSettings
        )


def paths_of(model: type[BaseModel], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        yield (*prefix, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from paths_of(field.annotation, (*prefix, name))


@cache
def setting_paths() -> set[tuple[str, ...]]:
    return {path for model in settings() for path in paths_of(model)}


@each_current
def test_variables_exist(page: Path) -> None:
    known = {f"SLUICE_{'__'.join(path).upper()}" for path in setting_paths()}
    code = source(*CODE, ROOT / "scripts")
    for name in re.findall(r"\bSLUICE_[A-Z_]*[A-Z]", page.read_text("utf-8")):
        assert name in known or f'"{name}"' in code or name in elsewhere(), name


@cache
def chart_values() -> set[tuple[str, ...]]:
    texts = [(ROOT / chart / "values.yaml").read_text("utf-8") for chart in CHARTS]
    return {value.path for text in texts for value in values_of(text)}


def is_value(path: tuple[str, ...]) -> bool:
    """Return whether a chart has the value, a section of that name, or one that holds anything."""
    return any(
        value[: len(path)] == path or path[: len(value)] == value for value in chart_values()
    )


@pytest.mark.parametrize("page", OF_CHARTS, ids=shown)
def test_settings_and_values_exist(page: Path) -> None:
    groups = {path[0] for path in setting_paths() if len(path) > 1}
    sections = {path[0] for path in chart_values()}
    for span in code_spans(page.read_text("utf-8")):
        if not re.fullmatch(r"[a-z]\w*(\.\w+)+", span) or span.endswith((".py", ".yaml", ".md")):
            continue
        path = tuple(span.split("."))
        if path[0] in groups | sections:
            # A service takes all of `defaults` as well.
            values = [path, ("defaults", *path[1:])]
            assert path in setting_paths() or any(map(is_value, values)), span


# --- metrics, alerts, logs


@each_current
def test_metrics_exist(page: Path) -> None:
    pattern = r"\bsluice_(gateway|dispatcher|status_watcher|event_loop|topic)_([a-z_]+)\b(?!\.)"
    for service, name in re.findall(pattern, page.read_text("utf-8")):
        defined = source(SERVICES.get(service.replace("_", "-"), ROOT / "libs/runtime"))
        stem = name.removesuffix("_total").removesuffix("_bucket")
        assert re.search(rf"""["_]{stem}["]""", defined), name


@each_current
def test_alerts_exist(page: Path) -> None:
    named = {span for span in code_spans(page.read_text("utf-8")) if re.match(r"Sluice[A-Z]", span)}
    assert named - set(sluice_client.__all__) <= alerts().keys()


@cache
def messages() -> str:
    """Return all texts of the code, with # for what is filled in."""
    modules = [file for folder in CODE for file in sorted(folder.rglob("*.py"))]
    trees = [ast.parse(file.read_text("utf-8")) for file in modules]
    return "\n".join(text for tree in trees for node in ast.walk(tree) for text in _text(node))


def _text(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "#" for part in parts
            )


def test_messages_that_operations_quote_are_those_of_the_code() -> None:
    quoted = [
        quote
        for row in rows(section(OPERATIONS, "What to do when"))
        for quote in re.findall(r'"([^"]{8,})"', row[0])
    ]
    assert len(quoted) > 8
    for quote in quoted:
        assert re.sub(r"\d+", "#", quote) in messages(), quote


def test_services_log_the_fields_that_operations_name() -> None:
    table = rows(section(OPERATIONS, "Logs"))
    assert len(table) > 3
    for field, _, services in table:
        name = field.strip("`")
        for service, folder in SERVICES.items():
            logged = name in logged_fields(folder)
            assert logged == (service in services.split(", ")), f"{service}: {name}"


@cache
def logged_fields(folder: Path) -> set[str]:
    """Return the fields of log lines.

    They are arguments of a logger's calls and of what binds them, and keys of `log_fields`.
    """
    nodes = list(ast.walk(ast.parse(source(folder))))
    arguments = {
        keyword.arg
        for node in nodes
        if isinstance(node, ast.Call) and _LOGS.search(ast.unparse(node.func))
        for keyword in node.keywords
        if keyword.arg
    }
    keys = {
        str(key.value)
        for node in nodes
        if isinstance(node, ast.FunctionDef) and node.name == "log_fields"
        for each in ast.walk(node)
        if isinstance(each, ast.Dict)
        for key in each.keys
        if isinstance(key, ast.Constant)
    }
    return arguments | keys


# --- the contracts


@each_current
def test_calls_over_http_have_a_route(page: Path) -> None:
    routes = {(operation.method, operation.path) for operation in table.OPERATIONS}
    # Those of the Kubernetes API and of the local engine are not ours.
    calls = re.findall(
        r"\b(GET|POST|PUT|PATCH|DELETE) (/v1/[\w/{}.-]*\w}?)", page.read_text("utf-8")
    )
    assert set(calls) <= routes


def test_each_row_of_the_comparison_names_a_test() -> None:
    text = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py"))
    tests = set(re.findall(r"def (test_\w+)", text))
    table = rows((ROOT / "docs/comparison.md").read_text("utf-8"))
    named = [code_spans(row[-1]) for row in table]
    assert len(named) > 20
    assert all(named)
    assert {name for names in named for name in names} <= tests


def test_problems_of_the_api_exist() -> None:
    known = {problem.rpartition(":")[2] for problem in ProblemType}
    table = rows(section(API, "Problems"))
    named = {span for row in table for span in code_spans(row[1])} - {"about:blank"}
    assert len(named) > 10
    assert named <= known


def test_each_command_is_in_the_contract() -> None:
    named = set(code_spans(section(KAFKA, "Commands")))
    assert set(typing.get_args(CommandType)) <= named


def test_each_topic_is_in_the_contract() -> None:
    defaults = set(TopicNames().model_dump().values())
    table = rows(KAFKA.read_text("utf-8").partition("\n## ")[0])
    # Controls and audit are beside the topic sets.
    assert {row[0].strip("`") for row in table} == {*defaults, "sluice.controls", AUDIT_TOPIC}


@each_current
def test_annotations_and_labels_exist(page: Path) -> None:
    for name in re.findall(r"\bsluice\.dev/([a-z][a-z-]*[a-z])\b", page.read_text("utf-8")):
        assert f"sluice.dev/{name}" in source(*CODE) + elsewhere(), name


# --- what checks the repository


def test_the_hook_of_charts_looks_at_every_chart() -> None:
    configuration = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    hooks = configuration["repos"][0]["hooks"]
    pattern = next(hook["files"] for hook in hooks if hook["id"] == "chart")
    for chart in CHARTS:
        for file in ("values.yaml", "values.schema.json", "README.md"):
            assert re.match(pattern, f"{chart}/{file}"), chart


def test_packages_have_the_version_that_the_changelog_says() -> None:
    """They are not published; a release is the tag of a commit."""
    for file in [*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]:
        assert 'version = "0.1.0"' in file.read_text("utf-8"), file
    assert "stay at 0.1.0" in CHANGELOG.read_text("utf-8")
