"""The status-watcher on fakes."""
