"""Imports kubernetes-asyncio without its 700 generated models.

Any import from its packages loads every model and API of Kubernetes. Each service would pay 80 MB
and 1.5 s for a configuration loader. So the packages are created empty, and only the modules in use
are loaded from them.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

__all__ = ["KubernetesAsyncio", "import_without_models"]

_EMPTY = ("kubernetes_asyncio", "kubernetes_asyncio.client", "kubernetes_asyncio.client.models")


class KubernetesAsyncio(NamedTuple):
    """The parts of kubernetes-asyncio that Sluice uses."""

    api_client: type[Any]
    configuration: type[Any]
    config: ModuleType


def import_without_models() -> KubernetesAsyncio:
    """Return the API client, its configuration and the configuration's loaders."""
    if "kubernetes_asyncio" not in sys.modules:
        _create_empty_packages()
    client = sys.modules["kubernetes_asyncio.client"]
    return KubernetesAsyncio(
        api_client=client.ApiClient,
        configuration=client.Configuration,
        config=importlib.import_module("kubernetes_asyncio.config"),
    )


def _create_empty_packages() -> None:
    found = importlib.util.find_spec("kubernetes_asyncio")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("kubernetes-asyncio is not installed")
    root = Path(found.submodule_search_locations[0]).parent
    for name in _EMPTY:
        module = ModuleType(name)
        module.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    client: Any = sys.modules["kubernetes_asyncio.client"]
    client.Configuration = importlib.import_module(
        "kubernetes_asyncio.client.configuration"
    ).Configuration
    client.ApiClient = importlib.import_module("kubernetes_asyncio.client.api_client").ApiClient
