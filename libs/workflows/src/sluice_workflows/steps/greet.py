"""Write a greeting for NAME (base64url) into the file GREETING, and print it."""

import base64
import os
import sys
from pathlib import Path


def greet(name: str) -> str:
    """Return the greeting."""
    return f"Hello, {name}!"


def main() -> None:
    """Run as a step."""
    # Argo removes one newline from the end of an output parameter: this one.
    greeting = (greet(base64.urlsafe_b64decode(os.environ["NAME"]).decode()) + "\n").encode()
    output = Path(os.environ["GREETING"])
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(greeting)
    # Whatever the locale of the image is.
    sys.stdout.buffer.write(greeting)


if __name__ == "__main__":
    main()
