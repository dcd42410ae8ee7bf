"""Builds the wheel of the command, with the client and the contracts in it (PEP 517, PEP 660).

It is libs/client/wheel_backend.py for another project. A build backend must stand in the folder of
its project, so this one loads it from there.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

__all__ = ["build_editable", "build_sdist", "build_wheel"]

_CLIENTS: Final = Path(__file__).resolve().parents[1] / "client" / "wheel_backend.py"

_Settings = Mapping[str, Any] | None


def _project() -> Any:  # noqa: ANN401 - of a module that is not on the path
    if not _CLIENTS.is_file():
        raise FileNotFoundError(
            f"{_CLIENTS} is missing: the wheel contains sluice_client, so it needs the repository."
        )
    spec = importlib.util.spec_from_file_location("client_wheel_backend", _CLIENTS)
    if spec is None or spec.loader is None:
        raise ImportError(f"{_CLIENTS} cannot be loaded.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Project(("cli", "client", "contracts"))


def build_wheel(
    wheel_directory: str,
    config_settings: _Settings = None,  # noqa: ARG001 - the hook of PEP 517 has it
    metadata_directory: str | None = None,  # noqa: ARG001
) -> str:
    """Write the wheel into the folder, and return its name."""
    return str(_project().wheel(Path(wheel_directory)))


def build_editable(
    wheel_directory: str,
    config_settings: _Settings = None,  # noqa: ARG001 - the hook of PEP 660 has it
    metadata_directory: str | None = None,  # noqa: ARG001
) -> str:
    """Write a wheel that puts the folder of the sources on the path, and return its name."""
    return str(_project().editable(Path(wheel_directory)))


def build_sdist(
    sdist_directory: str,
    config_settings: _Settings = None,
) -> str:
    """Refuse: a part of the repository cannot be built without the rest of it.

    Raises:
        NotImplementedError: always.
    """
    raise NotImplementedError("Build the wheel, from the whole repository.")
