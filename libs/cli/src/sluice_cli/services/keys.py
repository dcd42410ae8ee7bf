"""Makes, lists and revokes API keys, in the file that the gateway reads."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.domain.keys_file import KeysFile, read_keys_file
from sluice_cli.domain.tables import Table
from sluice_cli.ports import Session
from sluice_contracts.api_keys import RANDOM_BYTES, file_entry, new_key

__all__ = ["KeysStore", "list_keys", "make_key", "revoke_key"]

_SHOWN_DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class KeysStore:
    """The file, its parts that touch the world, and what a new key is made of."""

    name: str
    read: Callable[[], str]
    write: Callable[[str], None]
    randomness: Callable[[int], bytes] = field(repr=False)

    def load(self) -> KeysFile:
        """Return what is in the file.

        Raises:
            UsageError: it is not in the form that is written here.
        """
        return read_keys_file(self.read(), source=self.name)


async def make_key(
    session: Session,
    *,
    store: KeysStore,
    principal: str | None,
    key_id: str | None,
    days: int | None,
) -> ExitCode:
    """Make a key of a principal, or another secret of a key, and show it once.

    Raises:
        UsageError: there is no such key, or it has two secrets.
    """
    keys = store.load()
    key = new_key(store.randomness(RANDOM_BYTES), key_id=key_id)
    until = None if days is None else session.screen.now() + timedelta(days=days)
    entry = file_entry(key, principal=principal, expires_at=until)
    text = keys.with_key(entry) if key_id is None else keys.with_secret(key_id, entry)
    # The key is of no use without the file: it is written first.
    store.write(text)
    session.screen.result({"key": key}, lines=[key], name=key)
    session.screen.note(f"{store.name} has its SHA-256 alone: nothing can show the key again.")
    return ExitCode.SUCCESS


async def list_keys(session: Session, *, store: KeysStore) -> ExitCode:
    """List the keys and their secrets, by the beginning of their SHA-256."""
    now = session.screen.now()
    rows = [
        {
            "id": key.id,
            "principal": key.principal,
            "secret": secret.sha256[:_SHOWN_DIGITS],
            "state": secret.state(now=now),
            "expires_at": secret.expires_at.isoformat() if secret.expires_at else "",
        }
        for key in store.load().keys
        for secret in key.secrets
    ]
    table = Table(
        headings=("ID", "PRINCIPAL", "SECRET", "STATE", "EXPIRES"),
        rows=tuple(tuple(row.values()) for row in rows),
    )
    session.screen.results(rows, table=table, names=list(dict.fromkeys(row["id"] for row in rows)))
    return ExitCode.SUCCESS


async def revoke_key(
    session: Session, *, store: KeysStore, key_id: str, secret: str | None
) -> ExitCode:
    """Remove a key from the file, or one of its two secrets.

    Raises:
        UsageError: there is no such key or secret.
    """
    keys = store.load()
    store.write(keys.without_key(key_id) if secret is None else keys.without_secret(key_id, secret))
    what = f"key {key_id}" if secret is None else f"secret {secret} of key {key_id}"
    session.screen.result({"id": key_id, "secret": secret}, lines=[f"Revoked: {what}"], name=key_id)
    return ExitCode.SUCCESS
