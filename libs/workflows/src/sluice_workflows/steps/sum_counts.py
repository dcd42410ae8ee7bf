"""Sum the partial counts in the folder PARTS into the output parameters COUNTS, TOTAL, TRUNCATED.

A Workflow must fit into etcd, so the counts are truncated above 128 KiB.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

MAX_BYTES = 128 * 1024
MAX_WORDS_WHEN_TRUNCATED = 1000


def summary(counts: Mapping[str, int]) -> tuple[str, bool]:
    """Return `counts` as a JSON object, most frequent word first, and whether it is truncated.

    Above 128 KiB only the 1,000 most frequent words are kept, and of those only as many as fit.
    """
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    whole = encoded(dict(ranked))
    if len(whole.encode()) <= MAX_BYTES:
        return whole, False
    kept = {}
    room = MAX_BYTES - len("{}") + len(",")  # the last word has no comma after it
    for word, uses in ranked[:MAX_WORDS_WHEN_TRUNCATED]:
        size = len(encoded({word: uses}).encode()) - len("{}") + len(",")
        if size <= room:
            kept[word] = uses
            room -= size
    return encoded(kept), True


def encoded(counts: Mapping[str, int]) -> str:
    """Return `counts` as compact JSON, with words unescaped."""
    return json.dumps(counts, ensure_ascii=False, separators=(",", ":"))


def main() -> None:
    """Run as a step."""
    total: Counter[str] = Counter()
    for part in Path(os.environ["PARTS"]).iterdir():
        total.update(json.loads(part.read_text(encoding="ascii")))
    counts, truncated = summary(total)
    outputs = {
        "COUNTS": counts,
        "TOTAL": str(sum(total.values())),
        "TRUNCATED": "true" if truncated else "false",
    }
    for name, value in outputs.items():
        output = Path(os.environ[name])
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(value.encode())


if __name__ == "__main__":
    main()
