"""The types that the dashboard's modules state in comments, checked by TypeScript."""

import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from tests.support.engines import skip

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

HERE = Path(__file__).parent / "types"
DASHBOARD = Path(str(resources.files("sluice_gateway"))) / "static/dashboard"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with TypeScript, and the types of the libraries."""
    if shutil.which("npm") is None:
        skip("npm is not installed")
    folder = tmp_path_factory.mktemp("types")
    shutil.copytree(HERE, folder, dirs_exist_ok=True)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def check(folder: Path, *, more: str = "") -> subprocess.CompletedProcess[str]:
    """Check the dashboard with `more` at the end of its first module."""
    copy = folder / "dashboard"
    shutil.copytree(DASHBOARD, copy, dirs_exist_ok=True)
    main = copy / "main.js"
    main.write_text(main.read_text("utf-8") + more, "utf-8")
    command = ["node", "node_modules/typescript/bin/tsc", "-p", "."]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)


def test_types_are_right(folder: Path) -> None:
    done = check(folder)
    assert done.returncode == 0, done.stdout


def test_types_that_are_wrong_are_found(folder: Path) -> None:
    done = check(folder, more="import { duration } from './lib/format.js';\nduration('a');\n")
    assert "Argument of type 'string' is not assignable" in done.stdout
