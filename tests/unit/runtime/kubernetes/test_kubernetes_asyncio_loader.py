"""kubernetes-asyncio without its 700 models; each case in a new process."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.runtime.kubernetes.api_server import kubeconfig

_CONNECT = """
import asyncio, sys
from pathlib import Path
from sluice_runtime.kubernetes.client import KubernetesClient
from sluice_runtime.kubernetes.settings import KubernetesSettings

async def connect():
    async with KubernetesClient.connect(KubernetesSettings(kubeconfig=Path(sys.argv[1]))):
        pass

asyncio.run(connect())
"""


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _loaded(config: Path, *, before: str = "") -> list[str]:
    config.write_text(kubeconfig("http://127.0.0.1:1"))
    show = "print(*(name for name in sys.modules if name.startswith('kubernetes_asyncio')))"
    return run(f"{before}\n{_CONNECT}\n{show}", str(config)).split()


def test_connecting_loads_no_models(tmp_path: Path) -> None:
    loaded = _loaded(tmp_path / "kubeconfig")
    assert "kubernetes_asyncio.client.api_client" in loaded
    assert "kubernetes_asyncio.client.models.v1_pod" not in loaded
    assert not [name for name in loaded if ".client.models." in name or ".client.api." in name]


def test_the_complete_package_can_be_loaded_before(tmp_path: Path) -> None:
    loaded = _loaded(tmp_path / "kubeconfig", before="import kubernetes_asyncio.client")
    assert "kubernetes_asyncio.client.models.v1_pod" in loaded


def test_a_missing_library_is_reported() -> None:
    code = """
import importlib.util
importlib.util.find_spec = lambda name: None
from sluice_runtime.kubernetes.kubernetes_asyncio_loader import import_without_models
try:
    import_without_models()
except ModuleNotFoundError as e:
    print(e)
"""
    assert run(code) == "kubernetes-asyncio is not installed\n"


@pytest.mark.parametrize(
    "module",
    ["sluice_runtime.settings", "sluice_runtime.kafka.producer", "sluice_runtime.supervision"],
)
def test_other_modules_do_not_load_the_library(module: str) -> None:
    names = run(f"import sys, {module}; print(*sys.modules)").split()
    assert not [name for name in names if name.startswith("kubernetes_asyncio")]
