"""TLS with certificates that may be renewed while the process runs, as by Strimzi or cert-manager.

They rewrite the Secret, the kubelet replaces the mounted files, and every later connection uses the
new ones.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import structlog

from sluice_runtime.kafka.errors import CredentialsError

__all__ = ["ReloadingSSLContext"]

_log = structlog.get_logger(__name__)


class ReloadingSSLContext(ssl.SSLContext):
    """A context that delegates each connection to a context made from the current files.

    A changed file needs a new context: an existing one would still trust a removed authority.
    """

    _files: Mapping[str, Path]
    _seen: object
    _context: ssl.SSLContext

    @classmethod
    def of(
        cls, *, ca_file: Path | None, certificate_file: Path | None, key_file: Path | None
    ) -> Self:
        """Return a context for these files; without `ca_file` it trusts the system's authorities.

        Raises:
            CredentialsError: a file is unusable; the message names it.
        """
        # ssl.SSLContext.__new__ is written in C and accepts only a protocol.
        made = cls(ssl.PROTOCOL_TLS_CLIENT)
        given = {"ca_file": ca_file, "certificate_file": certificate_file, "key_file": key_file}
        made._files = {setting: file for setting, file in given.items() if file is not None}
        made._seen = made._look()
        made._context = _load(made._files)
        return made

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:  # noqa: ANN401 - as ssl has it
        """Begin a connection; asyncio and uvloop call this once per connection."""
        self._renew()
        return self._context.wrap_bio(*arguments, **named)

    def _renew(self) -> None:
        seen = self._look()
        if seen == self._seen:
            return
        try:
            self._context = _load(self._files)
        except OSError as e:
            # The files may be half written. The previous ones may still work, and the next
            # connection checks again.
            _log.warning("renewed file is unusable, previous one stays in use", error=str(e))
        else:
            self._seen = seen

    def _look(self) -> object:
        # A Secret's file is a link to a link: a renewed one has another inode.
        return [(s.st_ino, s.st_mtime_ns, s.st_size) for s in map(_stat, self._files.values()) if s]


def _stat(file: Path) -> Any:  # noqa: ANN401 - os.stat_result or None
    try:
        return file.stat()
    except OSError:
        return None


def _load(files: Mapping[str, Path]) -> ssl.SSLContext:
    for setting, file in files.items():
        _require_readable(setting, file)
    ca = files.get("ca_file")
    try:
        context = ssl.create_default_context(cafile=ca)
    except ssl.SSLError as e:
        raise _unusable("ca_file", ca, "it holds no certificates in PEM") from e
    context.sslobject_class = _Connection
    if "certificate_file" in files:
        _load_pair(context, certificate=files["certificate_file"], key=files["key_file"])
    return context


def _load_pair(context: ssl.SSLContext, *, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except _EncryptedError as e:
        raise _unusable("key_file", key, "it is encrypted; store it without a password") from e
    except ssl.SSLError as e:
        why = f"it is not a PEM certificate, or not that of the key in {key} (kafka.key_file)"
        raise _unusable("certificate_file", certificate, why) from e


class _Connection(ssl.SSLObject):
    """A connection that logs why the broker ended it; aiokafka reports only that it is closed.

    With TLS 1.3 a client is connected before the broker has verified its certificate.
    """

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002, ANN401 - as ssl has it
        try:
            return super().read(len, buffer)
        except ssl.SSLError as e:
            if "ALERT" in str(e.reason).upper():
                _log.warning("broker refused; check kafka.certificate_file", alert=e.reason)
            raise


class _EncryptedError(Exception):
    pass


def _no_password() -> str:
    # OpenSSL would otherwise ask for the password at a terminal.
    raise _EncryptedError


def _require_readable(setting: str, file: Path) -> None:
    """Check that `file` is readable: OpenSSL does not say which file is not."""
    try:
        file.open("rb").close()
    except OSError as e:
        raise _unusable(setting, file, e.strerror or type(e).__name__) from e


def _unusable(setting: str, file: Path | None, why: str) -> CredentialsError:
    return CredentialsError(f"kafka.{setting}: {file} cannot be used: {why}.")
