"""Shout MESSAGE (base64url) in the MOOD asked for, into the file SHOUT.

Runs in a container of its own: standard library only, and the whole program in one file.
"""

import base64
import os
from pathlib import Path

ENDINGS = {"cheerful": "!", "stern": "."}


def shout(message: str, mood: str) -> str:
    """Say it louder."""
    return message.upper() + ENDINGS[mood]


def main() -> None:
    """Run as a step."""
    message = base64.urlsafe_b64decode(os.environ["MESSAGE"]).decode()
    output = Path(os.environ["SHOUT"])
    output.parent.mkdir(parents=True, exist_ok=True)
    # Argo takes one newline off the end of an output parameter: this one.
    output.write_bytes((shout(message, os.environ["MOOD"]) + "\n").encode())


if __name__ == "__main__":
    main()
