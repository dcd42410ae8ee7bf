"""Write the text of MESSAGE (base64url) into the file ARTIFACT."""

import base64
import os
from pathlib import Path


def main() -> None:
    """Run as a step."""
    artifact = Path(os.environ["ARTIFACT"])
    artifact.parent.mkdir(parents=True, exist_ok=True)
    artifact.write_bytes(base64.urlsafe_b64decode(os.environ["MESSAGE"]))


if __name__ == "__main__":
    main()
