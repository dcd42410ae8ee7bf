"""Read the file ARTIFACT and give its text as the output parameter in the file MESSAGE."""

import os
from pathlib import Path


def main() -> None:
    """Run as a step."""
    message = Path(os.environ["MESSAGE"])
    message.parent.mkdir(parents=True, exist_ok=True)
    # Argo takes one newline off the end of an output parameter: this one.
    message.write_bytes(Path(os.environ["ARTIFACT"]).read_bytes() + b"\n")


if __name__ == "__main__":
    main()
