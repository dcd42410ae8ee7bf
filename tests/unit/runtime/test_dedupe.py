"""The margin between an outcome and the end of its Workflow, in the settings of both services."""

from datetime import timedelta

import pytest

from sluice_dispatcher.settings import DispatcherSettings
from sluice_runtime.dedupe import APPLY_SLACK, DedupeSettings
from sluice_runtime.settings import ServiceSettings, SettingsError, load_settings
from sluice_status_watcher.settings import Settings as WatcherSettings

SERVICES = pytest.mark.parametrize("service", [DispatcherSettings, WatcherSettings])


def test_a_workflow_outlives_every_create_that_may_ignore_its_outcome() -> None:
    settings = DedupeSettings()
    behind, given_up = settings.ledger_freshness, settings.create_timeout
    # A stop may be unnoticed for this long. The request arrives by the client's timeout, from which
    # the API server counts its own.
    unnoticed = behind
    received = behind + unnoticed + given_up
    assert received + given_up + APPLY_SLACK == settings.least_release_after
    assert settings.release_after >= settings.least_release_after


@pytest.mark.parametrize("short_of_it", [timedelta(milliseconds=1), timedelta(seconds=49)])
def test_a_shorter_release_is_refused(short_of_it: timedelta) -> None:
    least = DedupeSettings().least_release_after
    assert DedupeSettings(release_after=least).release_after == least
    with pytest.raises(ValueError, match=r"SLUICE_DEDUPE__RELEASE_AFTER.* to at least 50s"):
        DedupeSettings(release_after=least - short_of_it)


@SERVICES
@pytest.mark.parametrize(
    ("name", "value", "least"),
    [
        ("RELEASE_AFTER", "10s", "50s"),
        ("CREATE_TIMEOUT", "1m", "140s"),
        ("LEDGER_FRESHNESS", "30s", "100s"),
    ],
)
def test_either_service_refuses_it_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
    service: type[ServiceSettings],
    name: str,
    value: str,
    least: str,
) -> None:
    monkeypatch.setenv(f"SLUICE_DEDUPE__{name}", value)
    with pytest.raises(SettingsError, match=f"for both services, to at least {least}"):
        load_settings(service)
