"""What holds for the repository as a whole."""

import ast
import configparser
import importlib
import pkgutil
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

ROOT = Path(__file__).parents[2]


def _found(*patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in ROOT.glob(pattern))


SOURCES = _found("libs/*/src", "services/*/src", "engine/src", "local/src")
PACKAGES = sorted(package for source in SOURCES for package in source.glob("sluice_*"))
TESTBED = ROOT / "testbed/src"
MODULES = sorted(
    module for package in [*PACKAGES, TESTBED / "testbed"] for module in package.rglob("*.py")
)
TESTS = _found("tests/**/*.py", "engine/tests/**/*.py", "testbed/tests/**/*.py")
LOCKS = sorted(lock.with_suffix(".txt") for lock in ROOT.glob("requirements/*.in"))

LONGEST_MODULE = 300

# Put together here, so that this file names none of them.
_REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("anaconda", "org"),
        ("maven", "org"),
        ("maven", "apache", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("proxy", "golang", "org"),
        ("sum", "golang", "org"),
        ("crates", "io"),
    )
]
_HOMES = [f"/{folder}/" for folder in ("home", "Users", "root")]


def _shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _tracked_texts() -> Iterator[tuple[str, str]]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        file = ROOT / name
        if not file.is_file():  # deleted, and not yet committed so
            continue
        try:
            yield name, file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def test_there_is_something_to_look_at() -> None:
    assert {path.name for path in PACKAGES} == {
        "sluice_argo",
        "sluice_cli",
        "sluice_client",
        "sluice_contracts",
        "sluice_runtime",
        "sluice_workflows",
        "sluice_gateway",
        "sluice_dispatcher",
        "sluice_log_relay",
        "sluice_status_watcher",
        "sluice_engine",
        "sluice_local",
    }
    assert len(MODULES) > 50
    assert len(TESTS) > 20
    assert len(LOCKS) > 2


def test_no_file_names_a_package_registry() -> None:
    """The person who installs packages chooses where they come from."""
    found = [
        f"{name}: {registry}"
        for name, text in _tracked_texts()
        for registry in _REGISTRIES
        if registry in text
    ]
    assert found == []


def test_no_file_names_a_place_on_somebody_s_machine() -> None:
    mine = str(ROOT) if len(ROOT.parts) > 2 else None
    found = [
        f"{name}: {place}"
        for name, text in _tracked_texts()
        for place in [*_HOMES, *([mine] if mine else [])]
        if re.search(rf"(?<![\w.~$}}]){re.escape(place)}", text)
    ]
    assert found == []


@pytest.mark.parametrize("test", TESTS, ids=_shown)
def test_no_test_sleeps(test: Path) -> None:
    """Tests wait for what must come; only `sleep(0)` is allowed, because it gives way."""
    tree = ast.parse(test.read_text(encoding="utf-8"))
    sleeps = [
        call.lineno
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and _name(call.func) == "sleep" and not _gives_way(call)
    ]
    assert sleeps == []


def _name(function: ast.expr) -> str | None:
    match function:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return None


def _gives_way(call: ast.Call) -> bool:
    match call.args:
        case [ast.Constant(value=0)]:
            return True
    return False


@pytest.mark.parametrize("package", PACKAGES, ids=_shown)
def test_every_package_says_what_it_is(package: Path) -> None:
    for folder in sorted({module.parent for module in package.rglob("*.py")}):
        init = folder / "__init__.py"
        assert init.is_file(), f"{_shown(folder)} has no __init__.py"
        described = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8")))
        assert described, f"{_shown(init)} has no docstring"
    assert (package / "py.typed").is_file()


@pytest.mark.parametrize("module", MODULES, ids=_shown)
def test_modules_are_small_and_say_what_they_are(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_MODULE
    assert ast.get_docstring(ast.parse(text))


def _settings() -> Iterator[type[BaseModel]]:
    for package in PACKAGES:
        for module in pkgutil.walk_packages([str(package)], prefix=f"{package.name}."):
            if module.name.rpartition(".")[2] == "__main__":
                continue
            for value in vars(importlib.import_module(module.name)).values():
                if (
                    isinstance(value, type)
                    and issubclass(value, BaseModel)
                    and value.__name__.endswith(("Settings", "TopicNames"))
                    and value.__module__ == module.name
                ):
                    yield value


def test_every_setting_is_described() -> None:
    """Its unit and its reason; a group is described by its class."""
    settings = list(_settings())
    assert {"KafkaSettings", "KubernetesSettings", "LogSettings", "HealthSettings"} <= {
        each.__name__ for each in settings
    }
    for model in settings:
        assert model.__doc__, model.__name__
        for name, field in model.model_fields.items():
            annotation = field.annotation
            group = isinstance(annotation, type) and issubclass(annotation, BaseModel)
            assert group or field.description, f"{model.__module__}.{model.__name__}.{name}"


@pytest.mark.parametrize("lock", LOCKS, ids=_shown)
def test_every_requirement_is_pinned_and_hashed(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert lines
    for line in lines:
        assert re.match(r"[a-z0-9._-]+(\[[a-z0-9,-]+\])?==[^ ]+ ", line), line
        assert "--hash=sha256:" in line, line


def test_the_dispatcher_has_no_client_that_couler_would_submit_with() -> None:
    lock = (ROOT / "requirements/dispatcher.txt").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([a-z0-9._-]+)==", lock, flags=re.MULTILINE))
    assert {"couler-scanflow", "kubernetes-asyncio"} <= locked
    clients = {
        "aiohttp-retry",
        "charset-normalizer",
        "deprecated",
        "docker",
        "durationpy",
        "kubernetes",
        "oauthlib",
        "requests",
        "requests-oauthlib",
        "websocket-client",
        "wrapt",
    }
    assert locked & clients == set()


def _contracts() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    assert parser.read(ROOT / ".importlinter", encoding="utf-8")
    return parser


def test_import_rules_look_at_every_package() -> None:
    roots = _contracts()["importlinter"]["root_packages"].split()
    assert sorted(roots) == sorted(package.name for package in PACKAGES)


@pytest.mark.parametrize(
    ("source", "forbidden"),
    [
        ("sluice_contracts", "aiohttp"),
        ("sluice_contracts", "aiokafka"),
        ("sluice_contracts", "kubernetes_asyncio"),
        ("sluice_client", "structlog"),
        ("sluice_cli", "aiohttp"),
        ("sluice_cli.domain", "asyncio"),
        ("sluice_cli.services", "typer"),
        ("sluice_engine", "sluice_argo"),
        ("sluice_engine", "sluice_runtime"),
        ("sluice_workflows", "asyncio"),
        ("sluice_workflows", "aiokafka"),
        ("sluice_runtime", "couler"),
        ("sluice_gateway", "couler"),
        ("sluice_dispatcher", "couler"),
        ("sluice_status_watcher", "couler"),
        ("sluice_log_relay", "couler"),
        ("sluice_gateway", "kubernetes_asyncio"),
        ("sluice_dispatcher", "kubernetes_asyncio"),
        ("sluice_status_watcher", "kubernetes_asyncio"),
        ("sluice_log_relay", "kubernetes_asyncio"),
        ("sluice_argo.outcomes", "asyncio"),
        ("sluice_gateway.services", "aiohttp"),
        ("sluice_dispatcher.services", "aiohttp"),
        ("sluice_status_watcher.services", "aiohttp"),
        ("sluice_log_relay.services", "aiohttp"),
    ],
)
def test_each_rule_of_the_layout_is_a_contract(source: str, forbidden: str) -> None:
    contracts = _contracts()
    assert any(
        source in contracts[section]["source_modules"].split()
        and forbidden in contracts[section]["forbidden_modules"].split()
        for section in contracts.sections()
        if contracts[section].get("type") == "forbidden"
    )


def _layers(contract: str) -> list[list[str]]:
    section = _contracts()[f"importlinter:contract:{contract}"]
    assert section["type"] == "layers"
    return [sorted(line.split(" | ")) for line in section["layers"].split("\n") if line]


def test_services_do_not_know_each_other() -> None:
    assert _layers("layers") == [
        ["sluice_local"],
        [
            "sluice_cli",
            "sluice_dispatcher",
            "sluice_engine",
            "sluice_gateway",
            "sluice_log_relay",
            "sluice_status_watcher",
        ],
        ["sluice_argo"],
        ["sluice_client", "sluice_runtime", "sluice_workflows"],
        ["sluice_contracts"],
    ]


# Every service that has the one shape: its package is a container of the contract.
SHAPED_SERVICES = [
    "sluice_dispatcher",
    "sluice_gateway",
    "sluice_log_relay",
    "sluice_status_watcher",
]
SERVICE_LAYERS = [
    ["__main__"],
    ["(drain)", "(keys)", "bootstrap"],
    ["(gate)"],
    ["adapters", "app"],
    ["handlers"],
    ["services"],
    ["(identity_ports)", "metrics", "ports", "settings"],
    ["(auth_settings)", "(http_settings)", "(rate_settings)"],
    ["(setting_values)"],
    ["domain"],
]
SERVICE_FOLDERS = {"adapters", "domain", "handlers", "services"}


def test_the_layers_of_a_service_are_a_contract_that_covers_every_module() -> None:
    assert _layers("service-shape") == SERVICE_LAYERS
    shape = _contracts()["importlinter:contract:service-shape"]
    assert shape["containers"].split() == SHAPED_SERVICES
    assert shape["exhaustive"] == "True"


@pytest.mark.parametrize("service", SHAPED_SERVICES)
def test_every_module_of_a_service_lies_in_a_layer(service: str) -> None:
    [package] = [each for each in PACKAGES if each.name == service]
    names = {layer.strip("()") for layers in SERVICE_LAYERS for layer in layers}
    files = {f"{name}.py" for name in names - SERVICE_FOLDERS} | {"__init__.py"}
    places = {module.relative_to(package).parts[0] for module in package.rglob("*.py")}
    assert places <= files | SERVICE_FOLDERS
    assert places >= SERVICE_FOLDERS


@pytest.mark.parametrize("service", SHAPED_SERVICES)
def test_the_domain_of_a_service_is_pure_by_contract(service: str) -> None:
    contract = _contracts()["importlinter:contract:service-domain"]
    assert f"{service}.domain" in contract["source_modules"].split()
    assert {"aiohttp", "aiokafka", "aiosqlite", "asyncio", "structlog"} <= set(
        contract["forbidden_modules"].split()
    )


@pytest.mark.parametrize("service", SHAPED_SERVICES)
def test_clients_stay_in_the_adapters_of_a_service_by_contract(service: str) -> None:
    contract = _contracts()["importlinter:contract:service-clients"]
    names = {layer for layers in SERVICE_LAYERS for layer in layers if "(" not in layer}
    # The composition root makes the clients that the adapters use.
    elsewhere = {f"{service}.{name}" for name in names - {"adapters", "bootstrap"}}
    assert elsewhere <= set(contract["source_modules"].split())
    assert {"aiokafka", "aiosqlite"} <= set(contract["forbidden_modules"].split())
