"""Build programs from Go modules, each set with a locked go.mod and go.sum of its own.

Together in one module, version selection would break Kubernetes and Argo alike.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from testbed.building.commands import run
from testbed.building.parts import digest_of
from testbed.versions import GoModule

_WAY_OUT = (
    "Modules come from the Go module proxy (GOPROXY, HTTPS_PROXY). Run the same command again: "
    "what was fetched and compiled is kept."
)
_RECIPE = "1"
"""Raise it when the build changes; a digest of this file would rebuild too often."""

# Upstream it is a symlink, which module archives drop; its twin has the same content.
_MISSING = "workflow/executor/osspecific/signal_linux.go"
_TWIN = "workflow/executor/osspecific/signal_darwin.go"


def locks_dir() -> Path:
    """Return the folder that holds go.mod and go.sum of each part."""
    return Path(str(resources.files("testbed").joinpath("go")))


HERE = "."
"""A program of our own, beside go.mod."""


@dataclass(frozen=True)
class GoPart:
    """The programs of one Go module, as a part."""

    module: GoModule
    locks: Path

    @property
    def name(self) -> str:
        """The part's name."""
        return self.module.name

    @property
    def version(self) -> str:
        """The module's version."""
        return self.module.version

    @property
    def key(self) -> str:
        """Digest of what the programs are made from, and how."""
        files = sorted((self.locks / self.name).iterdir())
        texts = (file.read_text("utf-8") for file in files)
        more = (*self.module.tags, *self.module.pages)
        return digest_of(_RECIPE, repr(self.module), *more, *texts)

    def build(self, out: Path) -> None:
        """Compile the programs into ``out``; Argo's CRDs go beside them.

        Raises:
            TestbedError: there is no Go or no network, or a module differs from the lock.
        """
        work = out / "module"
        shutil.copytree(self.locks / self.name, work)
        # Without debug information, which the linker drops anyway, a build takes a sixth less.
        flags = ["-trimpath", "-gcflags=all=-dwarf=false"]
        flags.append(f"-ldflags=-s -w {_stamps(self.module)}")
        if self.module.tags:
            flags.append(f"-tags={','.join(self.module.tags)}")
        if self._is_argo:
            flags += self._with_the_missing_file(work)
        if self.module.pages:
            flags += self._with_empty_pages(work)
        for program, package in self.module.programs.items():
            self._go(work, "build", *flags, "-o", out / program, package)
        if self._is_argo:
            shutil.copytree(self._source(work) / "manifests/base/crds/full", out / "crds")
        shutil.rmtree(work)

    def lock(self) -> None:
        """Write go.mod and go.sum from the module's version.

        Raises:
            TestbedError: there is no such version, or no network.
        """
        folder = self.locks / self.name
        with tempfile.TemporaryDirectory() as made:
            work = Path(made)
            for ours in folder.glob("*.go"):
                shutil.copy(ours, work)
            (work / "go.mod").write_text(f"module testbed/{self.name}\n", "ascii")
            wanted = f"{self.module.module}@{self.module.version}"
            found = json.loads(self._go(work, "mod", "download", "-json", wanted))
            upstream = json.loads(self._go(work, "mod", "edit", "-json", found["GoMod"]))
            (work / "go.mod").write_text(_go_mod(self.module, upstream), "utf-8")
            self._go(work, "mod", "tidy")
            folder.mkdir(parents=True, exist_ok=True)
            for locked in ("go.mod", "go.sum"):
                shutil.copy(work / locked, folder)

    @property
    def _is_argo(self) -> bool:
        return "argoexec" in self.module.programs

    def _with_the_missing_file(self, work: Path) -> list[str]:
        # Go refuses an overlay inside the module cache, so vendor.
        self._go(work, "mod", "vendor")
        vendored = work / "vendor" / self.module.module
        overlay = work / "overlay.json"
        replaced = {str(vendored / _MISSING): str(vendored / _TWIN)}
        overlay.write_text(json.dumps({"Replace": replaced}), "utf-8")
        return ["-mod=vendor", f"-overlay={overlay}"]

    def _with_empty_pages(self, work: Path) -> list[str]:
        # Without -e, it stops at what is to be embedded and is not there.
        self._go(work, "mod", "vendor", "-e")
        for page in self.module.pages:
            empty = work / "vendor" / self.module.module / page
            empty.parent.mkdir(parents=True)
            empty.touch()
        return ["-mod=vendor"]

    def _source(self, work: Path) -> Path:
        found = self._go(work, "list", "-mod=mod", "-m", "-f", "{{.Dir}}", self.module.module)
        return Path(found.strip())

    def _go(self, folder: Path, *arguments: str | Path) -> str:
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
        # Trade memory for processor time.
        environment |= {"GOGC": "400"}
        return run(["go", *arguments], cwd=folder, environment=environment, way_out=_WAY_OUT)


def _stamps(module: GoModule) -> str:
    _, major, minor, *_ = module.version.replace("v", ".").split(".")
    stamped = {"gitVersion": module.version, "gitMajor": major, "gitMinor": minor}
    return " ".join(
        f"-X {package}.{name}={value}"
        for package in module.stamp
        for name, value in stamped.items()
    )


def _go_mod(module: GoModule, upstream: Mapping[str, Any]) -> str:
    """Return a go.mod for the module's programs, with the module's own replacements."""
    lines = [
        f"module testbed/{module.name}",
        f"go {upstream['Go']}",
        f"require {module.module} {module.version}",
    ]
    for replacement in upstream.get("Replace") or []:
        old, new = replacement["Old"], replacement["New"]
        if new.get("Version"):
            replaced = " ".join(filter(None, [old["Path"], old.get("Version")]))
            lines.append(f"replace {replaced} => {new['Path']} {new['Version']}")
        elif module.staging:
            staged = module.version.replace("v1.", "v0.", 1)
            lines.append(f"replace {old['Path']} => {old['Path']} {staged}")
    lines += [f"tool {package}" for package in module.programs.values() if package != HERE]
    return "\n".join(lines) + "\n"
