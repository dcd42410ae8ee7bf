"""The kubeconfig file with which clients find the local engine."""

from pathlib import Path

from sluice_engine.documents import encode

__all__ = ["write_kubeconfig"]

_NAME = "sluice-local-engine"


def write_kubeconfig(folder: Path, url: str) -> Path:
    """Write `kubeconfig` into a folder and return its path. JSON is valid YAML."""
    path = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _NAME, "cluster": {"server": url}}],
        "users": [{"name": _NAME, "user": {}}],
        "contexts": [
            {"name": _NAME, "context": {"cluster": _NAME, "user": _NAME, "namespace": "default"}}
        ],
        "current-context": _NAME,
    }
    path.write_bytes(encode(config) + b"\n")
    return path
