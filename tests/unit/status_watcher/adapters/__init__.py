"""Tests of the status-watcher's adapters."""
