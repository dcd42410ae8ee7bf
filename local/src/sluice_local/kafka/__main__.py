"""`python -m sluice_local.kafka`: recreate a lock file, or fetch its jars."""

import argparse
import sys
import tempfile
from pathlib import Path

from sluice_local.errors import LocalModeError
from sluice_local.kafka import jars, maven
from sluice_local.kafka.lockfile import LockedJar, lock_path, render, sha256_of


def lock(version: str) -> None:
    """Resolve a Kafka version, and write all jars with their sha256 into its lock file."""
    with tempfile.TemporaryDirectory(prefix="sluice-lock-") as folder:
        locked = []
        for path in maven.resolve(version):
            unverified = LockedJar(path=path, sha256="")
            file = maven.download(unverified, into=Path(folder))
            locked.append(LockedJar(path=path, sha256=sha256_of(file)))
            print(f"{len(locked)} {path.name}")
    target = lock_path(version)
    target.write_text(render(locked), "ascii")
    print(f"{target}: {len(locked)} jars")


def fetch(version: str, cache_dir: Path) -> None:
    """Fetch the jars of a locked Kafka version into the cache folder."""
    jars.ensure(version, cache_dir=cache_dir, progress=print)
    print(f"Apache Kafka {version} is in {cache_dir}")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m sluice_local.kafka", description=__doc__)
    parser.add_argument("command", choices=["lock", "fetch"])
    parser.add_argument("--version", default=jars.DEFAULT_VERSION, help="Kafka version")
    parser.add_argument("--cache-dir", type=Path, default=jars.default_cache_dir())
    arguments = parser.parse_args()
    try:
        if arguments.command == "lock":
            lock(arguments.version)
        else:
            fetch(arguments.version, arguments.cache_dir)
    except LocalModeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
