"""The check of words and sentences finds each thing that it is for, and nothing else."""

import subprocess
from pathlib import Path

import pytest

from scripts.check_prose import check_repository, check_text, main

# By ten words, a dot.
LONG = "one two three four five six seven eight nine ten "


def found(path: str, text: str) -> list[str]:
    return [finding.message for finding in check_text(path, text)]


@pytest.mark.parametrize(
    "phrase",
    [
        "tell", "tells", "told", "telling", "untold", "teller",
        "its turn", "whose turn it is", "the turn", "class Turn", "turn: Turn", "turned away",
        "doubt", "doubtful", "doubting",
        "pump", "pumping",
        "lane", "lanes",
        "fold", "folded", "folding", "refolded",
        "bears", "bear",
        "mend", "mended",
        "lest",
        "anew",
        "for ever",
        "besides",
        "whoever", "Whomever",
        "is no file", "are no JSON", "was no tag",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["page.md", "module.py", "values.yaml", "Makefile"])
def test_each_word_is_found_in_every_kind_of_file(path: str, phrase: str) -> None:
    assert len(found(path, f"a line\nthe record {phrase} here\n")) == 1


@pytest.mark.parametrize("phrase", ["_told", "tell_it", "LeasedTeller", "TurningAway", "key_lanes"])
def test_a_word_is_found_in_a_name(phrase: str) -> None:
    assert found("module.py", f"value = {phrase}(1)")


def test_a_name_that_a_page_quotes_is_left_to_the_code() -> None:
    assert found("page.md", "The metric `sluice_events_folded_total` of `telling.py`.") == []


@pytest.mark.parametrize(
    "line", ["Who waits does so later.", "- Who waits", "# Who waits", "1. Who waits"]
)
def test_who_as_a_subject_is_found(line: str) -> None:
    assert found("module.py", line) == ["“Who” as a subject: name it"]


@pytest.mark.parametrize(
    "line",
    [
        "Who reads this topic?",
        "a client who waits",
        "there is no file",
        "There are no records",
        "it is no longer read",
        "the folder of the bearer",
        "turn it off, and in turn the next; they take turns",
        "a turning point",
        "the intellect",
        "amended",
    ],
)
def test_ordinary_words_are_not_found(line: str) -> None:
    assert found("module.py", line) == []


def test_a_finding_names_file_line_and_what_to_write() -> None:
    (finding,) = check_text("docs/page.md", "One.\n\nThe world was told.\n")
    assert str(finding) == "docs/page.md:3: “told”: write publish, say, report, name"


# --- the layout of Markdown


@pytest.mark.parametrize(
    "line",
    [
        "One sentence. Another one.",
        "- One sentence. Another one.",
        "**A label.** And more.",
        "Is it? It is.",
        "It says `a`. It does.",
    ],
)
def test_two_sentences_on_a_line_are_found(line: str) -> None:
    assert found("page.md", line) == ["two sentences on one line"]


@pytest.mark.parametrize(
    "text",
    [
        "One sentence.\nAnother one.",
        "A value, e.g. five, of v3.13.1 or 0.5 s.",
        "1. One sentence.\n2. Another one.",
        "| One. | Two. Three. |",
        "# One. Two.",
        "```sh\ncommand. Another.\n```",
        "See `one. Two` there.",
        "See [a page](https://example.com/a.b. c).",
    ],
)
def test_one_sentence_on_a_line_is_not_found(text: str) -> None:
    assert found("page.md", text) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LONG * 2 + "one two three four five six.", 26),
        (LONG * 2 + "\none two three four five six.", 26),
        ("Short.\n" + LONG * 3 + "\nand more.", 32),
        ("- " + LONG + "\n  " + LONG * 2, 30),
    ],
)
def test_a_long_sentence_is_found(text: str, words: int) -> None:
    assert f"a sentence of {words} words, more than 25" in found("page.md", text)


@pytest.mark.parametrize(
    "text",
    [
        LONG * 2 + "one two three four five.",
        LONG * 2 + "\n\n" + LONG,
        "- " + LONG * 2 + "\n- " + LONG,
        LONG * 2 + "`a b c d e f g h`.",
        "Is it\n" + LONG * 2 + "?\nIt is " + LONG * 2,
    ],
)
def test_a_short_sentence_is_not_found(text: str) -> None:
    assert [message for message in found("page.md", text) if "words" in message] == []


def test_a_long_line_is_found_but_for_links_tables_and_code() -> None:
    long = "x" * 121
    assert found("page.md", long) == ["121 characters, more than 120"]
    assert found("module.py", long) == []
    for text in (f"[a](https://{long})", f"| {long} |", f"```text\n{long}\n```"):
        assert found("page.md", text) == []


# --- the repository


def repository(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


def test_a_file_that_is_not_text_is_left_alone(tmp_path: Path) -> None:
    root = repository(tmp_path, {"a.py": "published"})
    (root / "b.bin").write_bytes(b"\xff\xfetold")
    assert check_repository(root) == []


def test_findings_make_the_command_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = repository(tmp_path, {"a.py": "told", "b/c.py": "published"})
    assert main(root) == 1
    assert capsys.readouterr().out == "a.py:1: “told”: write publish, say, report, name\n"
    (root / "a.py").unlink()
    assert main(root) == 0
    assert capsys.readouterr().out == ""
