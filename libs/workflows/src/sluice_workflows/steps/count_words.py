"""Count the words of the text in the file CHUNK; the counts go to the file COUNTS, as JSON."""

import json
import os
from collections import Counter
from pathlib import Path


def count(text: str) -> Counter[str]:
    """Count words: maximal runs of alphanumeric characters, casefolded."""
    words = "".join(c if c.isalnum() else " " for c in text).split()
    return Counter(word.casefold() for word in words)


def main() -> None:
    """Run as a step."""
    counts = count(Path(os.environ["CHUNK"]).read_bytes().decode())
    output = Path(os.environ["COUNTS"])
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(counts), encoding="ascii")


if __name__ == "__main__":
    main()
