"""Copy the text of the file ARTIFACT into the file MESSAGE, an output parameter."""

import os
from pathlib import Path


def main() -> None:
    """Run as a step."""
    message = Path(os.environ["MESSAGE"])
    message.parent.mkdir(parents=True, exist_ok=True)
    # Argo removes one newline from the end of an output parameter: this one.
    message.write_bytes(Path(os.environ["ARTIFACT"]).read_bytes() + b"\n")


if __name__ == "__main__":
    main()
