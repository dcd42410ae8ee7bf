"""Write a greeting for NAME (base64url) into the file GREETING."""

import base64
import os
from pathlib import Path


def greet(name: str) -> str:
    """Return the greeting."""
    return f"Hello, {name}!"


def main() -> None:
    """Run as a step."""
    name = base64.urlsafe_b64decode(os.environ["NAME"]).decode()
    greeting = Path(os.environ["GREETING"])
    greeting.parent.mkdir(parents=True, exist_ok=True)
    # Argo removes one newline from the end of an output parameter: this one.
    greeting.write_bytes((greet(name) + "\n").encode())


if __name__ == "__main__":
    main()
