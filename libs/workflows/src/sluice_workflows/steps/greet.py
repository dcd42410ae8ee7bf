"""Greet the one that NAME (base64url) names, into the file GREETING."""

import base64
import os
from pathlib import Path


def greet(name: str) -> str:
    """Say hello."""
    return f"Hello, {name}!"


def main() -> None:
    """Run as a step."""
    name = base64.urlsafe_b64decode(os.environ["NAME"]).decode()
    greeting = Path(os.environ["GREETING"])
    greeting.parent.mkdir(parents=True, exist_ok=True)
    # Argo takes one newline off the end of an output parameter: this one.
    greeting.write_bytes((greet(name) + "\n").encode())


if __name__ == "__main__":
    main()
