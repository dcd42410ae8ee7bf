"""`python -m sluice_status_watcher`."""

from sluice_runtime.service import run_service
from sluice_status_watcher.bootstrap import serve
from sluice_status_watcher.settings import Settings

__all__ = ["main"]


def main() -> None:
    """Start the status-watcher."""
    run_service(
        name="sluice-status-watcher",
        summary="Publishes the status and the outcome of every Workflow that Sluice has started.",
        settings_type=Settings,
        serve=serve,
    )


if __name__ == "__main__":
    main()
