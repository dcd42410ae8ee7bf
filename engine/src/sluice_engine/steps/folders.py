"""A step's own folder, which takes the place of a container's file system.

A path that the template declares, for an artifact, an output or a volume, lies below the folder.
Wherever that path is mentioned in the command, the script or the environment, the real place is
put in. Any other path is the machine's own.
"""

import posixpath
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from sluice_engine.steps.orders import StepOrder

__all__ = ["MARK", "StepFolder"]

MARK: Final = "SLUICE_LOCAL_ENGINE"
"""Environment variable that marks the processes of a data folder."""

_INSIDE_A_NAME: Final = r"[\w.\-]"
_TOP: Final = (
    *("bin", "dev", "etc", "home", "lib", "media", "mnt", "opt", "proc", "root", "run", "sbin"),
    *("srv", "sys", "tmp", "usr", "var"),
)
_USR: Final = ("bin", "lib", "local", "local/bin", "share")
_VAR: Final = ("lib", "log", "run", "tmp")
_EVERYWHERE: Final = frozenset(
    {"/", *(f"/{name}" for name in _TOP), *(f"/usr/{name}" for name in _USR)}
    | {f"/var/{name}" for name in _VAR}
)
"""Folders of any image, as the Filesystem Hierarchy Standard has them."""
_PYTHONS: Final = re.compile(r"python(3(\.\d+)?)?\Z")


class StepFolder:
    """Places and command line of one run of a step.

    Args:
        root: the folder, new for every run, so that a process that outlived an engine cannot
            write into the run that takes its place.
        order: what is to be run.
    """

    def __init__(self, root: Path, order: StepOrder) -> None:
        self.root = root
        self._order = order
        self._files = root / "files"
        self._declared = self._paths()
        self._mention = _mention(self._declared)

    def _paths(self) -> dict[str, Path]:
        order = self._order
        paths: list[str] = [*order.mounts]
        paths += [artifact.path for artifact in order.input_artifacts]
        paths += [parameter.path for parameter in order.output_parameters]
        paths += [artifact.path for artifact in order.output_artifacts]
        if order.working_dir and order.working_dir != "/":
            paths.append(order.working_dir)
        declared = [PurePosixPath("/", _relative(path)) for path in paths]
        found = {path for each in declared for path in (each, *each.parents)}
        # A script may make or list the folder around a path, so that one is put in place as well,
        # but not a folder that every system has.
        return {str(p): self.place(str(p)) for p in found if str(p) not in _EVERYWHERE} | {
            str(p): self.place(str(p)) for p in declared if str(p) != "/"
        }

    def place(self, path: str) -> Path:
        """Return where a declared path lies; `..` cannot leave the folder."""
        return self._files / _relative(path)

    def create(self) -> None:
        """Create the folder, with all that a process needs before its input is laid out."""
        order = self._order
        for folder in (self._files, self.root / "home", self.root / "tmp"):
            folder.mkdir(parents=True)
        for mount in order.mounts:
            self.place(mount).mkdir(parents=True, exist_ok=True)
        for place in self._declared.values():
            # A folder that not every image has is not created: it would be missing in a pod, too.
            if f"/{place.parent.relative_to(self._files)}" in _EVERYWHERE:
                place.parent.mkdir(parents=True, exist_ok=True)
        self.working_dir.mkdir(parents=True, exist_ok=True)
        if order.source is not None:
            self.script.write_text(self.real(order.source), encoding="utf-8", newline="")
            self.script.chmod(0o755)

    @property
    def script(self) -> Path:
        """The file that a script template's source is in."""
        return self.root / "script"

    @property
    def working_dir(self) -> Path:
        """Where the process starts."""
        return self.place(self._order.working_dir or "/")

    def real(self, text: str) -> str:
        """Replace declared paths by their real places."""
        if self._mention is None:
            return text
        return self._mention.sub(lambda found: str(self._declared[found[0]]), text)

    def command(self) -> list[str]:
        """Return the command line; Python is the one that runs the engine, isolated."""
        program, *args = map(self.real, self._order.command)
        command = [sys.executable, "-I"] if _PYTHONS.match(program) else [program]
        script = [str(self.script)] if self._order.source is not None else []
        return [*command, *args, *script]

    def environment(self, path: str, mark: str) -> Mapping[str, str]:
        """Return the whole environment: of the engine's own, only PATH."""
        return {
            "PATH": path,
            "LANG": "C.UTF-8",
            **{name: self.real(value) for name, value in self._order.env.items()},
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.root / "tmp"),
            MARK: mark,
        }


def _relative(path: str) -> str:
    """Return a path below the root, without any `..` that would lead out of it."""
    # Two leading slashes would stay: POSIX leaves their meaning open.
    return posixpath.normpath("/" + path.lstrip("/")).lstrip("/")


def _mention(paths: Iterable[str]) -> re.Pattern[str] | None:
    longest_first = sorted(paths, key=len, reverse=True)
    if not longest_first:
        return None
    alternatives = "|".join(map(re.escape, longest_first))
    return re.compile(rf"(?<!{_INSIDE_A_NAME})(?<!/)(?:{alternatives})(?!{_INSIDE_A_NAME})")
