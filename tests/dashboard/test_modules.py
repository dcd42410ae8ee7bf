"""The dashboard's modules that need no browser, tested by Node's own test runner."""

import shutil
import subprocess
from pathlib import Path

from tests.support.engines import skip

MODULES = Path(__file__).parent / "modules"


def test_modules() -> None:
    if shutil.which("node") is None:
        skip("Node is not installed")
    command = ["node", "--test", "--test-reporter=spec"]
    done = subprocess.run(command, cwd=MODULES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
