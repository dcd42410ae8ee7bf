"""The settings of the status-watcher."""

import runpy
import sys
from datetime import timedelta

import pytest

from sluice_runtime.settings import SettingsError, load_settings
from sluice_status_watcher.settings import Settings


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_DEDUPE__RELEASE_AFTER", "3m")
    monkeypatch.setenv("SLUICE_WATCH__SILENCE", "90s")
    settings = load_settings(Settings)
    assert settings.dedupe.release_after == timedelta(minutes=3)
    assert settings.watch.silence == timedelta(seconds=90)


def test_lease_must_be_renewed_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_LEASE__RENEW_EVERY", "8s")
    with pytest.raises(SettingsError, match="renew_every must not be longer"):
        load_settings(Settings)


def test_help_lists_every_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["sluice-status-watcher", "--help"])
    with pytest.raises(SystemExit) as left:
        runpy.run_module("sluice_status_watcher", run_name="__main__")
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert "SLUICE_DEDUPE__RELEASE_AFTER" in shown
    assert "SLUICE_WATCH__RELIST_EVERY" in shown
