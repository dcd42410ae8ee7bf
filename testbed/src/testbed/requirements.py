"""Requirements of the testbed, and how to install them."""

import os
import platform
import shutil

_PROGRAMS = {
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "ipset": "ipset",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "mmdebstrap": "mmdebstrap",
    "busybox": "busybox-static",
    "dockerd": "docker.io",
    "docker": "docker.io",
    "redis-server": "redis-server",
    "git": "git",
}
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


def debian_packages() -> list[str]:
    """Return the Debian packages of all programs."""
    return sorted({*_PROGRAMS.values(), "containernetworking-plugins", "debian-archive-keyring"})


def missing() -> list[str]:
    """Return a sentence for each missing requirement; empty when the testbed can run."""
    lacks = []
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        lacks.append("The testbed runs only on Linux on x86_64.")
    elif os.geteuid() != 0:
        lacks.append("The testbed needs root: it creates namespaces, mounts and a network.")
    path = f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"
    absent = [program for program in _PROGRAMS if shutil.which(program, path=path) is None]
    if not os.path.isdir("/usr/lib/cni"):  # noqa: PTH112 (one question)
        absent.append("the CNI plugins in /usr/lib/cni")
    if absent:
        lacks.append(
            f"Not installed: {', '.join(absent)}. Debian and Ubuntu: "
            f"apt install {' '.join(debian_packages())}"
        )
    if shutil.which("go") is None:
        lacks.append("Go is not installed (1.26.7 or newer).")
    return lacks
