"""The dispatcher's settings, and what they lead to."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from sluice_dispatcher.bootstrap import load_builder
from sluice_dispatcher.settings import DispatcherSettings, WorkflowSettings
from sluice_runtime.dedupe import DedupeSettings
from sluice_runtime.service import StartupError


def test_the_defaults_fit_together() -> None:
    assert DispatcherSettings().dedupe.ledger_freshness == timedelta(seconds=5)


def test_a_ledger_slower_than_the_ttl_is_refused() -> None:
    with pytest.raises(ValidationError, match="at most half"):
        DispatcherSettings(
            dedupe=DedupeSettings(ledger_freshness=timedelta(seconds=5)),
            workflows=WorkflowSettings(ttl=timedelta(seconds=9)),
        )


def test_an_invalid_catalogue_is_refused_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.yaml"
    file.write_text("entries: [{name: hello}]")
    settings = DispatcherSettings(workflows=WorkflowSettings(catalogue_file=file))
    with pytest.raises(StartupError, match=r"The catalogue cannot be used: .*catalogue\.yaml"):
        load_builder(settings)
