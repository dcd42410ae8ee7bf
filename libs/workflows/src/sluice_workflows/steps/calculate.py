"""Print the result of OPERATION on the integers in the arguments."""

import os
import sys
from collections.abc import Callable, Mapping

OPERATIONS: Mapping[str, Callable[[list[int]], int]] = {
    "start": lambda numbers: numbers[0],
    "double": lambda numbers: 2 * numbers[0],
    "square": lambda numbers: numbers[0] ** 2,
    "add": sum,
}


def main() -> None:
    """Run as a step."""
    numbers = [int(argument) for argument in sys.argv[1:]]
    sys.stdout.write(str(OPERATIONS[os.environ["OPERATION"]](numbers)))


if __name__ == "__main__":
    main()
