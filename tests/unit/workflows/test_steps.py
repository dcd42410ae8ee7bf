"""The programs that run inside steps, as functions and as processes."""

import ast
import base64
import inspect
import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_workflows.steps import (
    calculate,
    carry_out,
    count_words,
    greet,
    propose,
    read_message,
    split_text,
    sum_counts,
    write_message,
)

PROGRAMS = [
    calculate,
    carry_out,
    count_words,
    greet,
    propose,
    read_message,
    split_text,
    sum_counts,
    write_message,
]
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text(
    st.sampled_from("aAß\u0131İǅΣς1²½ _-\n\t\0{}'\"")
)
NASTY = "{{workflow.name}} {{=1+1}} $(id) `id` \"'\\ \n\n\0 ünïcödé 😀 ᾳ\n"


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def words_of(text: str) -> "Counter[str]":
    """Return the count by the definition: maximal runs of isalnum, casefolded."""
    return Counter(
        "".join(run).casefold() for is_word, run in itertools.groupby(text, str.isalnum) if is_word
    )


def run(program: ModuleType, *args: str, **env: object) -> str:
    """Run a program like a container: source after -c, data in the environment."""
    finished = subprocess.run(
        [sys.executable, "-c", inspect.getsource(program), *args],
        env={"PATH": os.environ["PATH"]} | {name: str(value) for name, value in env.items()},
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    return finished.stdout


def run_here(
    monkeypatch: pytest.MonkeyPatch, program: ModuleType, *args: str, **env: object
) -> None:
    """Run a program inside this process, where coverage measures it."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", ["-c", *args])
        for name, value in env.items():
            patch.setenv(name, str(value))
        program.main()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_a_program_can_be_embedded(program: ModuleType) -> None:
    source = inspect.getsource(program)

    tree = ast.parse(source, feature_version=(3, 9))

    assert "{{" not in source
    assert len(source.encode()) < 8 * 1024
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {str(name).partition(".")[0] for name in imported} <= sys.stdlib_module_names


@settings(deadline=None)
@given(TEXTS, st.integers(1, 50))
def test_chunks_are_the_text_without_split_words(text: str, workers: int) -> None:
    chunks = split_text.split(text, workers)

    assert len(chunks) == workers
    assert "".join(chunks) == text
    assert sum(map(words_of, chunks), Counter()) == words_of(text)


def test_chunks_are_about_as_long_as_each_other() -> None:
    chunks = split_text.split("lorem ipsum " * 1000, 8)

    assert max(map(len, chunks)) - min(map(len, chunks)) < 2 * len("lorem")


def test_a_huge_word_is_not_cut() -> None:
    word = "x" * 262_144

    assert split_text.split(word, 50) == [word, *[""] * 49]


@settings(deadline=None)
@given(TEXTS, st.integers(1, 50))
def test_split_count_and_sum_equal_pythons_own_count(text: str, workers: int) -> None:
    total: Counter[str] = Counter()
    for chunk in split_text.split(text, workers):
        total.update(json.loads(json.dumps(count_words.count(chunk))))
    counts, truncated = sum_counts.summary(total)

    assert not truncated
    assert json.loads(counts) == words_of(text)
    assert list(json.loads(counts).values()) == sorted(words_of(text).values(), reverse=True)


LIMIT = 128 * 1024


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(st.sampled_from("aßあ😀1"), min_size=1, max_size=3).map(lambda word: word * 2000),
        st.integers(1, 3),
        max_size=80,
    )
)
def test_counts_never_pass_the_limit(counts: dict[str, int]) -> None:
    whole = sum_counts.encoded(counts)

    shortened, truncated = sum_counts.summary(counts)

    assert len(shortened.encode()) <= LIMIT
    assert truncated is (len(whole.encode()) > LIMIT)
    assert json.loads(shortened).items() <= counts.items()


def test_exactly_the_limit_is_not_truncated() -> None:
    counts = {"x" * (LIMIT - len('{"":1}')): 1}

    assert sum_counts.summary(counts) == (sum_counts.encoded(counts), False)


def test_above_the_limit_the_thousand_most_frequent_words_remain() -> None:
    counts = {f"{i:05}-{'x' * 100}": 1 + i % 2 for i in range(2400)}

    shortened, truncated = sum_counts.summary(counts)

    expected = sorted(counts, key=lambda word: (-counts[word], word))[:1000]
    assert truncated
    assert list(json.loads(shortened)) == expected


def test_a_word_that_does_not_fit_is_skipped() -> None:
    counts = {"x" * LIMIT: 9, "small": 1}

    assert sum_counts.summary(counts) == ('{"small":1}', True)


def test_counts_fill_the_limit_to_the_last_byte() -> None:
    filler = "f" * (LIMIT - len('{"":3,"b":2}'))

    shortened, truncated = sum_counts.summary({filler: 3, "b": 2, "c": 1})

    assert truncated
    assert json.loads(shortened) == {filler: 3, "b": 2}
    assert len(shortened.encode()) == LIMIT


@pytest.mark.parametrize("text", ["", NASTY, "a b a", "ß SS ss", "x" * 262_144])
def test_map_reduce_as_processes(tmp_path: Path, text: str) -> None:
    (tmp_path / "text").write_text(encoded(text), encoding="ascii")
    names = json.loads(
        run(split_text, TEXT=tmp_path / "text", WORKERS=3, CHUNKS=tmp_path / "out" / "chunks")
    )
    for name in names:
        run(
            count_words,
            CHUNK=tmp_path / "out" / "chunks" / str(name),
            COUNTS=tmp_path / "parts" / str(name),
        )
    out = {name: tmp_path / "sum" / name for name in ("COUNTS", "TOTAL", "TRUNCATED")}
    run(sum_counts, PARTS=tmp_path / "parts", **out)

    fits = len(text) < LIMIT
    assert names == [0, 1, 2]
    assert json.loads(out["COUNTS"].read_bytes()) == (words_of(text) if fits else {})
    assert out["TOTAL"].read_text() == str(sum(words_of(text).values()))
    assert out["TRUNCATED"].read_text() == ("false" if fits else "true")


@pytest.mark.parametrize("text", ["", "World", NASTY])
def test_texts_pass_unchanged(tmp_path: Path, text: str) -> None:
    handed, received, greeting = tmp_path / "a" / "h", tmp_path / "b" / "r", tmp_path / "c" / "g"
    run(write_message, MESSAGE=encoded(text), ARTIFACT=handed)
    run(read_message, ARTIFACT=handed, MESSAGE=received)
    run(greet, NAME=encoded(text), GREETING=greeting)

    assert handed.read_bytes() == text.encode()
    # One newline more, the one that Argo takes off.
    assert received.read_bytes() == text.encode() + b"\n"
    assert greeting.read_bytes() == f"Hello, {text}!\n".encode()


@pytest.mark.parametrize(
    ("reason", "decision", "message"),
    [
        ("", "approve", "Approved\n"),
        ("why", "approve", "Approved: why\n"),
        ("why", "refuse", "Refused: why\n"),
    ],
)
def test_an_approval_reports_its_reason(
    tmp_path: Path, reason: str, decision: str, message: str
) -> None:
    run(propose, REASON=encoded(reason), PROPOSAL=tmp_path / "p")
    run(carry_out, decision, REASON=encoded(reason), MESSAGE=tmp_path / "m")

    assert (tmp_path / "p").read_text() == reason + "\n"
    assert (tmp_path / "m").read_text() == message


@pytest.mark.parametrize(
    ("operation", "numbers", "result"),
    [("start", "7", "7"), ("double", "7", "14"), ("square", "7", "49"), ("add", "14 49", "63")],
)
def test_results_are_calculated(operation: str, numbers: str, result: str) -> None:
    assert run(calculate, *numbers.split(), OPERATION=operation) == result


def test_programs_can_run_in_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at = {name: tmp_path / name / "file" for name in "abcdefghi"}
    at["a"].parent.mkdir()
    at["a"].write_text(encoded("x y x"), encoding="ascii")
    run_here(monkeypatch, split_text, TEXT=at["a"], WORKERS=1, CHUNKS=at["b"])
    run_here(monkeypatch, count_words, CHUNK=at["b"] / "0", COUNTS=at["c"])
    run_here(
        monkeypatch,
        sum_counts,
        PARTS=at["c"].parent,
        COUNTS=at["d"],
        TOTAL=at["e"],
        TRUNCATED=at["f"],
    )
    run_here(monkeypatch, write_message, MESSAGE=encoded("m"), ARTIFACT=at["g"])
    run_here(monkeypatch, read_message, ARTIFACT=at["g"], MESSAGE=at["h"])
    run_here(monkeypatch, greet, NAME=encoded("Ada"), GREETING=at["i"])
    assert at["d"].read_text() == '{"x":2,"y":1}'
    assert at["e"].read_text() == "3"
    assert at["h"].read_text() == "m\n"
    assert at["i"].read_text() == "Hello, Ada!\n"
    run_here(monkeypatch, propose, REASON=encoded("r"), PROPOSAL=at["h"])
    run_here(monkeypatch, carry_out, "approve", REASON=encoded("r"), MESSAGE=at["i"])
    assert at["h"].read_text() == "r\n"
    assert at["i"].read_text() == "Approved: r\n"
    capsys.readouterr()
    run_here(monkeypatch, calculate, "2", "3", OPERATION="add")
    assert capsys.readouterr().out == "5"
