"""Tests of what dispatcher and status-watcher agree on about a Workflow."""
