"""The command line of `make mutants`: `python -m tests.mutants`."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.mutants.mutants import Mutant, read_mutants
from tests.mutants.running import BaselineError, Result, copied, run_baseline, run_mutants

_ROOT = Path(__file__).parents[2]

_ABOUT = """\
Apply faults to the code, one at a time, and check that a test fails for each.

Each mutant of tests/mutants/list/*.toml names a text that occurs once in a file, the text that
replaces it, why the fault matters, and the smallest tests that must fail. The tree is copied to a
temporary folder; nothing here is changed. First all named tests run without a mutant: they must
exist and pass.

The command fails if a mutant survives, if its text does not occur exactly once, or if its tests
cannot run. For a survivor, write a test; for a text that has moved, update the list.
"""

_EXAMPLES = """\
examples:
  make mutants                             run all, two at a time
  make mutants ARGS="--only ledger"        run those with `ledger` in their name
  make mutants ARGS=--list                 list their names and reasons
"""


def main() -> int:
    """Return the exit code: 0 if all mutants were caught."""
    options = _arguments()
    mutants = [mutant for mutant in read_mutants() if options.only in mutant.name]
    if not mutants:
        print(f"No mutant has {options.only!r} in its name.")
        return 2
    if options.list:
        for mutant in mutants:
            print(f"{mutant.name}\n    {mutant.why}")
        return 0
    with tempfile.TemporaryDirectory(prefix="sluice-mutants-") as folder:
        tree = copied(_ROOT, to=Path(folder) / "1")
        return _run(tree, mutants, jobs=min(options.jobs, len(mutants)))


def _run(tree: Path, mutants: list[Mutant], *, jobs: int) -> int:
    began = time.monotonic()
    print(f"{len(mutants)} mutants. First their tests run without any ...", flush=True)
    try:
        print(f"... pass, in {run_baseline(tree, mutants):.0f} s", flush=True)
    except BaselineError as e:
        print(f"{e}\nThese tests must exist, and pass without a mutant.")
        return 1
    # The copies include the bytecode that was compiled meanwhile.
    others = [shutil.copytree(tree, tree.with_name(str(number))) for number in range(2, jobs + 1)]
    done = 0

    def report(result: Result) -> None:
        nonlocal done
        done += 1
        place = f"[{done:{len(str(len(mutants)))}}/{len(mutants)}]"
        print(f"{place} {result.seconds:4.1f} s  {result.verdict:8}  {result.mutant.name}")
        if not result.caught:
            print(f"    {result.details}")
        sys.stdout.flush()

    results = run_mutants([tree, *others], mutants, on_result=report)
    escaped = [result for result in results if not result.caught]
    print(f"{len(results) - len(escaped)} caught, in {time.monotonic() - began:.0f} s in all")
    for result in escaped:
        print(f"{result.verdict}: {result.mutant.name}")
    return 1 if escaped else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make mutants",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="only mutants with this text in their name"
    )
    parser.add_argument(
        "--jobs", type=int, default=2, metavar="N", help="mutants at a time (%(default)s)"
    )
    parser.add_argument("--list", action="store_true", help="list the mutants, and run nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
