"""The words that the demo has counted."""

from collections import Counter

from rich.table import Table

_WORDS_SHOWN = 10


def words_table(counts: Counter[str], *, total: int) -> Table:
    """Return the most frequent words, with their counts and their share of all words."""
    table = Table()
    table.add_column("word")
    table.add_column("count", justify="right")
    table.add_column("share", justify="right")
    for word, count in counts.most_common(_WORDS_SHOWN):
        table.add_row(word, f"{count:,}", f"{count / total:.1%}")
    return table
