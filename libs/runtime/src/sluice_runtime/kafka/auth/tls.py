"""TLS whose certificates may be renewed under way, as Strimzi and cert-manager do.

They rewrite the Secret, the kubelet swaps the mounted files, and every later connection is made
with what is there now.
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
    """Hands each connection to a context of the files as they are at that moment.

    A fresh one, for a context only ever learns: it would go on trusting an authority that is gone.
    """

    _files: Mapping[str, Path]
    _seen: object
    _context: ssl.SSLContext

    @classmethod
    def of(
        cls, *, ca_file: Path | None, certificate_file: Path | None, key_file: Path | None
    ) -> Self:
        """Make one; without `ca_file` it trusts the system's own authorities.

        Raises:
            CredentialsError: a file cannot be used; the message names it.
        """
        # Its __new__ is C's, and takes a protocol alone.
        made = cls(ssl.PROTOCOL_TLS_CLIENT)
        given = {"ca_file": ca_file, "certificate_file": certificate_file, "key_file": key_file}
        made._files = {setting: file for setting, file in given.items() if file is not None}
        made._seen = made._look()
        made._context = _load(made._files)
        return made

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:  # noqa: ANN401 - as ssl has it
        """Begin a connection; asyncio and uvloop do so once for each."""
        self._renew()
        return self._context.wrap_bio(*arguments, **named)

    def _renew(self) -> None:
        seen = self._look()
        if seen == self._seen:
            return
        try:
            self._context = _load(self._files)
        except OSError as e:
            # Perhaps half of it is written. What was read before may still do, and the next
            # connection looks again.
            _log.warning("renewed file cannot be used, going on with the one before", error=str(e))
        else:
            self._seen = seen

    def _look(self) -> object:
        # A Secret's file is a link to a link: swapped, it is another inode.
        return [(s.st_ino, s.st_mtime_ns, s.st_size) for s in map(_stat, self._files.values()) if s]


def _stat(file: Path) -> Any:  # noqa: ANN401 - os.stat_result, or nothing
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
        raise _unusable("key_file", key, "it is encrypted, and nobody gives its password") from e
    except ssl.SSLError as e:
        why = f"it is no certificate in PEM, or not that of the key in {key} (kafka.key_file)"
        raise _unusable("certificate_file", certificate, why) from e


class _Connection(ssl.SSLObject):
    """Tells why a broker ended it: aiokafka says only that it is closed.

    By TLS 1.3 a client takes itself for connected before its certificate was looked at.
    """

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002, ANN401 - as ssl has it
        try:
            return super().read(len, buffer)
        except ssl.SSLError as e:
            if "ALERT" in str(e.reason).upper():
                _log.warning("refused by a broker; see kafka.certificate_file", alert=e.reason)
            raise


class _EncryptedError(Exception):
    pass


def _no_password() -> str:
    # Else OpenSSL would ask for it at a terminal.
    raise _EncryptedError


def _require_readable(setting: str, file: Path) -> None:
    """OpenSSL itself does not say which file it could not read."""
    try:
        file.open("rb").close()
    except OSError as e:
        raise _unusable(setting, file, e.strerror or type(e).__name__) from e


def _unusable(setting: str, file: Path | None, why: str) -> CredentialsError:
    return CredentialsError(f"kafka.{setting}: {file} cannot be used: {why}.")
