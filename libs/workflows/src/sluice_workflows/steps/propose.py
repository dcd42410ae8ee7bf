"""Show REASON (base64url) to whoever approves, as the output parameter in the file PROPOSAL."""

import base64
import os
from pathlib import Path


def main() -> None:
    """Run as a step."""
    proposal = Path(os.environ["PROPOSAL"])
    proposal.parent.mkdir(parents=True, exist_ok=True)
    # Argo takes one newline off the end of an output parameter: this one.
    proposal.write_bytes(base64.urlsafe_b64decode(os.environ["REASON"]) + b"\n")


if __name__ == "__main__":
    main()
