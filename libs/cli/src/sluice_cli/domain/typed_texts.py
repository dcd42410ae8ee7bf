"""Refuses arguments that are not UTF-8: the gateway takes nothing else, and sees no arguments."""

from collections.abc import Mapping

from sluice_cli.domain.usage import UsageError

__all__ = ["check_texts"]


def check_texts(values: Mapping[str, object], *, shown: Mapping[str, str]) -> None:
    """Check the values of a command's arguments and options; paths of files may be any bytes.

    Args:
        values: the values by the names of their parameters in Python.
        shown: how the parameters are called where they are typed.

    Raises:
        UsageError: one is not UTF-8. The message has its place, and not the value.
    """
    for name, value in values.items():
        several = isinstance(value, list)
        for number, each in enumerate(value if isinstance(value, list) else [value], start=1):
            at = _first_wrong(each) if isinstance(each, str) else None
            if at is not None:
                which = f" {number}" if several else ""
                raise UsageError(f"{shown.get(name, name)}{which}: not UTF-8 at character {at}.")


def _first_wrong(text: str) -> int | None:
    """Return the place, from 1, of the first byte that is not UTF-8; None if there is none."""
    try:
        text.encode()
    except UnicodeEncodeError as e:
        # Python reads such a byte as a lone surrogate (PEP 383).
        return e.start + 1
    return None
