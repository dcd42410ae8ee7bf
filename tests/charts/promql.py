"""What an expression of PromQL asks for."""

import re


def labels_of(expression: str) -> set[str]:
    """Give the labels that it selects or groups by."""
    labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression))
    for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
        labels |= set(grouped.replace(" ", "").split(","))
    return labels
