"""The real engine, with stand-ins for its plugins."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pulumi.engine.engine import Engine, StandIns, stand_ins

pytest_plugins = ["tests.support.goldens", "tests.pulumi.declared"]


def pytest_addoption(parser: pytest.Parser) -> None:
    for program in ("pulumi", "helm"):
        parser.addoption(f"--{program}", type=Path, help=f"the {program} that the testbed built")


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths in these tests are the repository's."""
    monkeypatch.chdir(Path(__file__).parents[2])


@pytest.fixture(scope="session")
def ports() -> Iterator[StandIns]:
    """Where the stand-ins listen."""
    with stand_ins() as ports:
        yield ports


@pytest.fixture(scope="session")
def engine(
    pytestconfig: pytest.Config, ports: StandIns, tmp_path_factory: pytest.TempPathFactory
) -> Engine:
    """Pulumi's engine, built by the testbed, with a backend of its own."""
    program = _built(pytestconfig, "pulumi")
    return Engine(program=program, home=tmp_path_factory.mktemp("engine"), ports=ports)


@pytest.fixture(scope="session")
def helm(pytestconfig: pytest.Config) -> Path:
    """Helm, built by the testbed."""
    return _built(pytestconfig, "helm")


def _built(config: pytest.Config, name: str) -> Path:
    program: Any = config.getoption(f"--{name}")
    if program is None or not program.is_file():
        reason = f"{name} is not built; `make test-pulumi` builds it"
        # CI must lack nothing.
        assert "CI" not in os.environ, reason
        pytest.skip(reason)
    assert isinstance(program, Path)
    return program
