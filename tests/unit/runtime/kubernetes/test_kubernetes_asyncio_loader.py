"""kubernetes-asyncio without its 700 models; each case in a process of its own."""

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


def test_whoever_has_loaded_all_of_it_can_connect_too(tmp_path: Path) -> None:
    loaded = _loaded(tmp_path / "kubeconfig", before="import kubernetes_asyncio.client")
    assert "kubernetes_asyncio.client.models.v1_pod" in loaded


def test_without_the_library_it_says_so() -> None:
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
def test_what_does_not_talk_to_kubernetes_does_not_load_it(module: str) -> None:
    names = run(f"import sys, {module}; print(*sys.modules)").split()
    assert not [name for name in names if name.startswith("kubernetes_asyncio")]
