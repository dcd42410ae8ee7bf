"""Split the text in the file TEXT (base64url) into WORKERS chunks, files of the folder CHUNKS.

Print the JSON list of the chunks' names; one step per chunk counts its words.
"""

import base64
import json
import os
import sys
from pathlib import Path


def split(text: str, workers: int) -> list[str]:
    """Return `text` in `workers` chunks of about the same length, never cut inside a word.

    A word is a maximal run of alphanumeric characters. Chunks may be empty.
    """
    cuts = [0]
    for worker in range(1, workers):
        cut = max(cuts[-1], len(text) * worker // workers)
        while 0 < cut < len(text) and text[cut - 1].isalnum() and text[cut].isalnum():
            cut += 1
        cuts.append(cut)
    cuts.append(len(text))
    return [text[cuts[i] : cuts[i + 1]] for i in range(workers)]


def main() -> None:
    """Run as a step."""
    text = base64.urlsafe_b64decode(Path(os.environ["TEXT"]).read_bytes()).decode()
    chunks = split(text, int(os.environ["WORKERS"]))
    folder = Path(os.environ["CHUNKS"])
    folder.mkdir(parents=True, exist_ok=True)
    for index, chunk in enumerate(chunks):
        (folder / str(index)).write_bytes(chunk.encode())
    json.dump(list(range(len(chunks))), sys.stdout)


if __name__ == "__main__":
    main()
