"""The first process of the machine: prepares its mounts, then reaps orphans."""

import os
import signal
import subprocess
import sys
from pathlib import Path

READY = "ready"

# The kubelet would set these for the whole computer, so set them only here first.
_TUNABLES = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def main(state: Path) -> None:
    """Prepare the machine, say so in a file, and reap until killed."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD, signal.SIGTERM, signal.SIGINT])
    resolver = Path("/etc/resolv.conf").resolve()
    resolving = resolver.read_bytes() if resolver.exists() else b""
    for folder in ("/run", "/var/log"):
        _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
    # With systemd-resolved, this file is below /run.
    if not resolver.exists():
        resolver.parent.mkdir(parents=True, exist_ok=True)
        resolver.write_bytes(resolving)
    _pretend_tunables(state / "tunables")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", "ascii")
    # The kubelet shares mounts with containers.
    _mount("--make-rshared", "/")
    (state / READY).touch()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            signal.sigwait([signal.SIGCHLD])


def _pretend_tunables(folder: Path) -> None:
    for name, value in _TUNABLES.items():
        real = Path("/proc/sys") / name
        if real.exists():
            pretended = folder / name
            pretended.parent.mkdir(parents=True, exist_ok=True)
            pretended.write_text(f"{value}\n", "ascii")
            _mount("--bind", str(pretended), str(real))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
