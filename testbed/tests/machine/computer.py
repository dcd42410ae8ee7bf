"""The state of this computer in kernel and file system, for comparing before and after."""

import re
import subprocess
from pathlib import Path

Computer = dict[str, list[str]]
"""Lines by what they are about."""

# The testbed's own processes must not change these for everybody, nor leave anything there.
_TUNABLES = (
    *("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"),
    *("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes", "net/ipv4/ip_forward"),
    *("net/bridge/bridge-nf-call-iptables", "net/netfilter/nf_conntrack_max"),
)
_FOLDERS = (
    *("/etc/cni", "/etc/containerd", "/opt/cni", "/run", "/run/containerd", "/run/docker"),
    *("/run/netns", "/var/lib", "/var/lib/cni", "/var/lib/containerd", "/var/lib/docker"),
    *("/var/lib/kubelet", "/var/log", "/var/log/containers", "/var/log/pods"),
)


def look() -> Computer:
    """Return the current state of this computer."""
    return {
        "processes": _processes(),
        "mounts": _mounts(),
        "interfaces": _said("ip", "-brief", "address"),
        "routes": _said("ip", "route", "show", "table", "all"),
        "rules": [*_rules("iptables-save"), *_rules("ip6tables-save")],
        "network namespaces": _said("ip", "netns", "list"),
        "cgroups": _cgroups(),
        "tunables": _tunables(),
        "files": [str(file) for folder in _FOLDERS for file in sorted(Path(folder).glob("*"))],
    }


def _processes() -> list[str]:
    """Give id, birth and command of each process but the kernel's own, which come and go."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text("utf-8", "replace")
            command = (
                (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
        except (FileNotFoundError, ProcessLookupError):
            continue
        _, name, fields = re.split(r"[()]", stat.replace("\n", ""), maxsplit=2)
        if command or fields.split()[0] == "Z":
            found.append(f"{folder.name} {fields.split()[19]} {name} {command}".strip())
    return sorted(found)


def _mounts() -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    # From the third field on; the ones before are new numbers each time.
    return sorted(line.split(maxsplit=2)[2] for line in lines)


def _rules(program: str) -> list[str]:
    """Give the rules without remarks and counters."""
    return [re.sub(r" \[\d+:\d+\]", "", line) for line in _said(program) if line[0] != "#"]


def _cgroups() -> list[str]:
    """Give the upper ones; below, a busy computer has some that come and go."""
    root = Path("/sys/fs/cgroup")
    found = [*root.glob("*"), *root.glob("*/*")]
    return sorted(str(folder) for folder in found if folder.is_dir())


def _tunables() -> list[str]:
    files = (Path("/proc/sys") / name for name in _TUNABLES)
    return [f"{file} {file.read_text('ascii').strip()}" for file in files if file.exists()]


def _said(*command: str) -> list[str]:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]
