"""`pip install ./libs/client` is all that a user needs: the wheel has the contracts in it."""

import hashlib
import shutil
import subprocess
import sys
import venv
import zipfile
from base64 import urlsafe_b64encode
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the repository, as far as the client is concerned."""
    for library in ("client", "contracts"):
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


def wheel_of(copy: Path, folder: Path) -> Path:
    pip("wheel", "--no-index", "--no-deps", "--wheel-dir", folder, copy / "libs/client")
    [wheel] = folder.glob("*.whl")
    return wheel


def test_it_is_built_without_a_network_and_imported_alone(copy: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    pip("--python", python, "install", "--no-index", "--no-deps", copy / "libs/client")
    # The dependencies come from a registry; here they are those of the tests.
    found = next(path for path in map(Path, sys.path) if (path / "aiohttp").is_dir())
    program = (
        "import sys; sys.path = [each for each in sys.path if each];"
        f"sys.path.append({str(found)!r});"
        "import sluice_client, sluice_client.kafka, sluice_client.sync, sluice_client.fake;"
        "import sluice_contracts; print(sluice_client.__file__, sluice_contracts.__file__)"
    )
    shown = subprocess.run(
        [python, "-I", "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout.split()
    assert all(Path(each).is_relative_to(environment) for each in shown), shown


def test_without_aiokafka_it_says_how_to_get_it() -> None:
    program = "import sys; sys.modules['aiokafka'] = None; import sluice_client.kafka"
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "ImportError: sluice_client.kafka needs aiokafka" in shown.stderr


def test_the_wheel_is_valid(copy: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel_of(copy, tmp_path / "wheels")) as wheel:
        contents = {name: wheel.read(name) for name in wheel.namelist()}
    [record] = [name for name in contents if name.endswith("RECORD")]
    listed = {}
    for line in contents[record].decode().splitlines():
        name, digest, size = line.rsplit(",", 2)
        listed[name] = (digest, size)
    assert set(listed) == set(contents)
    assert listed.pop(record) == ("", "")
    for name, (digest, size) in listed.items():
        expected = urlsafe_b64encode(hashlib.sha256(contents[name]).digest()).rstrip(b"=")
        assert (digest, size) == (f"sha256={expected.decode()}", str(len(contents[name])))


def test_the_wheel_has_both_packages_and_says_what_it_needs(copy: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel_of(copy, tmp_path / "wheels")) as wheel:
        names = set(wheel.namelist())
        [metadata] = [name for name in names if name.endswith("METADATA")]
        said = message_from_string(wheel.read(metadata).decode())
    for package in ("client", "contracts"):
        source = ROOT / "libs" / package / "src"
        modules = {
            file.relative_to(source).as_posix()
            for file in source.rglob("*")
            if file.suffix == ".py" or file.name == "py.typed"
        }
        assert modules <= names
    assert {name.split("/")[0] for name in names} == {
        "sluice_client",
        "sluice_contracts",
        "sluice_client-0.1.0.dist-info",
    }
    assert (said["Name"], said["Requires-Python"]) == ("sluice-client", ">=3.11")
    needed = {each.split(">")[0] for each in said.get_all("Requires-Dist", [])}
    assert needed == {"aiohttp", "pydantic", "aiokafka"}
    assert said.get_all("Provides-Extra") == ["kafka"]
    assert str(said.get_payload()).startswith("# sluice-client")


def test_the_same_sources_give_the_same_wheel(copy: Path, tmp_path: Path) -> None:
    first, second = (wheel_of(copy, tmp_path / name).read_bytes() for name in ("a", "b"))
    assert first == second


def test_without_the_contracts_it_says_what_is_missing(copy: Path, tmp_path: Path) -> None:
    shutil.rmtree(copy / "libs/contracts")
    with pytest.raises(AssertionError, match="sluice_contracts, so it needs the repository"):
        wheel_of(copy, tmp_path / "wheels")
