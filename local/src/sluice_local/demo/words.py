"""A second word count, independent of the workflow in the demo."""

from collections import Counter


def count_words(text: str) -> Counter[str]:
    """Count words: maximal runs of characters for which `str.isalnum()` holds, casefolded."""
    spaced = "".join(character if character.isalnum() else " " for character in text)
    return Counter(word.casefold() for word in spaced.split())
