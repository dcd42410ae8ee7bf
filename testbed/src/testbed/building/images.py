"""Home-made images, for there is no registry: busybox, Python on Debian, and Argo's executor.

They are named as the images that they stand in for, and hold what Sluice needs of those.
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from testbed.building import archives
from testbed.building.archives import write_archive, write_layer
from testbed.building.commands import run
from testbed.building.golang import GoPart
from testbed.building.parts import built_folder, digest_of
from testbed.cluster.argo import executor_image
from testbed.cluster.node import PAUSE_IMAGE
from testbed.versions import Debian

ARCHIVE = "image.tar"
_TRUSTED = Path("/etc/ssl/certs/ca-certificates.crt")
_NOBODY = 65534
_PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _recipe() -> str:
    return "".join(Path(module).read_text("utf-8") for module in (__file__, archives.__file__))


def _busybox() -> Path:
    return Path(shutil.which("busybox") or "busybox")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""


@dataclass(frozen=True)
class BusyboxImage:
    """Debian's static busybox, under one name; it is also what holds a pod's namespaces."""

    tag: str
    name: str

    version: str = ""

    @property
    def key(self) -> str:
        """Digest of what it is made from."""
        return digest_of(_recipe(), self.tag, _digest(_busybox()))

    def build(self, out: Path) -> None:
        """Write the image into ``out``."""
        busybox = _busybox()
        applets = run([busybox, "--list"], way_out="Debian: apt install busybox-static").split()
        layer = out / "layer.tar"
        write_layer(
            layer,
            files={"bin/busybox": busybox, "etc/passwd": _PASSWD},
            links={f"bin/{applet}": "busybox" for applet in applets if applet != "busybox"},
            folders={"tmp": 0o1777},
        )
        config = {"Env": ["PATH=/bin"], "Cmd": ["sleep", "2147483647"]}
        write_archive(out / ARCHIVE, tag=self.tag, layers=[layer], config=config)
        layer.unlink()


def busybox_images() -> list[BusyboxImage]:
    """Return busybox, and the pause image."""
    return [
        BusyboxImage("busybox:latest", "image-busybox"),
        BusyboxImage(PAUSE_IMAGE, "image-pause"),
    ]


@dataclass(frozen=True)
class PythonImage:
    """Debian with its Python, named as the official image of the same version of Python."""

    debian: Debian
    name: str = "image-python"

    @property
    def version(self) -> str:
        """The Debian suite."""
        return self.debian.suite

    @property
    def key(self) -> str:
        """Digest of what it is made from; of Debian's packages, the latest are taken."""
        return digest_of(_recipe(), repr(self.debian), _digest(_TRUSTED))

    def build(self, out: Path) -> None:
        """Write the image into ``out``."""
        base, more = out / "base.tar", out / "more.tar"
        packages = "python3,python3-venv,python3-pip,ca-certificates"
        run(
            [
                *("mmdebstrap", "--variant=minbase", f"--include={packages}"),
                *(f"--dpkgopt=path-exclude=/usr/share/{kind}/*" for kind in ("man", "doc", "info")),
                *("--dpkgopt=path-exclude=/usr/share/locale/*", self.debian.suite, base),
            ],
            way_out="It needs Debian's mmdebstrap, debian-archive-keyring and the network.",
        )
        write_layer(
            more,
            # It trusts what this computer trusts, so that it can fetch what this computer can.
            files={"etc/ssl/certs/ca-certificates.crt": _TRUSTED.read_bytes()},
            links={
                "usr/local/bin/python": "/usr/bin/python3",
                "usr/local/bin/python3": "/usr/bin/python3",
                "usr/local/bin/pip": "/usr/bin/pip3",
            },
        )
        config = {"Env": [_PATH, "LANG=C.UTF-8"], "Cmd": ["python3"]}
        write_archive(
            out / ARCHIVE, tag=self.debian.python_image, layers=[base, more], config=config
        )
        base.unlink()
        more.unlink()


@dataclass(frozen=True)
class ExecutorImage:
    """Argo's executor of one line."""

    line: str
    argo: GoPart
    cache: Path

    @property
    def name(self) -> str:
        """The part's name."""
        return f"image-argoexec-{self.line}"

    @property
    def version(self) -> str:
        """Argo's version."""
        return self.argo.version

    @property
    def key(self) -> str:
        """Digest of what it is made from."""
        return digest_of(_recipe(), self.argo.key, _digest(_TRUSTED))

    def build(self, out: Path) -> None:
        """Write the image into ``out``; Argo itself must have been built."""
        layer = out / "layer.tar"
        program = built_folder(self.argo, cache=self.cache) / "argoexec"
        write_layer(
            layer,
            files={
                "bin/argoexec": program,
                "etc/passwd": _PASSWD,
                "etc/ssl/certs/ca-certificates.crt": _TRUSTED.read_bytes(),
            },
            folders={"tmp": 0o1777},
        )
        config = {"Env": [_PATH], "Entrypoint": ["argoexec"], "User": str(_NOBODY)}
        write_archive(out / ARCHIVE, tag=executor_image(self.line), layers=[layer], config=config)
        layer.unlink()
