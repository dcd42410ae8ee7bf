"""The data folder: one runner at a time; removed only if it is ours and unused."""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluice_local.errors import LocalModeError

_LOCK = "lock"
_ENDPOINTS = "endpoints.json"
_LOG_BYTES = 10 * 1024 * 1024


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Lock the data folder while the body runs, and create it if it is missing.

    Raises:
        LocalModeError: the folder is not writable, or another runner uses it.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / _LOCK).open("a+", encoding="ascii")
    except OSError as error:
        raise LocalModeError(
            f"The data folder {data_dir} cannot be used: {error.strerror}.",
            remedy="Make it writable for this user, or choose another with --data-dir.",
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise LocalModeError(
                f"Another Sluice uses the data folder {data_dir} (process {lock.read()}).",
                remedy="Stop it first, or choose another folder with --data-dir (and other ports "
                "with --port-offset).",
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def remove(data_dir: Path) -> bool:
    """Remove the data folder; return whether it existed.

    Raises:
        LocalModeError: a runner uses it, or it does not look like a data folder of Sluice.
    """
    if not data_dir.exists():
        return False
    if not (data_dir / _LOCK).is_file():
        raise LocalModeError(
            f"{data_dir} does not look like a data folder of Sluice; it was not removed.",
            remedy="Remove it by hand if it is one.",
        )
    with locked(data_dir):
        shutil.rmtree(data_dir)
    return True


def write_secret(file: Path) -> None:
    """Write a random secret that only this user can read; one that is there stays."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(32) + "\n", encoding="ascii")


def publish_endpoints(data_dir: Path, document: dict[str, object]) -> None:
    """Write `endpoints.json` atomically; it exists only while Sluice is ready."""
    unfinished = data_dir / f"{_ENDPOINTS}.tmp"
    unfinished.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(data_dir / _ENDPOINTS)


def withdraw_endpoints(data_dir: Path) -> None:
    """Remove `endpoints.json`: Sluice is not ready."""
    (data_dir / _ENDPOINTS).unlink(missing_ok=True)


def read_endpoints(data_dir: Path) -> dict[str, object] | None:
    """Return the endpoints of the Sluice that uses a data folder; None if none is ready."""
    try:
        document = json.loads((data_dir / _ENDPOINTS).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return dict(document)


def log_file(logs_dir: Path, name: str) -> Path:
    """Return the path of a process' log; a log over 10 MiB is renamed and replaces the last one."""
    file = logs_dir / f"{name}.log"
    if file.exists() and file.stat().st_size > _LOG_BYTES:
        file.replace(logs_dir / f"{name}.log.1")
    return file
