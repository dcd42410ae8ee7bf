"""What the gateway does is what its OpenAPI document says: `make test-conformance` tries more."""

from pathlib import Path

import pytest

from tests.contract.conformance import conformance

pytestmark = pytest.mark.contract


async def test_a_thousand_cases_with_a_fixed_seed(tmp_path: Path) -> None:
    result = await conformance(tmp_path, cases=1000, seed=1)

    assert result.failure is None, result.failure
    assert result.cases >= 1000
