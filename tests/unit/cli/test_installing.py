"""`pip install ./libs/cli` is all that a person needs, and `sluice --version` is quick."""

import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from sluice_cli import VERSION

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "libs/cli/pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the repository, as far as the command is concerned."""
    for library in ("cli", "client", "contracts"):
        shutil.copytree(
            ROOT / "libs" / library,
            tmp_path / "sluice/libs" / library,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    return tmp_path / "sluice"


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_installed_without_a_network_and_has_the_client_in_it(
    copy: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    pip("--python", python, "install", "--no-index", "--no-deps", copy / "libs/cli")
    shown = subprocess.run(
        [environment / "bin" / "sluice", "--version"], capture_output=True, text=True, check=True
    )
    assert shown.stdout == f"sluice {VERSION}\n"
    installed = next(environment.glob("lib/python*/site-packages"))
    assert {each.name for each in installed.glob("sluice_*")} == {
        "sluice_cli",
        "sluice_client",
        "sluice_contracts",
        "sluice_cli-0.1.0.dist-info",
    }


def test_the_wheel_says_what_it_needs(copy: Path, tmp_path: Path) -> None:
    pip("wheel", "--no-index", "--no-deps", "--wheel-dir", tmp_path / "w", copy / "libs/cli")
    [wheel] = (tmp_path / "w").glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        info = f"sluice_cli-{VERSION}.dist-info"
        said = message_from_string(opened.read(f"{info}/METADATA").decode())
        entry_points = opened.read(f"{info}/entry_points.txt").decode()
    assert (said["Name"], said["Version"]) == ("sluice-cli", VERSION)
    needed = {each.split(">")[0] for each in said.get_all("Requires-Dist", [])}
    assert needed == {"aiohttp", "pydantic", "rich", "typer", "aiokafka"}
    assert said.get_all("Provides-Extra") == ["kafka"]
    assert entry_points == "[console_scripts]\nsluice = sluice_cli.__main__:main\n"


def test_it_asks_for_what_the_client_asks_for() -> None:
    client = tomllib.loads((ROOT / "libs/client/pyproject.toml").read_text("utf-8"))["project"]
    assert set(client["dependencies"]) <= set(PROJECT["dependencies"])
    assert client["optional-dependencies"] == PROJECT["optional-dependencies"]
    assert PROJECT["version"] == VERSION


def test_without_the_client_it_says_what_is_missing(copy: Path, tmp_path: Path) -> None:
    shutil.rmtree(copy / "libs/client")
    with pytest.raises(AssertionError, match="sluice_client, so it needs the repository"):
        pip("wheel", "--no-index", "--no-deps", "--wheel-dir", tmp_path / "w", copy / "libs/cli")


def imported(*words: str) -> set[str]:
    """Return the modules that a command has imported at its end."""
    program = (
        "import sys; from sluice_cli.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def test_the_version_needs_nothing_else() -> None:
    assert imported("--version") & {"aiohttp", "pydantic", "rich", "typer", "asyncio"} == set()


def test_help_needs_no_client() -> None:
    assert imported("--help") & {"aiohttp", "pydantic", "rich", "sluice_client"} == set()
    # Typer itself looks at default values with pydantic.
    assert imported("run", "--help") & {"aiohttp", "rich", "sluice_client"} == set()
