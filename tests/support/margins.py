"""A margin that no settings allow, for tests that wait in real time, or of one service alone."""

from datetime import timedelta

from sluice_status_watcher.settings import Settings

__all__ = ["releasing_after"]


def releasing_after(settings: Settings, release_after: timedelta) -> Settings:
    """Give settings of a release that is too early for creates that land late."""
    dedupe = settings.dedupe.model_copy(update={"release_after": release_after})
    return settings.model_copy(update={"dedupe": dedupe})
