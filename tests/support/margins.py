"""Settings with a margin that validation refuses, for tests in real time or of one service."""

from datetime import timedelta

from sluice_status_watcher.settings import Settings

__all__ = ["releasing_after"]


def releasing_after(settings: Settings, release_after: timedelta) -> Settings:
    """Return settings whose release is too early for late creates."""
    dedupe = settings.dedupe.model_copy(update={"release_after": release_after})
    return settings.model_copy(update={"dedupe": dedupe})
