"""Checks the words of the repository and the layout of its Markdown: part of `make lint`.

Words of a private language, and turns of phrase that have to be decoded, are findings in every
text file: in prose, comments, strings and names. In Markdown outside tables and code also:

- two sentences on one line, so that a diff shows the sentence that changed;
- a sentence of more than 25 words;
- a line of more than 120 characters, unless a link makes it so long.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

__all__ = ["Finding", "check_repository", "check_text", "main"]

MAX_WORDS: Final = 25
MAX_COLUMNS: Final = 120

_NOT_OURS: Final = (
    "LICENSE",
    "examples/texts/alice-in-wonderland.txt",
    "requirements",
    "services/gateway/src/sluice_gateway/static/swagger-ui",
    "tests/data",
    # Copies of helm/ as it was when a release was promoted.
    "argocd/environments/staging/charts",
    "argocd/environments/prod/charts",
    # They name the words that they look for.
    "scripts/check_prose.py",
    "tests/unit/docs/test_check_prose.py",
)

# Leadership; not "turn off", "in turn" or "take turns".
_TURN: Final = (
    r"\b(?:a|the|its|our|their|whose|leased|class|per)\s+turn\b"
    r"|\bturn(?=\s*[:=.(,)])|\bturn(?:s|ed|ing)? away\b"
)
# "X is no file"; not "there is no file", nor "is no longer".
_NO_NOUN: Final = (
    r"(?<!\bthere )\b(?:is|are|was|were)\s+no\s+(?!(?:longer|more|less|later|sooner|greater|larger"
    r"|lower|higher|better|worse|other)\b)[a-z]+"
)
_RULES: Final = [
    (re.compile(pattern, re.IGNORECASE), instead)
    for pattern, instead in (
        (r"\b(?:un)?(?:told|tell|tells|telling|teller)\b", "publish, say, report, name"),
        (_TURN, "leadership, leader; reject"),
        (r"\bdoubt(?:s|ed|ful|ing)?\b", "the outcome is unknown, look up"),
        (r"\bpump(?:s|ed|ing)?\b", "consumer"),
        (r"\blanes?\b", "key lock"),
        (r"\b(?:re)?fold(?:s|ed|ing)?\b", "project, projection, apply"),
        (r"\bbears?\b", "has, carries"),
        (r"\bmend(?:s|ed|ing)?\b", "fix, repair"),
        (r"\blest\b", "so that ... not"),
        (r"\banew\b", "again, new"),
        (r"\bfor ever\b", "forever, permanently"),
        (r"\bbesides\b", "also, in addition"),
        (r"\b(?:whoever|whomever|whosoever)\b", "anyone who, the client, the operator"),
        (_NO_NOUN, "is not a ..."),
    )
]
_WHO: Final = re.compile(r"^(?:[-*#>\s]|\d+\.)*Who\b(?!.*\?)")
_JOINED: Final = re.compile(r"_+|(?<=[a-z])(?=[A-Z])")

_LIST_ITEM: Final = re.compile(r"^\s*(?:[-*+]|\d+\.)\s+")
_ENDS: Final = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)[.!?][\"')*_]*(?=\s|$)")
_CODE: Final = re.compile(r"`+[^`]*`+")
_LINK: Final = re.compile(r"\]\([^)]*\)|<https?:[^>]*>")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is wrong with a line of a file; `line` counts from 1."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def check_text(path: str, text: str) -> list[Finding]:
    """Return what is wrong with a file, in the order of its lines."""
    markdown = path.endswith(".md")
    found = [*_words(path, text, names=not markdown)]
    if markdown:
        found += _layout(path, text)
    return sorted(found, key=lambda finding: finding.line)


def _words(path: str, text: str, *, names: bool) -> Iterator[Finding]:
    for number, line in enumerate(text.splitlines(), start=1):
        plain = _JOINED.sub(" ", line) if names else _CODE.sub("code", line)
        for pattern, instead in _RULES:
            if match := pattern.search(plain):
                message = f"“{match.group()}”: write {instead}"
                yield Finding(path=path, line=number, message=message)
        if _WHO.search(line):
            yield Finding(path=path, line=number, message="“Who” as a subject: name it")


def _layout(path: str, text: str) -> Iterator[Finding]:
    for number, line in _prose(text):
        if len(_LINK.sub("]", line)) > MAX_COLUMNS:
            message = f"{len(line)} characters, more than {MAX_COLUMNS}"
            yield Finding(path=path, line=number, message=message)
        ends = [match for match in _ENDS.finditer(_plain(line)) if match.end() < len(_plain(line))]
        if ends:
            yield Finding(path=path, line=number, message="two sentences on one line")
    for number, sentence in _sentences(_prose(text)):
        words = len([word for word in sentence.split() if re.search(r"\w", word)])
        if words > MAX_WORDS:
            message = f"a sentence of {words} words, more than {MAX_WORDS}"
            yield Finding(path=path, line=number, message=message)


def _prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines outside code blocks, tables and headings, blank ones included."""
    fenced = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            yield number, ""
        elif fenced or line.lstrip().startswith(("|", "#")):
            yield number, ""
        else:
            yield number, line


def _plain(line: str) -> str:
    """Return a line without list mark and link targets, each code span as one word."""
    return _CODE.sub("code", _LINK.sub("]", _LIST_ITEM.sub("", line))).strip()


def _sentences(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield each sentence with the line where it begins; paragraphs and list items end one."""
    begun, held = 0, ""
    for number, line in lines:
        if not line.strip() or _LIST_ITEM.match(line):
            yield begun, held
            held = ""
        *whole, rest = _split(_plain(line))
        for part in whole:
            yield begun if held else number, f"{held} {part}"
            held = ""
        if rest:
            begun = begun if held else number
            held = f"{held} {rest}"
    yield begun, held


def _split(text: str) -> list[str]:
    """Cut after each sentence's end; the last part is what is still open, perhaps empty."""
    parts, start = [], 0
    for match in _ENDS.finditer(text):
        parts.append(text[start : match.end()])
        start = match.end()
    return [*parts, text[start:].strip()]


def check_repository(root: Path) -> list[Finding]:
    """Return what is wrong with the files of a repository.

    Raises:
        subprocess.CalledProcessError: `root` is not in a git repository.
    """
    return [finding for path, text in _texts(root) for finding in check_text(path, text)]


def _is_below(path: str, entry: str) -> bool:
    return PurePosixPath(path).is_relative_to(entry)


def _texts(root: Path) -> Iterator[tuple[str, str]]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    for path in filter(None, listed.stdout.split("\0")):
        file = root / path
        if not file.is_file() or any(_is_below(path, other) for other in _NOT_OURS):
            continue
        try:
            yield path, file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def main(root: Path = Path()) -> int:
    """Print the findings; return the exit code."""
    findings = check_repository(root)
    for finding in findings:
        sys.stdout.write(f"{finding}\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
