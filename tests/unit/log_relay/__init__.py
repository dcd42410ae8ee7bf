"""Unit tests of the log-relay."""
