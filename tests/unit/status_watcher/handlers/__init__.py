"""Tests of the status-watcher's handlers."""
