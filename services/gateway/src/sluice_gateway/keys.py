"""`python -m sluice_gateway.keys`: makes API keys."""

import argparse
import re
import secrets
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sluice_contracts.api_keys import ID, PRINCIPAL, RANDOM_BYTES, file_entry, new_key

__all__ = ["main"]

_HOW = """\
Makes an API key and shows it once. The file of keys (auth.keys_file) gets its SHA-256 alone.

  python -m sluice_gateway.keys new --principal ci --days 90       # a new key
  python -m sluice_gateway.keys new --id 4fT9kQ2mZx8B --days 90    # another secret of that key

The key goes to standard output, and what to add to the file to standard error: at the end of the
file, or behind the other secret of the key. docs/access.md shows both.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    reading = argparse.ArgumentParser(
        prog="python -m sluice_gateway.keys",
        description=_HOW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = reading.add_subparsers(dest="command", required=True, metavar="COMMAND")
    new = commands.add_parser("new", help="make a key, or another secret of one")
    what = new.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--principal", type=_principal, help="who shows the key: grants call it api_key:PRINCIPAL"
    )
    what.add_argument("--id", type=_key_id, help="the key that gets another secret")
    new.add_argument("--days", type=_days, help="days until it expires (default: never)")
    return reading


def main(arguments: Sequence[str] | None = None) -> None:
    """Make a key and print it."""
    given = parser().parse_args(arguments)
    key = new_key(secrets.token_bytes(RANDOM_BYTES), key_id=given.id)
    until = None if given.days is None else datetime.now(UTC) + timedelta(days=given.days)
    lines = file_entry(key, principal=given.principal, expires_at=until)
    sys.stderr.write("\n".join([*lines, ""]))
    sys.stderr.flush()
    sys.stdout.write(f"{key}\n")


def _key_id(text: str) -> str:
    if not re.fullmatch(ID, text):
        raise argparse.ArgumentTypeError("must be the 12 digits between `slk_` and the secret")
    return text


def _principal(text: str) -> str:
    if not re.fullmatch(PRINCIPAL, text):
        raise argparse.ArgumentTypeError("must be letters, digits, dots, dashes and underscores")
    return text


def _days(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text):
        raise argparse.ArgumentTypeError("must be a number of days, at most 9999")
    return int(text)


if __name__ == "__main__":
    main()
