"""Decisions: pure and synchronous."""
