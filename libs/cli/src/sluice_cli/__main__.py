"""`sluice`: the first thing that runs."""

import sys

from sluice_cli import VERSION

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] == ["--version"]:
        # Nothing else is imported for it.
        print(f"sluice {VERSION}")
        return
    import logging  # noqa: PLC0415 - see above

    from sluice_cli.app import app  # noqa: PLC0415

    # What it says of connections that fail is in our errors, too.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    app(prog_name="sluice")


if __name__ == "__main__":
    main()
