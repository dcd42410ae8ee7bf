"""Builds the wheel of the client, with the contracts in it (PEP 517, PEP 660).

`pip install ./libs/client` alone has to work, and the contracts are a folder beside it. An editable
installation has only the path of the client: there, the contracts are installed by themselves.

It needs nothing but the standard library, so that an installation needs no build tools. The command
`sluice` is built in the same way: libs/cli/wheel_backend.py uses `Project`.
"""

import base64
import csv
import hashlib
import io
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["Project", "build_editable", "build_sdist", "build_wheel"]

_LIBRARIES: Final = Path(__file__).resolve().parents[1]
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)

_Settings = Mapping[str, Any] | None


@dataclass(frozen=True)
class Project:
    """A folder below libs/, and the libraries whose package is in its wheel: its own is first."""

    libraries: tuple[str, ...]

    def wheel(self, folder: Path) -> str:
        """Write the wheel into the folder, and return its name."""
        return self._write(folder, dict(self._modules()))

    def editable(self, folder: Path) -> str:
        """Write a wheel that puts the folder of the sources on the path, and return its name."""
        own = self.libraries[0]
        path = {f"sluice_{own}.pth": f"{_LIBRARIES / own / 'src'}\n".encode()}
        return self._write(folder, path)

    def _modules(self) -> Iterator[tuple[str, bytes]]:
        for library in self.libraries:
            source, package = _LIBRARIES / library / "src", f"sluice_{library}"
            folder = source / package
            if not folder.is_dir():
                raise FileNotFoundError(
                    f"{folder} is missing: the wheel contains {package}, so it needs the "
                    "repository."
                )
            for file in sorted(folder.rglob("*")):
                if file.suffix == ".py" or file.name == "py.typed":
                    yield file.relative_to(source).as_posix(), file.read_bytes()

    def _write(self, folder: Path, files: dict[str, bytes]) -> str:
        here = _LIBRARIES / self.libraries[0]
        project = tomllib.loads((here / "pyproject.toml").read_text("utf-8"))["project"]
        stem = f"{project['name'].replace('-', '_')}-{project['version']}"
        info = f"{stem}.dist-info"
        readme = (here / project["readme"]).read_text("utf-8")
        files[f"{info}/METADATA"] = _metadata(project, readme).encode()
        files[f"{info}/WHEEL"] = (
            b"Wheel-Version: 1.0\nGenerator: sluice\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        if scripts := project.get("scripts"):
            lines = ["[console_scripts]", *(f"{name} = {place}" for name, place in scripts.items())]
            files[f"{info}/entry_points.txt"] = "\n".join([*lines, ""]).encode()
        record = f"{info}/RECORD"
        files[record] = _record(files, record)
        name = f"{stem}-py3-none-any.whl"
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as wheel:
            for path, content in files.items():
                # The same sources give the same bytes.
                entry = zipfile.ZipInfo(path, date_time=_EPOCH)
                entry.external_attr = 0o644 << 16
                wheel.writestr(entry, content, zipfile.ZIP_DEFLATED)
        return name


_CLIENT: Final = Project(("client", "contracts"))


def build_wheel(
    wheel_directory: str,
    config_settings: _Settings = None,  # noqa: ARG001 - the hook of PEP 517 has it
    metadata_directory: str | None = None,  # noqa: ARG001
) -> str:
    """Write the wheel into the folder, and return its name."""
    return _CLIENT.wheel(Path(wheel_directory))


def build_editable(
    wheel_directory: str,
    config_settings: _Settings = None,  # noqa: ARG001 - the hook of PEP 660 has it
    metadata_directory: str | None = None,  # noqa: ARG001
) -> str:
    """Write a wheel that puts the folder of the sources on the path, and return its name."""
    return _CLIENT.editable(Path(wheel_directory))


def build_sdist(
    sdist_directory: str,
    config_settings: _Settings = None,
) -> str:
    """Refuse: a part of the repository cannot be built without the rest of it.

    Raises:
        NotImplementedError: always.
    """
    raise NotImplementedError("Build the wheel, from the whole repository.")


def _metadata(project: Mapping[str, Any], readme: str) -> str:
    """Return the core metadata, version 2.4."""
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"License-Expression: {project['license']}",
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {each}" for each in project["dependencies"]),
    ]
    for extra, requirements in project["optional-dependencies"].items():
        lines.append(f"Provides-Extra: {extra}")
        lines += [f'Requires-Dist: {each}; extra == "{extra}"' for each in requirements]
    return "\n".join([*lines, "Description-Content-Type: text/markdown", "", readme])


def _record(files: Mapping[str, bytes], own: str) -> bytes:
    """Return the list of the files with their hashes; its own line has none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        writer.writerow((path, f"sha256={digest}", len(content)))
    writer.writerow((own, "", ""))
    return text.getvalue().encode()
