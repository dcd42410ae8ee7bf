"""Leave tests out, as pytest's own ``-k`` and ``-m`` do."""

from collections.abc import Callable

import pytest


def leave_out(
    config: pytest.Config, items: list[pytest.Item], left_out: Callable[[pytest.Item], bool]
) -> None:
    """Take tests out of ``items``, and have pytest count them as deselected."""
    deselected = [item for item in items if left_out(item)]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if not left_out(item)]
