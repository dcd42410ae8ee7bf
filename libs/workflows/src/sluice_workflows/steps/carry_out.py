"""Write a report of the approval of REASON (base64url) into the file MESSAGE."""

import base64
import os
from pathlib import Path


def report(reason: str) -> str:
    """Return the message of the approval, with its reason."""
    return f"Approved: {reason}" if reason else "Approved"


def main() -> None:
    """Run as a step."""
    reason = base64.urlsafe_b64decode(os.environ["REASON"]).decode()
    message = Path(os.environ["MESSAGE"])
    message.parent.mkdir(parents=True, exist_ok=True)
    # Argo removes one newline from the end of an output parameter: this one.
    message.write_bytes((report(reason) + "\n").encode())


if __name__ == "__main__":
    main()
