"""Tests of the status-watcher's domain."""
