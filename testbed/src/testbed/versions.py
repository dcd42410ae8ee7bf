"""The versions of ``versions.toml``, read and typed."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources


@dataclass(frozen=True, kw_only=True)
class GoModule:
    """Programs of one Go module.

    ``stamp``: packages whose version is set at link time; ``tags``: build tags; ``pages``: files
    that the programs embed and that the module's archive lacks.
    """

    name: str
    module: str
    version: str
    programs: Mapping[str, str]
    staging: bool = False
    stamp: list[str] = field(default_factory=list)
    # Not in the repr, so that a part without them keeps its cache key.
    tags: list[str] = field(default_factory=list, repr=False)
    pages: list[str] = field(default_factory=list, repr=False)


@dataclass(frozen=True, kw_only=True)
class Debian:
    """A Debian suite, and the name of the image that is made of it."""

    suite: str
    python_image: str


@dataclass(frozen=True, kw_only=True)
class GoFiles:
    """Files of a Go module that is taken as it is; ``sum`` is Go's own of it."""

    module: str
    version: str
    sum: str
    files: str


@dataclass(frozen=True, kw_only=True)
class Versions:
    """All versions; ``kafka`` by line, ``go`` by part, ``crds`` by project."""

    kafka: Mapping[str, str]
    debian: Debian
    go: Mapping[str, GoModule]
    openapi: GoFiles
    strimzi: str
    crds: Mapping[str, GoFiles]

    @property
    def argo_lines(self) -> list[str]:
        """The lines of Argo Workflows that can be run, the newest first."""
        prefix = "argo-"
        return [name.removeprefix(prefix) for name in self.go if name.startswith(prefix)]


def load_versions() -> Versions:
    """Read the versions."""
    page = tomllib.loads(resources.files(__package__).joinpath("versions.toml").read_text("utf-8"))
    return Versions(
        kafka=page["kafka"],
        debian=Debian(**page["debian"]),
        go={name: GoModule(name=name, **entry) for name, entry in page["go"].items()},
        openapi=GoFiles(**page["openapi"]),
        strimzi=page["strimzi"]["version"],
        crds={name: GoFiles(**entry) for name, entry in page["crds"].items()},
    )
