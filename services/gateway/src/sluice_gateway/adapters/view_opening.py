"""Opens the view of runs in the store that the settings name."""

from functools import partial
from typing import Final

from sluice_gateway.adapters.run_store_postgres.opening import DATABASE, opened_postgres_view
from sluice_gateway.adapters.run_view.opening import opened_sqlite_view
from sluice_gateway.adapters.run_view.reopening import FILE, ReopeningView
from sluice_gateway.domain.run_changes import KeepsParameters
from sluice_gateway.metrics import Metrics
from sluice_gateway.services.subscriptions import RunSubscriptions
from sluice_gateway.settings import GatewaySettings

__all__ = ["view_of"]

# Nobody has to be admitted who asks, and some go on waiting though they have gone.
_MAX_WAITING: Final = 1000


def view_of(
    settings: GatewaySettings,
    *,
    subscriptions: RunSubscriptions,
    metrics: Metrics,
    keeps_parameters: KeepsParameters,
) -> ReopeningView:
    """Return the view, in the store that the settings name."""
    in_database = settings.store.kind == "postgres"
    return ReopeningView(
        partial(
            opened_postgres_view if in_database else opened_sqlite_view,
            settings,
            subscriptions=subscriptions,
            metrics=metrics,
            keeps_parameters=keeps_parameters,
            most_waiting=_MAX_WAITING,
        ),
        subscriptions=subscriptions,
        start_patience=settings.view.start_patience,
        failed=metrics.view_failures.inc,
        kept_in=DATABASE if in_database else FILE,
    )
