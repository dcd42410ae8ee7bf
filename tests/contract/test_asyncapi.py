"""AsyncAPI's own parser takes the document; npm installs it, as it is locked."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.api_documents import documents
from tests.support.engines import skip

pytestmark = pytest.mark.charts

HERE = Path(__file__).parent / "asyncapi"
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the parser and a script that calls it."""
    if shutil.which("npm") is None:
        skip("npm is not installed")
    folder = tmp_path_factory.mktemp("asyncapi")
    shutil.copytree(HERE, folder, dirs_exist_ok=True)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def check(parser: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Parse a document."""
    (parser / "document.json").write_text(text, "utf-8")
    command = ["node", "check.js", "document.json"]
    return subprocess.run(command, cwd=parser, check=False, capture_output=True, text=True)


def test_the_document_is_valid(parser: Path) -> None:
    done = check(parser, documents(DOCS)["asyncapi.json"])

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("member", ["channels", "action", "bindings"])
def test_an_invalid_one_is_found(parser: Path, member: str) -> None:
    document = json.loads(documents(DOCS)["asyncapi.json"])
    match member:
        case "channels":
            del document["channels"]["status"]
        case "action":
            document["operations"]["read-requests"]["action"] = "poll"
        case _:
            document["channels"]["status"]["bindings"]["kafka"]["partitions"] = "many"

    assert check(parser, json.dumps(document)).returncode == 1
