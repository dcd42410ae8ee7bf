"""The mutants fit the code that is there, and their runner lets none escape."""

import ast
import subprocess
from pathlib import Path

import pytest

from tests.mutants.mutants import Change, Mutant, MutantError, apply, read_mutants, restore
from tests.mutants.running import BaselineError, copied, run_baseline, run_mutants

ROOT = Path(__file__).parents[2]
MUTANTS = read_mutants()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_text_stands_once_in_its_file(mutant: Mutant) -> None:
    for change in mutant.changes:
        text = (ROOT / change.file).read_text(encoding="utf-8")
        assert text.count(change.old) == 1, f"{change.file} has changed: {mutant.why}"
        ast.parse(text.replace(change.old, change.new))
        assert change.old != change.new


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_named_test_is_there(mutant: Mutant) -> None:
    assert mutant.tests
    for test in mutant.tests:
        file, *names = test.partition("[")[0].split("::")
        node: ast.AST = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        for name in names:
            found = [
                each
                for each in ast.iter_child_nodes(node)
                if isinstance(each, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                and each.name == name
            ]
            assert found, f"{file} has no {name}"
            node = found[0]


def test_there_are_mutants_of_all_parts() -> None:
    parts = {mutant.name.partition(":")[0] for mutant in MUTANTS}
    services = {"dispatcher", "gateway", "status_watcher"}
    libraries = {"client", "contracts", "runtime", "workflows"}
    assert parts == {*services, *libraries, "access", "oidc"}
    assert len(MUTANTS) >= 40


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project of one rule and its test."""
    (tmp_path / "rule.py").write_text("def double(number: int) -> int:\n    return number * 2\n")
    (tmp_path / "test_rule.py").write_text(
        "from rule import double\n\n\n"
        "def test_two():\n    assert double(2) == 4\n\n\n"
        "def test_fails():\n    assert double(2) == 5\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    return tmp_path


def mutant(
    *, old: str = "number * 2", new: str, test: str = "test_rule.py::test_two", name: str = "m"
) -> Mutant:
    change = Change(file="rule.py", old=old, new=new)
    return Mutant(name=name, why="It matters.", changes=(change,), tests=(test,))


def test_one_that_no_test_notices_survives(tree: Path) -> None:
    mutants = [
        mutant(name="caught", new="number * 3"),
        mutant(name="survives", new="number + 2"),
        mutant(name="moved", old="number * 7", new="number"),
        mutant(name="no Python", new="number *"),
    ]
    before = (tree / "rule.py").read_text()
    results = run_mutants([tree], mutants, on_result=lambda _: None)
    assert {result.mutant.name: result.verdict for result in results} == {
        "caught": "caught",
        "survives": "SURVIVED",
        "moved": "BROKEN",
        "no Python": "BROKEN",
    }
    assert (tree / "rule.py").read_text() == before


@pytest.mark.parametrize("test", ["test_rule.py::test_fails", "test_rule.py::test_absent"])
def test_a_named_test_that_cannot_pass_is_reported_before(tree: Path, test: str) -> None:
    run_baseline(tree, [mutant(new="number")])
    with pytest.raises(BaselineError, match=test.rpartition("::")[2]):
        run_baseline(tree, [mutant(new="number"), mutant(new="number", test=test)])


def test_two_changes_of_one_file_are_both_made_and_taken_back(tree: Path) -> None:
    changes = (
        Change(file="rule.py", old="double", new="twice"),
        Change(file="rule.py", old="number * 2", new="0"),
    )
    both = Mutant(name="both", why="It matters.", changes=changes, tests=())
    before = (tree / "rule.py").stat().st_mtime_ns
    was = apply(both, tree=tree)
    assert (tree / "rule.py").read_text() == "def twice(number: int) -> int:\n    return 0\n"
    restore(was)
    assert (tree / "rule.py").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('name = "a"', "file, new, old, tests, why is missing"),
        ('name = "a"\nwhat = "b"', "what is not a known key"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(tmp_path: Path, entry: str, message: str) -> None:
    (tmp_path / "part.toml").write_text(f"[[mutant]]\n{entry}\n")
    with pytest.raises(MutantError, match=f"part: a: {message}"):
        read_mutants(tmp_path)


def test_a_copy_of_the_tree_is_a_repository_of_the_same_files(tmp_path: Path) -> None:
    root, to = tmp_path / "root", tmp_path / "copy"
    root.mkdir()
    git(root, "init", "--quiet")
    (root / ".gitignore").write_text("*.log\n")
    for name in ("tracked.py", "new.py", "ignored.log"):
        (root / name).touch()
    git(root, "add", "tracked.py")

    copied(root, to=to)

    assert git(to, "ls-files").split() == [".gitignore", "new.py", "tracked.py"]


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, and return what it says."""
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout
