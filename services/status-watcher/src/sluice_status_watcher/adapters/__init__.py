"""The status-watcher's ways to the outside."""
