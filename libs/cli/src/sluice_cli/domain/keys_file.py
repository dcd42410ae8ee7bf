"""The file of keys, as `sluice keys` and `python -m sluice_gateway.keys` write it.

It is YAML, of which this reads the form that it writes: one member on each line. What it does not
know it refuses, and it leaves all other lines and comments as they are.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sluice_cli.domain.usage import UsageError
from sluice_contracts.api_keys import MAX_SECRETS

__all__ = ["KeysFile", "StoredKey", "StoredSecret", "read_keys_file"]

_NOTHING: Final = re.compile(r"\s*(#.*)?")
_HEAD: Final = re.compile(r"keys:\s*(\[\s*\])?\s*(#.*)?")
_MEMBER: Final = re.compile(
    r"(?P<indent>\s*)(?P<dash>- )?(?P<name>[a-z0-9_]+):\s*(?P<quote>[\"']?)(?P<value>[^\s\"'#]*)"
    r"(?P=quote)\s*(#.*)?"
)


@dataclass(kw_only=True)
class StoredSecret:
    """A secret of a key; `first` and `last` are its lines, from 0."""

    sha256: str
    first: int
    last: int
    not_before: datetime | None = None
    expires_at: datetime | None = None

    def state(self, *, now: datetime) -> str:
        """Return whether it is valid, in one word."""
        if self.expires_at is not None and now >= self.expires_at:
            return "expired"
        return "later" if self.not_before is not None and now < self.not_before else "valid"


@dataclass(kw_only=True)
class StoredKey:
    """A key by its id; `first` and `last` are its lines, from 0."""

    id: str
    first: int
    last: int
    indent: str
    principal: str = ""
    secrets: list[StoredSecret] = field(default_factory=list)


@dataclass(frozen=True)
class KeysFile:
    """The lines of the file, and the keys in it; changes are other files."""

    lines: tuple[str, ...]
    keys: tuple[StoredKey, ...]

    def key(self, key_id: str) -> StoredKey:
        """Return the key of this id.

        Raises:
            UsageError: there is none.
        """
        for each in self.keys:
            if each.id == key_id:
                return each
        raise UsageError(f"The file has no key {key_id!r}; `sluice keys list` shows those it has.")

    def with_key(self, entry: Sequence[str]) -> str:
        """Return the text with another key at its end."""
        indent = self.keys[0].indent if self.keys else ""
        return _text([*self.lines, *(indent + line for line in entry)], empty=False)

    def with_secret(self, key_id: str, entry: Sequence[str]) -> str:
        """Return the text with another secret of a key, behind the one that it has.

        Raises:
            UsageError: there is no such key, or it has two.
        """
        key = self.key(key_id)
        if len(key.secrets) >= MAX_SECRETS:
            raise UsageError(
                f"Key {key_id!r} has {MAX_SECRETS} secrets: revoke one of them first, by --secret."
            )
        end = key.last + 1
        added = [key.indent + line for line in entry]
        return _text([*self.lines[:end], *added, *self.lines[end:]], empty=False)

    def without_key(self, key_id: str) -> str:
        """Return the text without a key.

        Raises:
            UsageError: there is no such key.
        """
        key = self.key(key_id)
        rest = [*self.lines[: key.first], *self.lines[key.last + 1 :]]
        return _text(rest, empty=len(self.keys) == 1)

    def without_secret(self, key_id: str, beginning: str) -> str:
        """Return the text without the secret of a key whose SHA-256 begins so.

        Raises:
            UsageError: there is no such secret, or it is the only one.
        """
        key = self.key(key_id)
        found = [each for each in key.secrets if each.sha256.startswith(beginning)]
        if len(found) != 1 or not beginning:
            raise UsageError(
                f"{len(found)} secrets of key {key_id!r} begin with {beginning!r}; "
                "`sluice keys list` shows how they begin."
            )
        if len(key.secrets) == 1:
            raise UsageError(f"It is the only secret of key {key_id!r}: revoke the key itself.")
        [secret] = found
        rest = [*self.lines[: secret.first], *self.lines[secret.last + 1 :]]
        return _text(rest, empty=False)


def read_keys_file(text: str, *, source: str) -> KeysFile:
    """Return what is in the file; an empty one has no keys.

    Raises:
        UsageError: a line is not in the form that this writes.
    """
    lines = tuple(text.splitlines())
    keys: list[StoredKey] = []
    for number, line in _lines(lines):
        found = _MEMBER.fullmatch(line)
        if found is None or not _takes(keys, number, found):
            raise UsageError(
                f"{source}: line {number + 1} is not in the form that `sluice keys` writes. "
                "Change the file by hand."
            )
    for key in keys:
        if not key.principal or not key.secrets:
            raise UsageError(f"{source}: key {key.id!r} has no principal or no secret.")
    return KeysFile(lines, tuple(keys))


def _lines(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines that say something, without the head."""
    for number, line in enumerate(lines):
        if not (_NOTHING.fullmatch(line) or _HEAD.fullmatch(line)):
            yield number, line


def _takes(keys: list[StoredKey], number: int, found: re.Match[str]) -> bool:
    """Take over a member; return whether it may stand there."""
    value, begins = found["value"], found["dash"] is not None
    key = keys[-1] if keys else None
    secret = key.secrets[-1] if key and key.secrets else None
    match found["name"], begins:
        case "id", True:
            keys.append(StoredKey(id=value, first=number, last=number, indent=found["indent"]))
            return bool(value)
        case "principal", False if key and not key.secrets:
            key.principal = value
        case "secrets", False if key and not key.secrets and not value:
            pass
        case "sha256", True if key:
            key.secrets.append(StoredSecret(sha256=value, first=number, last=number))
        case ("not_before" | "expires_at") as name, False if secret:
            secret.last = number
            moment = _moment(value)
            setattr(secret, name, moment)
            if moment is None:
                return False
        case _:
            return False
    if key is not None:
        key.last = number
    return True


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.utcoffset() is not None else None


def _text(lines: Sequence[str], *, empty: bool) -> str:
    """Return the text, whose head says whether there are keys."""
    head = "keys: []" if empty else "keys:"
    rest = [line for line in lines if not _HEAD.fullmatch(line)]
    begin = next((n for n, line in enumerate(lines) if _HEAD.fullmatch(line)), 0)
    return "\n".join([*rest[:begin], head, *rest[begin:], ""])
