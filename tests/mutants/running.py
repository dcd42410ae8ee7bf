"""Runs the named tests on copies of the tree, each with one fault."""

import os
import queue
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutants import Mutant, MutantError, apply, restore

__all__ = ["BaselineError", "Result", "copied", "run_baseline", "run_mutants"]

_TESTS_FAILED = 1
_PYTEST = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--timeout=60")
# Far longer than any named test: a test that takes so long hangs.
_LONGEST_S = 120.0


class BaselineError(Exception):
    """A named test does not exist, or fails without any mutant; the message is pytest's."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of one mutant."""

    mutant: Mutant
    verdict: str
    """`caught`, `SURVIVED`, or `BROKEN` (its tests could not run)."""
    details: str
    seconds: float

    @property
    def caught(self) -> bool:
        """Whether a test has failed on it."""
        return self.verdict == "caught"


def copied(root: Path, *, to: Path) -> Path:
    """Copy the files of a working tree that git tracks or does not ignore.

    The copy is a repository that tracks them: some tests ask git which files there are.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (root / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, to / name)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=to, check=True)
    return to


def run_baseline(tree: Path, mutants: Sequence[Mutant]) -> float:
    """Run all named tests without a mutant, and return their duration in seconds.

    Raises:
        BaselineError: one of them does not exist, or fails.
    """
    began = time.monotonic()
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    done = _pytest(tree, tests, compiled=True, longest=600)
    if done.returncode:
        raise BaselineError(f"{done.stdout}{done.stderr}")
    return time.monotonic() - began


def run_mutants(
    trees: Sequence[Path], mutants: Sequence[Mutant], *, on_result: Callable[[Result], None]
) -> list[Result]:
    """Run each mutant in one of the trees, as many at a time as there are trees."""
    free: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for tree in trees:
        free.put(tree)

    def attempt(mutant: Mutant) -> Result:
        tree = free.get()
        try:
            return _attempt(mutant, tree=tree)
        finally:
            free.put(tree)

    results = []
    with ThreadPoolExecutor(len(trees)) as pool:
        for future in as_completed([pool.submit(attempt, mutant) for mutant in mutants]):
            results.append(future.result())
            on_result(results[-1])
    return results


def _attempt(mutant: Mutant, *, tree: Path) -> Result:
    began = time.monotonic()

    def result(verdict: str, details: str) -> Result:
        seconds = time.monotonic() - began
        return Result(mutant=mutant, verdict=verdict, details=details, seconds=seconds)

    try:
        before = apply(mutant, tree=tree)
    except MutantError as e:
        return result("BROKEN", str(e))
    try:
        done = _pytest(tree, mutant.tests, compiled=False, longest=_LONGEST_S)
    except subprocess.TimeoutExpired:
        return result("caught", "the tests hang")
    finally:
        restore(before)
    failed = next((line for line in done.stdout.splitlines() if line.startswith("FAILED")), "")
    if done.returncode == _TESTS_FAILED and failed:
        return result("caught", failed.removeprefix("FAILED ").partition(" - ")[0])
    if done.returncode == 0:
        return result("SURVIVED", f"{mutant.why} None of these noticed: {', '.join(mutant.tests)}")
    return result("BROKEN", f"No test failed, and none passed:\n{done.stdout}{done.stderr}")


def _pytest(
    tree: Path, tests: Sequence[str], *, compiled: bool, longest: float
) -> subprocess.CompletedProcess[str]:
    # Python identifies bytecode by the source's size and second, so that of a mutant must not be
    # written. Bytecode of the other files saves most of the time.
    compiling = {"PYTHONDONTWRITEBYTECODE": "" if compiled else "1"}
    return subprocess.run(
        [sys.executable, *_PYTEST, *tests],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(_sources(tree)), **compiling},
        capture_output=True,
        text=True,
        check=False,
        timeout=longest,
    )


def _sources(tree: Path) -> Iterator[str]:
    """Yield the packages of the copy, which must come before those of the working tree."""
    for pattern in ("libs/*/src", "services/*/src", "engine/src", "local/src", "testbed/src"):
        yield from map(str, sorted(tree.glob(pattern)))
