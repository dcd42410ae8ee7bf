"""Write REASON (base64url) into the file PROPOSAL, an output parameter for the approver."""

import base64
import os
from pathlib import Path


def main() -> None:
    """Run as a step."""
    proposal = Path(os.environ["PROPOSAL"])
    proposal.parent.mkdir(parents=True, exist_ok=True)
    # Argo removes one newline from the end of an output parameter: this one.
    proposal.write_bytes(base64.urlsafe_b64decode(os.environ["REASON"]) + b"\n")


if __name__ == "__main__":
    main()
