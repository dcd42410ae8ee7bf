"""Tests of the status-watcher's services."""
