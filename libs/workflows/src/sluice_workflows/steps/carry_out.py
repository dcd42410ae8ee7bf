"""Write a report of the decision, an argument, on REASON (base64url) into the file MESSAGE."""

import base64
import os
import sys
from pathlib import Path


def report(reason: str, decision: str) -> str:
    """Return the message of the decision, with its reason."""
    done = "Refused" if decision == "refuse" else "Approved"
    return f"{done}: {reason}" if reason else done


def main() -> None:
    """Run as a step."""
    reason = base64.urlsafe_b64decode(os.environ["REASON"]).decode()
    message = Path(os.environ["MESSAGE"])
    message.parent.mkdir(parents=True, exist_ok=True)
    # Argo removes one newline from the end of an output parameter: this one.
    message.write_bytes((report(reason, sys.argv[1]) + "\n").encode())


if __name__ == "__main__":
    main()
